// The part of a server that makes it a member of a replica set. Docs: docs/operations/replication.md.
#pragma once

#include <memory>
#include <string>

#include "common/service.h"
#include "daemon/replica_settings.h"

namespace vexor::replication {
struct HostFiles;
}

namespace vexor::frontend {

class ReplicaMember {
 public:
  // Errors: kInvalidArgument (settings), kIo.
  // Pushes of other members' clients are run by `service`, which must outlive this.
  static Result<std::unique_ptr<ReplicaMember>> start(Service& service, const ReplicaSettings& settings, const replication::HostFiles& files);
  ~ReplicaMember();

  // Blocks until the store may be read from: for pushes, and by default for reads, until it shows all that was
  // acknowledged anywhere. Errors: kUnavailable.
  Result<void> before_read(GitCommand command);
  // A session at the primary, waiting a while for one to be known; null: this is the primary. Errors: kUnavailable.
  Result<std::unique_ptr<protocol::Session>> forward(const Principal& principal, const GitRequest& request);
  // Why the store is to be replaced by a copy; empty: it is not. Any thread.
  std::string needs_copy() const;
  // Rows of the store cannot be read. Any thread.
  bool is_damaged() const;
  // One line of JSON: role, epoch, sequences, record. Any thread.
  std::string status() const;

 private:
  ReplicaMember();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace vexor::frontend
