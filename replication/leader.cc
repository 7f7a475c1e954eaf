#include "replication/leader.h"

#include "replication/check.h"

#include <algorithm>

namespace vexor::replication {

Leader::Leader(Core& core)
    : core_(core), epoch_(core.record->record.epoch), tail_end_(core.log.last().sequence) {
  VEXOR_CHECK(record().primary == core.self.id);
  VEXOR_CHECK(record().primary_incarnation == core.self.incarnation);
  VEXOR_CHECK(core.log.promised() == epoch_ && core.log.promise_durable());  // T4
  record_changed();
  tick();
}

Progress* Leader::find(NodeId id) {
  const auto at = std::find_if(members_.begin(), members_.end(),
                               [id](const Progress& member) { return member.id == id; });
  return at == members_.end() ? nullptr : &*at;
}

bool Leader::away(const Progress& member) const {
  return member.dead || core_.now - member.heard_at > core_.options.member_silence_ms;
}

void Leader::record_changed() {
  std::erase_if(members_, [&](const Progress& member) {
    return record().find(member.id) == nullptr && !record().is_in_sync(member.id);
  });
  for (const Member& member : record().members) {
    if (member.id == core_.self.id || find(member.id) != nullptr) continue;
    Progress progress;
    progress.id = member.id;
    progress.next = core_.log.last().sequence + 1;
    progress.known_since = core_.now;
    progress.heard_at = core_.now;
    progress.moved_at = core_.now;
    members_.push_back(progress);
  }
  look_answered();
  advance_commit();
}

void Leader::peer_dead(NodeId peer, Incarnation incarnation) {
  Progress* member = find(peer);
  if (member != nullptr && member->incarnation == incarnation) member->dead = true;
}

void Leader::withdraw(NodeId id) {
  Progress* member = find(id);
  if (member == nullptr) return;
  member->withdrawn = true;
  forget_log(*member);
}

bool Leader::counts(NodeId id) const {
  const Record* proposed = core_.change.on_its_way();
  return record().is_in_sync(id) || (proposed != nullptr && proposed->is_in_sync(id));
}

void Leader::log_written() {
  advance_commit();
  if (draining_) hand_over();
}

bool Leader::may_serve_reads() const {
  if (core_.faults.read_without_lease) return true;
  if (lease_dropped_) return false;                                               // H2
  if (core_.commit < tail_end_ && !core_.faults.serve_before_tail) return false;  // Q1
  bool lease = true;                                                              // P4
  const auto look = [&](const InSync& entry) {
    if (entry.id == core_.self.id) return;
    const Progress* member = find(entry.id);
    lease = lease && member != nullptr && core_.stands_for(entry, member->store) && core_.now < member->lease_until;
  };
  for (const InSync& entry : record().in_sync) look(entry);
  if (const Record* proposed = core_.change.on_its_way())
    for (const InSync& entry : proposed->in_sync) look(entry);
  return lease;
}

void Leader::tick() {
  if (core_.now >= next_beat_) heartbeat();
  keep_members();
  flee_damage();
  hand_over();
  settle();
}

void Leader::stop() {
  for (const Pending& pending : pending_)
    if (!pending.told) tell(pending);
  pending_.clear();
  for (const Confirmation& confirmation : confirmations_)
    core_.outputs.push_back(ConfirmOutcome{confirmation.request, false});
  confirmations_.clear();
}

}  // namespace vexor::replication
