// The part of a server that makes it a member of a replica set. Docs: docs/operations/replication.md.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/service.h"
#include "daemon/replica_settings.h"
#include "monitor/monitor_server.h"
#include "vexorstore/purge.h"

namespace vexor::replication {
struct HostFiles;
}

namespace vexor::frontend {

class ReplicaMember final : public Service::ReplicaSet {
 public:
  // Errors: kInvalidArgument (settings), kIo.
  // Pushes of other members' clients are run by `service`, which must outlive this.
  static Result<std::unique_ptr<ReplicaMember>> start(Service& service, const ReplicaSettings& settings, const replication::HostFiles& files);
  ~ReplicaMember() override;

  // For pushes, and by default for reads, until the store shows all that was acknowledged anywhere.
  Result<void> before_read(GitCommand command) override;
  // A push, and a read if the settings say so: at the primary, waiting a while for one to be known.
  Result<std::unique_ptr<protocol::Session>> forward(const Principal& principal, const GitRequest& request) override;
  Result<std::optional<std::string>> run_at_primary(const Principal& principal, const std::string& text, const std::string& input) override;
  Moment now() const override;
  bool serves_at_once() const override;
  Result<std::uint64_t> recall(const std::string& repository, std::uint64_t sequence) override;
  Result<void> wait_for_epoch_after(std::uint64_t epoch) override;
  // Why the store is to be replaced by a copy; empty: it is not. Any thread.
  std::string needs_copy() const;
  // How many so far, by kind (docs/operations/runbooks.md). Any thread.
  std::map<std::string, std::uint64_t> alarms() const;
  // Who does what in the set, as far as this member knows. Any thread.
  struct Place {
    std::string role;  // "primary", "follower" or "stopped"
    std::uint64_t epoch = 0;
    std::uint64_t primary = 0;  // 0: nobody is known
    std::string in_sync;        // numbers
    std::string record;         // "watched", or what keeps this member from seeing it change
    bool operator==(const Place&) const = default;
  };
  Place place() const;
  ReplicaFigures figures() const;  // any thread
  // Numbers of all members, by the record that is known here. Any thread.
  std::vector<std::uint64_t> members() const;
  // Puts a report into the journal, here or at the primary. Errors: kUnavailable (no primary is known, or it does not answer).
  Result<void> report_purge(std::uint64_t request, const PurgeReport& report);
  // Its line: role, epoch, sequences, record. Any thread.
  MemberHealth health() const;

 private:
  ReplicaMember();
  template <class Out>
  Result<Out> at_primary(Out here, const std::function<Result<Out>(std::uint64_t primary)>& ask);

  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace vexor::frontend
