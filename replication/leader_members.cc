// The in-sync set and the hand-over: rules C2-C4, N3-N5, H1-H4.
#include "replication/leader.h"

#include <algorithm>
#include <utility>

namespace vexor::replication {

void Leader::change(Record to) {
  core_.change.propose(*core_.record, std::move(to), core_.now, core_.outputs);
}

void Leader::keep_members() {
  if (core_.change.on_its_way() != nullptr) return;
  for (const InSync& entry : record().in_sync) {
    if (!leaves(entry)) continue;
    Record to = record();
    std::erase(to.in_sync, entry);
    return change(std::move(to));
  }
  for (const Member& member : record().members) {
    if (!may_enter(member)) continue;
    Record to = record();
    to.in_sync.push_back({member.id, *writes_names() ? find(member.id)->store : 0});
    return change(std::move(to));
  }
  if (Record named = with_names(); named != record()) change(std::move(named));
}

// What it said last is from these moments: enough to give it something that the set cannot take back (C2, H1).
bool Leader::answers(const Progress& member) const {
  return !member.dead && member.incarnation != 0 && core_.now - member.heard_at <= 3 * core_.options.heartbeat_ms;
}

bool Leader::leaves(const InSync& entry) const {  // C4
  const NodeId id = entry.id;
  if (id == core_.self.id) return false;
  if (record().find(id) == nullptr) return true;
  const Progress* member = find(id);
  if (member == nullptr) return false;
  if (member->withdrawn) return true;  // S2
  if (member->incarnation != 0 && !core_.stands_for(entry, member->store)) return true;  // N3
  const bool lags = member->match < core_.log.last().sequence && member->match <= core_.commit &&
                    core_.now - member->moved_at > core_.options.member_lag_ms;
  return (away(*member) || lags) && rest_can_commit(id);
}

bool Leader::rest_can_commit(NodeId without) const {
  std::size_t here = 1;
  for (const Progress& member : members_)
    here += member.id != without && !away(member) && record().find(member.id) != nullptr;
  return here >= copies_min(record().copies);  // not by the policies of repositories: none of them costs the failover
}

bool Leader::may_enter(const Member& member) const {  // C2
  if (member.role != Role::kStandby || record().is_in_sync(member.id)) return false;
  const Progress* progress = find(member.id);
  if (progress == nullptr || progress->withdrawn || !answers(*progress)) return false;
  if (record().has_names() && progress->store == 0) return false;  // N5: it cannot read that record
  return writes_names() && holds_all(*progress);
}

bool Leader::holds_all(const Progress& progress) const {
  if (core_.faults.add_before_caught_up) return true;
  // What others committed may be more than this node, after a start, knows to be committed.
  return progress.match >= core_.commit &&
         (progress.match >= tail_end_ || core_.faults.add_before_tail);
}

// N2: is the store that was heard the one that counts?
bool Leader::is_named(const Progress& progress) const {
  const InSync* entry = record().find_in_sync(progress.id);
  return entry != nullptr && core_.stands_for(*entry, progress.store);
}

// N5. none: it is not known yet.
std::optional<bool> Leader::writes_names() const {
  if (record().has_names()) return true;
  const auto is_old = [](const Progress& member) { return member.incarnation != 0 && member.store == 0; };
  if (core_.self.store == 0 || std::any_of(members_.begin(), members_.end(), is_old)) return false;
  const bool all_told = std::all_of(members_.begin(), members_.end(), [this](const Progress& member) { return member.incarnation != 0 || away(member); });
  return all_told ? std::optional(true) : std::nullopt;
}

// N4: the record with a name wherever there is none and one is known.
Record Leader::with_names() const {
  Record to = record();
  if (!writes_names().value_or(false)) return to;
  for (InSync& entry : to.in_sync) {
    if (entry.store != 0) continue;
    const Progress* member = find(entry.id);
    if (entry.id == core_.self.id) entry.store = core_.self.store;
    else if (member != nullptr && member->incarnation != 0 && !member->withdrawn && holds_all(*member)) entry.store = member->store;
  }
  return to;
}

// S11. Who is in sync and answers is not damaged: else it would be silent.
void Leader::flee_damage() {
  if (!core_.damaged || core_.change.on_its_way() != nullptr || core_.now < next_flight_) return;
  if (record().handover_target != 0) return;
  for (const InSync& entry : record().in_sync) {
    const Progress* member = find(entry.id);
    if (member == nullptr || member->withdrawn || !answers(*member) || !is_named(*member)) continue;
    const auto to = with_handover(record(), entry.id);
    if (!to) continue;
    next_flight_ = core_.now + 2 * core_.options.handover_wait_ms;
    return change(*to);
  }
}

void Leader::hand_over() {
  const NodeId target = record().handover_target;
  if (target == 0 || target == core_.self.id) {
    draining_ = false;
    lease_dropped_ = false;
    return;
  }
  if (!draining_) {
    draining_ = true;  // H1
    draining_since_ = core_.now;
  }
  if (core_.change.on_its_way() != nullptr) return;
  lease_dropped_ = false;
  const Progress* member = find(target);
  const Sequence last = core_.log.last().sequence;
  if (member != nullptr && record().may_take_over(target) && answers(*member) && is_named(*member) &&
      member->match == last && core_.commit == last) {
    lease_dropped_ = true;  // H2
    return change(handed_over(record(), target, member->incarnation));
  }
  if (core_.now - draining_since_ < core_.options.handover_wait_ms) return;
  Record to = record();
  to.handover_target = 0;  // H4
  change(std::move(to));
}

}  // namespace vexor::replication
