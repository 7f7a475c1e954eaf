// A compare-and-set of the coordination record, on its way until the version moved on (R3).
#pragma once

#include "replication/coordinator.h"
#include "replication/outputs.h"

#include <optional>

namespace vexor::replication {

class RecordChange {
 public:
  // The proposed record while the change is on its way.
  const Record* on_its_way() const { return proposed_ ? &*proposed_ : nullptr; }

  // Requires that none is on its way.
  void propose(const VersionedRecord& from, Record to, Millis now, std::vector<Output>& outputs);
  // The new record if it is done. Answers to what is no longer on its way are ignored.
  std::optional<VersionedRecord> answered(std::uint64_t number, ChangeAnswer answer,
                                          std::vector<Output>& outputs);
  // Resolved when a version above the expected one is seen, whoever made it.
  void version_seen(std::uint64_t version);
  // Sends the same change again when there was no answer for `wait`.
  void tick(Millis now, Millis wait, std::vector<Output>& outputs);
  void forget() { proposed_.reset(); }  // a fault, for the simulator

 private:
  void send(Millis now, std::vector<Output>& outputs);

  std::optional<Record> proposed_;
  std::uint64_t expected_ = 0;
  std::uint64_t first_number_ = 0;  // of the requests for this change
  std::uint64_t last_number_ = 0;
  Millis sent_at_ = 0;
};

}  // namespace vexor::replication
