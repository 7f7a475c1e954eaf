// What is committed, and what is told about it: rules C1, C5 to C7, Q4.
#include "replication/check.h"
#include "replication/leader.h"
#include "replication/limits.h"

#include <algorithm>

namespace vexor::replication {

Sequence Leader::match_of(NodeId id) const {
  if (id == core_.self.id) return core_.log.durable();
  const Progress* member = find(id);
  return member == nullptr ? 0 : member->match;
}

// N2: what another store under that number has says nothing of it.
Sequence Leader::named_has(const InSync& entry) const {
  const Progress* member = find(entry.id);
  if (member != nullptr && !core_.stands_for(entry, member->store)) return 0;
  return match_of(entry.id);
}

// The least of the effective set.
Sequence Leader::in_sync_has() const {
  Sequence least = core_.log.durable();
  if (core_.faults.commit_without_members) return least;
  for (const InSync& entry : record().in_sync) least = std::min(least, named_has(entry));
  if (const Record* proposed = core_.change.on_its_way())  // C2, C3
    for (const InSync& entry : proposed->in_sync) least = std::min(least, named_has(entry));
  return least;
}

// What the best member has, and what the second best has too.
std::pair<Sequence, Sequence> Leader::copies_have() const {
  Sequence one = 0, two = 0;
  for (const Member& member : record().members) {
    const Sequence has = match_of(member.id);
    two = std::max(two, std::min(one, has));
    one = std::max(one, has);
  }
  return {one, core_.faults.commit_without_members ? one : two};
}

// Of what no proposal of this reign brought, nobody knows the repository's policy (T5).
Copies Leader::policy_at(Sequence sequence) const {
  if (pending_.empty() || sequence < pending_.front().entry.sequence) return record().copies;
  return policy(pending_.at(sequence - pending_.front().entry.sequence));
}

// C1: up to where every entry has its copies. Looks at each entry once, but for the one that lacks them.
Sequence Leader::committable() const {
  const auto [one, two] = copies_have();
  const Sequence end = std::min(in_sync_has(), one);
  Sequence last = std::max(core_.commit, std::min(end, two));
  if (core_.faults.commit_past_others)
    for (Sequence at = end; at > last; --at)
      if (copies_min(policy_at(at)) == 1) return at;
  while (last < end && copies_min(policy_at(last + 1)) == 1) ++last;
  return last;
}

void Leader::advance_commit() {
  const Sequence before = core_.commit;
  core_.commit_to(committable());
  if (core_.commit == before) return;
  for (Pending& pending : pending_) {
    if (pending.entry.sequence > core_.commit) break;
    if (pending.committed) continue;
    pending.committed = true;
    pending.committed_at = core_.now;
  }
  settle();
}

// C7. Who was not heard in this reign may be about to start.
bool Leader::stands_alone() const {
  return std::all_of(members_.begin(), members_.end(), [this](const Progress& member) {
    const bool was_heard = member.incarnation != 0 || core_.now - member.heard_at > core_.options.proposal_wait_ms;
    return !counts(member.id) && (member.dead || (was_heard && away(member)));
  });
}

bool Leader::refuses(Copies copies) const {
  if (copies == Copies::kLocal) return false;
  const bool wants_all = copies == Copies::kAll;  // C6
  if (wants_all && std::any_of(members_.begin(), members_.end(), [this](const Progress& member) { return away(member); })) return true;
  return stands_alone();
}

Reason Leader::refusal(const Entry& entry, Copies copies) const {
  if (draining_) return Reason::kHandover;
  if (entry.epoch != epoch_ || entry.previous() != core_.log.last() || entry.bytes == nullptr)
    return Reason::kStale;
  if (core_.log.last().sequence - core_.commit >= kTailEntriesMax) return Reason::kBusy;
  if (pending_.size() >= 2 * kTailEntriesMax) return Reason::kBusy;
  if (refuses(copies)) return Reason::kMemberAway;
  return Reason::kNone;
}

void Leader::propose(RequestId request, const Entry& entry, std::optional<Copies> copies) {
  if (const Reason reason = refusal(entry, copies.value_or(record().copies)); reason != Reason::kNone) {
    ProposalOutcome outcome;
    outcome.request = request;
    outcome.reason = reason;
    outcome.retry_at = draining_ ? record().handover_target : core_.self.id;
    core_.outputs.push_back(outcome);
    return;
  }
  const Sequence before = core_.log.last().sequence;
  core_.log.append(std::span(&entry, 1));
  pending_.push_back({request, entry.id, core_.now, copies});
  for (Progress& member : members_) {
    if (member.match == before) member.moved_at = core_.now;
    send_entries(member);
  }
  advance_commit();
}

void Leader::settle() {
  for (Pending& pending : pending_)
    if (!pending.told) pending.told = settle_one(pending);
  // What was told to be unknown is kept: its policy counts until it is committed.
  while (!pending_.empty() && pending_.front().told && pending_.front().committed) pending_.pop_front();
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
    const bool enough = policy(pending) != Copies::kAll || outcome.receipt.all;
    outcome.fate = enough ? Fate::kCommitted : Fate::kShort;
  }
  core_.outputs.push_back(outcome);
}

bool Leader::is_near(const Progress& member) const {  // C5
  return member.round_trip.value_or(0) <= core_.options.offsite_wait_ms;
}

bool Leader::waits_for_copies(const Pending& pending) const {  // C5, C6
  const bool all = policy(pending) == Copies::kAll;
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
