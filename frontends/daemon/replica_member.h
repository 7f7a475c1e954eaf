// The part of a server that makes it a member of a replica set. Docs: docs/operations/replication.md.
#pragma once

#include <memory>
#include <string>

#include "common/service.h"

namespace vexor::frontend {

struct ReplicaSettings {
  std::uint64_t node = 0;            // this member; 0: the store is no member of a set
  std::string listen;                // HOST:PORT for the other members
  std::string peers;                 // "ID=HOST:PORT,..." of the others
  std::string etcd;                  // "HOST:PORT,..."
  std::string etcd_key = "/vexorstore/replica-set";
  std::string ca_file;               // PEM; all three empty: no TLS, loopback only
  std::string certificate_file;
  std::string key_file;
  std::string reads = "linearizable";  // or "eventual", or "primary"
  int heartbeat_ms = 100;
  int lease_ms = 700;
  int detector_ms = 1000;
  int offsite_wait_ms = 1000;
  int proposal_wait_ms = 10000;
};

class ReplicaMember final : public Service::ReplicaSet {
 public:
  // Errors: kInvalidArgument (settings), kIo.
  // Pushes of other members' clients are run by `service`, which must outlive this.
  static Result<std::unique_ptr<ReplicaMember>> start(Service& service, const ReplicaSettings& settings);
  ~ReplicaMember() override;

  // For pushes, and by default for reads, until the store shows all that was acknowledged anywhere.
  Result<void> before_read(GitCommand command) override;
  // A push, and a read if the settings say so: at the primary, waiting a while for one to be known.
  Result<std::unique_ptr<protocol::Session>> forward(const Principal& principal, const GitRequest& request) override;
  std::uint64_t applied() const override;
  // One line of JSON: role, epoch, sequences, record. Any thread.
  std::string status() const;

 private:
  ReplicaMember();
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// Errors: kInvalidArgument.
Result<void> check_replica_settings(const ReplicaSettings& settings);

}  // namespace vexor::frontend
