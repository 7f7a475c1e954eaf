// vexorctl cluster: the record of a replica set, in etcd. Docs: docs/operations/replication.md.
#pragma once

#include <string>
#include <vector>

#include "vexorstore/result.h"

namespace vexor::frontend {

struct ClusterArguments {
  std::string etcd;  // HOST:PORT,...
  std::string etcd_key = "/vexorstore/replica-set";
  std::vector<std::string> members;  // ID=HOST:PORT[,off-site]
  std::string copies = "two";
  std::uint64_t node = 0;
  bool accept_loss = false;
};

// Each returns what to print. Errors: kInvalidArgument, kConflict (changed meanwhile: look again),
// kUnavailable (etcd does not answer; a change may have happened).
Result<std::string> cluster_init(const ClusterArguments& args);  // the first member is the primary
Result<std::string> cluster_status(const ClusterArguments& args);
Result<std::string> cluster_join(const ClusterArguments& args);
Result<std::string> cluster_remove(const ClusterArguments& args);
Result<std::string> cluster_handover(const ClusterArguments& args);

}  // namespace vexor::frontend
