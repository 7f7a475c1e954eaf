// The admin socket: vexorctl's operations, and Git sessions of users whom an OpenSSH server has
// authenticated. A UNIX socket in the data directory; who may use it is told by the kernel.
//
// Threads: one accepts, one serves each connection, bounded by connections_max.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "admin/purge_commands.h"
#include "common/service.h"

namespace vexor::frontend {

struct AdminOptions {
  std::filesystem::path socket;
  // A user besides root and the server's own who may look up keys and serve logged-in users, and
  // nothing else: the account that sshd runs forced commands as.
  std::optional<unsigned> shell_uid;
  unsigned connections_max = 256;
  int idle_seconds_max = 600;
  int keep_alive_ms = 5000;
  PurgeCommandOptions purge;
};

class AdminServer {
 public:
  AdminServer(Service& service, AdminOptions options);
  ~AdminServer();  // stops, and waits for the connections
  Result<void> start();
  void stop();              // no new connections
  void stop_connections();  // ends those that are open
  unsigned connections() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace vexor::frontend
