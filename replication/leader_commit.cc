// What is committed, and what is told about it: rules C1, C5, C6, Q4.
#include "replication/check.h"
#include "replication/leader.h"
#include "replication/limits.h"

#include <algorithm>
#include <functional>

namespace vexor::replication {

Sequence Leader::match_of(NodeId id) const {
  if (id == core_.self.id) return core_.log.durable();
  const Progress* member = find(id);
  return member == nullptr ? 0 : member->match;
}

// The least of the effective set.
Sequence Leader::in_sync_has() const {
  Sequence least = core_.log.durable();
  if (core_.faults.commit_without_members) return least;
  for (const NodeId id : record().in_sync) least = std::min(least, match_of(id));
  if (const Record* proposed = core_.change.on_its_way())  // C2, C3
    for (const NodeId id : proposed->in_sync) least = std::min(least, match_of(id));
  return least;
}

// What the best `copies_min` members have.
Sequence Leader::copies_have() const {
  std::vector<Sequence> matches;
  for (const Member& member : record().members) matches.push_back(match_of(member.id));
  std::sort(matches.begin(), matches.end(), std::greater<>());
  const std::size_t copies = core_.faults.commit_without_members ? 1 : record().copies_min();
  return matches.size() < copies ? 0 : matches[copies - 1];
}

void Leader::advance_commit() {
  const Sequence before = core_.commit;
  core_.commit_to(std::min(in_sync_has(), copies_have()));
  if (core_.commit == before) return;
  for (Pending& pending : pending_) {
    if (pending.entry.sequence > core_.commit) break;
    if (pending.committed) continue;
    pending.committed = true;
    pending.committed_at = core_.now;
  }
  settle();
}

Reason Leader::refusal(const Entry& entry) const {
  if (draining_) return Reason::kHandover;
  if (entry.epoch != epoch_ || entry.previous() != core_.log.last() || entry.bytes == nullptr)
    return Reason::kStale;
  if (core_.log.last().sequence - core_.commit >= kTailEntriesMax) return Reason::kBusy;
  if (pending_.size() >= 2 * kTailEntriesMax) return Reason::kBusy;
  if (record().copies == Copies::kAll)  // C6
    for (const Progress& member : members_)
      if (away(member)) return Reason::kMemberAway;
  return Reason::kNone;
}

void Leader::propose(RequestId request, const Entry& entry) {
  if (const Reason reason = refusal(entry); reason != Reason::kNone) {
    ProposalOutcome outcome;
    outcome.request = request;
    outcome.reason = reason;
    outcome.retry_at = draining_ ? record().handover_target : core_.self.id;
    core_.outputs.push_back(outcome);
    return;
  }
  const Sequence before = core_.log.last().sequence;
  core_.log.append(std::span(&entry, 1));
  pending_.push_back({request, entry.id, core_.now});
  for (Progress& member : members_) {
    if (member.match == before) member.moved_at = core_.now;
    send_entries(member);
  }
  advance_commit();
}

void Leader::settle() {
  for (Pending& pending : pending_)
    if (!pending.told) pending.told = settle_one(pending);
  while (!pending_.empty() && pending_.front().told) pending_.pop_front();
  settle_confirmations();
}

bool Leader::settle_one(const Pending& pending) {
  const bool waits = pending.committed
                         ? waits_for_copies(pending)
                         : core_.now - pending.proposed_at < core_.options.proposal_wait_ms;
  if (!waits) tell(pending);
  return !waits;
}

// What is known now. A commit stays a fact when the reign ends.
void Leader::tell(const Pending& pending) {
  ProposalOutcome outcome;
  outcome.request = pending.request;
  outcome.epoch = epoch_;
  outcome.entry = pending.entry;
  outcome.fate = Fate::kUnknown;
  if (pending.committed) {
    outcome.receipt = receipt(pending.entry.sequence);
    const bool enough = record().copies != Copies::kAll || outcome.receipt.all;
    outcome.fate = enough ? Fate::kCommitted : Fate::kShort;
  }
  core_.outputs.push_back(outcome);
}

bool Leader::is_near(const Progress& member) const {  // C5
  return member.round_trip.value_or(0) <= core_.options.offsite_wait_ms;
}

bool Leader::waits_for_copies(const Pending& pending) const {  // C5, C6
  const bool all = record().copies == Copies::kAll;
  if (core_.now - pending.committed_at >= (all ? core_.options.all_wait_ms : core_.options.offsite_wait_ms)) return false;
  return std::any_of(members_.begin(), members_.end(), [&](const Progress& progress) {
    const Member* member = record().find(progress.id);
    if (member == nullptr || progress.match >= pending.entry.sequence) return false;
    return all || (member->role == Role::kOffsite && is_near(progress) && !away(progress));
  });
}

Receipt Leader::receipt(Sequence sequence) const {
  Receipt receipt;
  for (const Member& member : record().members)
    if (match_of(member.id) >= sequence) receipt.members.push_back(member.id);
  receipt.all = receipt.members.size() == record().members.size();
  return receipt;
}

void Leader::confirm_head(RequestId request) {
  if (draining_ || confirmations_.size() >= kConfirmationsMax) {
    core_.outputs.push_back(ConfirmOutcome{request, false});
    return;
  }
  confirmations_.push_back({request, core_.log.last().sequence, core_.now});
  settle_confirmations();
}

void Leader::settle_confirmations() {  // Q4
  std::erase_if(confirmations_, [&](const Confirmation& confirmation) {
    if (core_.now - confirmation.since < core_.options.proposal_wait_ms) return false;
    core_.outputs.push_back(ConfirmOutcome{confirmation.request, false});
    return true;
  });
  if (confirmations_.empty() || !may_serve_reads()) return;
  std::erase_if(confirmations_, [&](const Confirmation& confirmation) {
    if (confirmation.head > core_.commit) return false;
    core_.outputs.push_back(ConfirmOutcome{confirmation.request, true});
    return true;
  });
}

}  // namespace vexor::replication
