#include "sim/history.h"

#include <algorithm>

namespace vexor::sim {

using replication::Fate;

void violate(const std::string& text) {
  throw Violation(text);
}

std::string History::text(const EntryId& entry) const {
  return std::to_string(entry.sequence) + "/" + std::to_string(entry.hash[0] * 256 + entry.hash[1]);
}

const History::Committed& History::at(const EntryId& entry, const char* who) const {
  static const Committed kNothing{};
  if (entry.sequence == 0) return kNothing;
  if (entry.sequence > entries_.size())
    violate(std::string(who) + ": entry " + text(entry) + " was never committed");
  const Committed& committed = entries_[entry.sequence - 1];
  if (committed.id != entry)
    violate(std::string(who) + ": entry " + text(entry) + ", but committed is " +
            text(committed.id));
  return committed;
}

void History::committed(const replication::Entry& entry) {
  if (entry.id.sequence <= entries_.size()) {
    at(entry.id, "I3, commit");
    return;
  }
  if (entry.id.sequence != entries_.size() + 1) violate("I3: a commit out of order");
  const Operation operation = decode(*entry.bytes);
  Refs refs = entries_.empty() ? Refs{} : entries_.back().refs;
  if (!applicable(refs, operation)) violate("I2: a committed update whose old value was another");
  update_refs(refs, operation);
  entries_.push_back({entry.id, operation.id, refs});
  if (!where_.emplace(operation.id, entry.id.sequence).second)
    violate("an update twice in the log");
  if (never_.contains(operation.id)) violate("an update that was told not started is committed");
}

void History::has_copies(const EntryId& entry, replication::Copies copies, const std::vector<replication::Member>& members, const Stores& stores) const {
  // Who lost it since, or all that it had, counted when it answered.
  const auto has = std::count_if(members.begin(), members.end(), [&](const replication::Member& member) {
    return stores.holds(member.id, entry) || stores.destroyed(member.id) || stores.lost(member.id, entry);
  });
  if (static_cast<std::size_t>(has) < copies_min(copies)) violate("C1: committed " + text(entry) + ", which has too few copies");
}

void History::applied(const Machine& machine) const {
  if (at(machine.at, "I3, state").refs != machine.refs) violate("I3: state differs from the log");
}

void History::acknowledged(const Start& start, OperationId operation, const EntryId& entry) {
  if (start.generation != generation_) return;
  if (at(entry, "I1, acknowledged").operation != operation)
    violate("I1: acknowledged another update");
  if (entry.sequence <= floor(start)) violate("I2: an update before one that was told earlier");
  seen_ = std::max(seen_, entry.sequence);
  ++acknowledged_;
}

void History::refused(const Start& start, const Operation& operation, const EntryId& head) {
  if (start.generation != generation_) return;
  const Committed& state = at(head, "Q4, refused at");
  if (applicable(state.refs, operation)) violate("I2: refused an update that was possible");
  if (head.sequence < floor(start) && !may_be_stale_) violate("I2: refused by an old state");
  seen_ = std::max(seen_, head.sequence);
}

void History::was_read(const Start& start, const Machine& machine, Sequence token) {
  if (start.generation != generation_) return;
  if (at(machine.at, "I2, read").refs != machine.refs) violate("I2: read what never was");
  if (machine.at.sequence < floor(start) && !may_be_stale_)
    violate("I2: a read of " + text(machine.at) + " after " + std::to_string(floor(start)) +
            " was told");
  if (machine.at.sequence < token) violate("Q3: a read before its token");
  seen_ = std::max(seen_, machine.at.sequence);
}

void History::told_outcome(OperationId operation, replication::Copies copies, const replication::ProposalOutcome& outcome,
                           const Stores& stores) {
  using replication::Copies;
  if (outcome.fate == Fate::kCommitted && copies == Copies::kAll && !outcome.receipt.all) violate("C6: told committed, and not all have it");
  if (outcome.fate == Fate::kShort && copies != Copies::kAll) violate("C6: told short, and nobody asked for all");
  if (outcome.reason == replication::Reason::kMemberAway && copies == Copies::kLocal) violate("C7: refused for want of members, and it needs none");
  if (outcome.fate == Fate::kNotStarted) {
    if (where_.contains(operation)) violate("told not started, but committed");
    never_[operation] = true;
  }
  if (outcome.fate != Fate::kCommitted && outcome.fate != Fate::kShort) return;
  if (at(outcome.entry, "I1, outcome").operation != operation) violate("I1: outcome of another");
  for (const replication::NodeId id : outcome.receipt.members)
    if (!stores.holds(id, outcome.entry) && !stores.destroyed(id) &&
        !stores.lost(id, outcome.entry))
      violate("a receipt names member " + std::to_string(id) + ", which has not the entry");
  if (outcome.receipt.members.empty()) violate("a receipt that names nobody");
  receipts_[outcome.entry.sequence] = {outcome.entry, outcome.receipt.members};
}

void History::told_fate(const EntryId& entry, bool committed) const {
  if (entry.sequence > entries_.size()) violate("a fate that is not decided yet");
  if ((entries_[entry.sequence - 1].id == entry) != committed) violate("a wrong fate");
}

void History::promoted(const std::vector<EntryId>& ids, Sequence base, const Stores& stores) {
  const Sequence end = base + ids.size();
  std::size_t keep = std::min<std::size_t>(base, entries_.size());
  while (keep < entries_.size() && keep < end && entries_[keep].id == ids[keep - base]) ++keep;
  for (const auto& [sequence, promise] : receipts_) {
    if (sequence <= keep) continue;
    for (const replication::NodeId id : promise.members)
      if (stores.holds(id, promise.entry))
        violate("I1: promotion lost " + text(promise.entry) + ", which member " +
                std::to_string(id) + " holds");
  }
  std::erase_if(receipts_, [&](const auto& item) { return item.first > keep; });
  for (std::size_t i = keep; i < entries_.size(); ++i) where_.erase(entries_[i].operation);
  entries_.resize(keep);
  seen_ = std::min<Sequence>(seen_, keep);
  ++generation_;
}

}  // namespace vexor::sim
