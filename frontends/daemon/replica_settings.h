// The settings of a member of a replica set. Docs: docs/operations/replication.md.
#pragma once

#include <cstdint>
#include <string>

#include "vexorstore/result.h"

namespace vexor::frontend {

struct ReplicaSettings {
  std::uint64_t node = 0;            // this member; 0: the store is no member of a set
  std::string listen;                // HOST:PORT for the other members
  std::string peers;                 // "ID=HOST:PORT,..." of the others
  std::string etcd;                  // "HOST:PORT,..."
  std::string etcd_key = "/vexorstore/replica-set";
  std::string etcd_ca_file;          // PEM; all three empty: no TLS, loopback only
  std::string etcd_certificate_file;
  std::string etcd_key_file;
  std::string ca_file;               // the same
  std::string certificate_file;
  std::string key_file;
  std::string reads = "linearizable";  // or "eventual", or "primary"
  int heartbeat_ms = 100;
  int lease_ms = 700;
  int detector_ms = 1000;
  int offsite_wait_ms = 10;
  int all_wait_ms = 1000;
  int proposal_wait_ms = 10000;
  std::uint64_t copy_bytes_per_second = 64U << 20U;
  std::uint64_t copy_lag_entries = 200'000;
  int link_rows = 1;                        // 0: no
  std::uint64_t site_bytes_per_second = 0;  // 0: any
};

// Errors: kInvalidArgument.
Result<void> check_replica_settings(const ReplicaSettings& settings);

}  // namespace vexor::frontend
