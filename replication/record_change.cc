#include "replication/record_change.h"

#include "replication/check.h"

#include <utility>

namespace vexor::replication {

void RecordChange::propose(const VersionedRecord& from, Record to, Millis now,
                           std::vector<Output>& outputs) {
  VEXOR_CHECK(!proposed_);
  VEXOR_CHECK(to.epoch == from.record.epoch || to.epoch == from.record.epoch + 1);
  proposed_ = std::move(to);
  expected_ = from.version;
  first_number_ = last_number_ + 1;
  send(now, outputs);
}

void RecordChange::send(Millis now, std::vector<Output>& outputs) {
  sent_at_ = now;
  outputs.push_back(ChangeRecord{++last_number_, expected_, *proposed_});
}

std::optional<VersionedRecord> RecordChange::answered(std::uint64_t number, ChangeAnswer answer,
                                                      std::vector<Output>& outputs) {
  if (!proposed_ || number < first_number_ || number > last_number_) return std::nullopt;
  if (answer == ChangeAnswer::kDone) return VersionedRecord{expected_ + 1, *proposed_};
  // Conflict: the version moved on, perhaps by an earlier request for this very change.
  if (answer == ChangeAnswer::kConflict) outputs.push_back(ReadRecord{});
  return std::nullopt;
}

void RecordChange::version_seen(std::uint64_t version) {
  if (version > expected_) proposed_.reset();
}

void RecordChange::tick(Millis now, Millis wait, std::vector<Output>& outputs) {
  if (proposed_ && now - sent_at_ >= wait) send(now, outputs);
}

}  // namespace vexor::replication
