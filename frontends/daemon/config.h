// The configuration of vexord: a TOML file, every key of which has a documented default.
#pragma once

#include <filesystem>
#include <string>

#include "admin/admin_server.h"
#include "daemon/maintenance_thread.h"
#include "daemon/replica_member.h"
#include "https/https_server.h"
#include "monitor/monitor_server.h"
#include "ssh/ssh_server.h"
#include "vexorstore/sys/backends.h"

namespace vexor::frontend {

struct ServerConfig {
  std::string data;                              // directory of the store, certificate, host keys, admin socket
  std::string https_listen = "127.0.0.1:8443";   // ADDRESS:PORT, port 0 = any free one; empty: no HTTPS
  std::string ssh_listen;
  std::string monitor_listen;
  std::string admin_socket;                      // empty: DATA/vexord.sock
  std::string shell_user;
  std::string purge_persons;  // names, separated by commas
  std::string tls_directory;                     // empty: DATA/tls
  std::string ssh_key_directory;                 // empty: DATA/ssh
  int drain_seconds = 30;
  int keep_alive_ms = 5000;
  HttpsOptions https;
  SshOptions ssh;
  AdminOptions admin;
  MonitorOptions monitor;
  MaintenanceSettings maintenance;
  ReplicaSettings replication;
  sys::RocksdbOptions rocksdb;
  Limits limits;
};

// Reads `path` over `config`. Errors: kInvalidArgument with the line ("vexord.toml:12: unknown key").
Result<void> read_config(const std::filesystem::path& path, ServerConfig& config);
// Fills paths that were left empty and splits the addresses. Errors: kInvalidArgument.
Result<void> complete_config(ServerConfig& config);
// Every key with its meaning, unit and default, as a TOML file.
std::string documented_config();

}  // namespace vexor::frontend
