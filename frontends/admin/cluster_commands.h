// vexorctl cluster: the record of a replica set, in etcd. Docs: docs/operations/replication.md.
#pragma once

#include <string>
#include <vector>

#include "vexorstore/result.h"

namespace vexor::frontend {

struct ClusterArguments {
  std::string etcd;  // HOST:PORT,...
  std::string etcd_key = "/vexorstore/replica-set";
  std::string etcd_ca_file, etcd_certificate_file, etcd_key_file;  // PEM; empty: no TLS, loopback only
  std::vector<std::string> members;  // ID=HOST:PORT[,off-site]
  std::string copies;  // empty: two, for promote as before
  std::uint64_t epoch = 0;
  std::uint64_t node = 0;
  bool accept_loss = false;
  std::string monitor;  // HOST:PORT, of the member to be promoted; empty: no report
};

// Each returns what to print. Errors: kInvalidArgument, kConflict (changed meanwhile: look again),
// kUnavailable (etcd does not answer; a change may have happened).
// The first member is the primary. `epoch`: 0, or, when the record of a set was lost, more than any member has promised.
Result<std::string> cluster_init(const ClusterArguments& args);
Result<std::string> cluster_status(const ClusterArguments& args);
Result<std::string> cluster_join(const ClusterArguments& args);
Result<std::string> cluster_remove(const ClusterArguments& args);
Result<std::string> cluster_handover(const ClusterArguments& args);
Result<std::string> cluster_copies(const ClusterArguments& args);
// "Promotion" of docs/protocol/replication.md. Requires accept_loss. With `monitor`, what may be lost is told, also in the error.
Result<std::string> cluster_promote(const ClusterArguments& args);

}  // namespace vexor::frontend
