// The leader's side of Append: rules L5, L6, A3, A6, P1.
#include "replication/check.h"
#include "replication/leader.h"
#include "replication/limits.h"

#include <algorithm>

namespace vexor::replication {

void Leader::heartbeat() {
  is_unanswered_ = looks_unanswered();
  next_beat_ = core_.now + (is_unanswered_ ? core_.options.unanswered_beat_ms(members_.size()) : core_.options.heartbeat_ms);
  for (Progress& member : members_) {
    measure(member);
    rewind(member);
    offer_copy(member);
    send_append(member, member.next, false);
    send_what_there_is(member);
  }
}

// A6. Of a dead one there is evidence: it is not this node that hears nothing.
bool Leader::looks_unanswered() const {
  return std::any_of(members_.begin(), members_.end(), [&](const Progress& member) {
    return counts(member.id) && !member.dead && core_.now - member.heard_at >= core_.options.detector_ms;
  });
}

// Somebody answered, or the set changed.
void Leader::look_answered() {
  if (is_unanswered_ && !looks_unanswered()) heartbeat();
}

// L6, S7.
bool Leader::needs_copy(const Progress& member) const {
  if (member.incarnation == 0 || core_.applied == 0) return false;
  const Sequence last = core_.log.last().sequence;
  return member.needs_snapshot || (member.common && last - std::max(*member.common, member.match) > core_.options.copy_lag_entries);
}

void Leader::offer_copy(const Progress& member) {
  if (!needs_copy(member)) return;
  if (const auto applied = core_.log.log().id_at(core_.applied)) core_.send(member.id, SnapshotOffer{epoch_, *applied});
}

// S10. False: the answer of a process that may be gone.
bool Leader::take_incarnation(Progress& member, const AppendAnswer& message) {
  const Incarnation incarnation = message.incarnation;
  const Millis echo = std::min(message.echo_time, core_.now);
  if (echo < member.known_since) return false;  // it was removed and is a member again
  if (incarnation == member.incarnation) {
    if (message.store != member.store) return false;  // a process has one store
    member.echoed = std::max(member.echoed, echo);
    return !member.withdrawn;
  }
  if (member.incarnation != 0 && !core_.faults.keep_old_incarnations) {
    if (incarnation != member.candidate) {
      member.candidate = incarnation;
      member.candidate_at = core_.now;
    }
    // It lived after it was first heard, and after the other one was heard of last.
    if (echo <= std::max(member.candidate_at, member.echoed)) return false;
    forget_log(member);
  }
  member.incarnation = incarnation;
  member.store = message.store;
  member.echoed = echo;
  member.candidate = 0;
  member.withdrawn = false;
  return true;
}

void Leader::forget_log(Progress& member) {
  member.needs_snapshot = false;
  member.common.reset();
  member.match = member.match_at_beat = member.commit_told = 0;
  member.beats_without_move = 0;
  member.probes = false;
  member.back_wait = 0;
  member.next = core_.log.last().sequence + 1;
  member.moved_at = core_.now;
}

// The shortest trip of some is that of the link, without waits for the disk there.
void Leader::measure(Progress& member) {
  if (member.shortest_trip) member.round_trip = member.shortest_trip;
  member.shortest_trip.reset();
}

// What was sent and not answered for two heartbeats, and for longer than answers take on this link, is sent again.
void Leader::rewind(Progress& member) {
  const Sequence last = core_.log.last().sequence;
  const bool moved = member.match != member.match_at_beat || member.match == last;
  member.match_at_beat = member.match;
  member.beats_without_move = moved ? 0 : member.beats_without_move + 1;
  const Millis without_move = member.beats_without_move * core_.options.heartbeat_ms;
  if (member.beats_without_move < 3 || without_move < 2 * member.round_trip.value_or(0)) return;
  member.beats_without_move = 0;
  const bool is_unknown = member.match == 0 || member.match < core_.log.log().base().sequence;
  if (is_unknown) member.next = last + 1;
  else move_back(member, member.match + 1);
}

// L5. A member that takes nothing for a while, as rows of an entry are on their way or its link is slow, is not sent the same over and over.
void Leader::move_back(Progress& member, Sequence next) {
  if (next >= member.next) {
    member.next = next;
    return;
  }
  if (member.back_wait > 0 && core_.now - member.moved_back_at < member.back_wait) return;
  member.back_wait = std::clamp(2 * member.back_wait, core_.options.heartbeat_ms, std::max(core_.options.heartbeat_ms, kMoveBackMaxMs));
  member.moved_back_at = core_.now;
  member.next = next;
  member.probes = true;
  member.probe_sent = false;
}

void Leader::send_entries(Progress& member) {
  if (!is_unanswered_) send_what_there_is(member);
}

void Leader::send_what_there_is(Progress& member) {
  if (member.needs_snapshot) return;
  const Sequence last = core_.log.last().sequence;
  while (member.next <= last && member.next - member.match <= kInFlightEntriesMax + 1) {
    // Its log is not known yet: the answer to the heartbeat tells from where on.
    if (member.match == 0 && core_.log.log().base().sequence >= member.next) return;
    if (member.probes && member.probe_sent) return;
    const Sequence before = member.next;
    send_append(member, member.next, true);
    if (member.next == before) return;  // it could not be read
    member.probe_sent = true;
  }
}

void Leader::send_append(Progress& member, Sequence first, bool with_entries) {
  const Log& log = core_.log.log();
  first = std::clamp(first, log.base().sequence + 1, log.last().sequence + 1);
  Append append;
  append.epoch = epoch_;
  append.incarnation = core_.self.incarnation;
  const auto previous = log.id_at(first - 1);
  if (!previous) return;  // its row is damaged (S11): the member hears from who leads next
  append.previous = *previous;
  append.commit = member.commit_told = core_.commit;
  append.send_time = core_.now;
  if (with_entries) {
    append.entries = log.read(first, kAppendEntriesMax, kAppendBytesMax);
    if (append.entries.empty()) {  // S7
      member.needs_snapshot = log.is_gone(first);
      return;
    }
    member.next = first + append.entries.size();
  }
  core_.send(member.id, std::move(append));
}

void Leader::bring_commit(NodeId id) {
  Progress* member = find(id);
  if (member != nullptr && member->commit_told < core_.commit && !is_unanswered_)
    send_append(*member, member->next, false);
}

void Leader::answer(NodeId from, const AppendAnswer& message) {
  Progress* member = find(from);
  if (member == nullptr || message.epoch != epoch_ || message.samples.size() > kSamplesMax) return;
  if (!take_incarnation(*member, message)) return;
  member->heard_at = core_.now;
  member->dead = false;
  const Millis trip = core_.now - std::min(message.echo_time, core_.now);
  member->shortest_trip = std::min(member->shortest_trip.value_or(trip), trip);
  if (!member->round_trip) member->round_trip = trip;
  look_answered();
  if (message.promised)  // P1: from when the Append was sent, by this clock
    member->lease_until =
        std::max(member->lease_until, std::min(message.echo_time, core_.now) +
                                          core_.options.lease_ms - core_.options.lease_margin_ms());
  const bool was_known = member->common.has_value();
  if (message.samples.empty()) {
    member->needs_snapshot = false;
    if (!member->common) member->common = std::min(message.match.sequence, core_.log.last().sequence);
  } else {
    use_samples(*member, message);
  }
  const auto here = core_.log.log().id_at(message.match.sequence);
  if (here == message.match && message.match.sequence > member->match) {  // A3
    member->match = message.match.sequence;
    member->moved_at = core_.now;
    member->next = member->probes ? member->match + 1 : std::max(member->next, member->match + 1);
    member->needs_snapshot = member->probes = false;
    member->back_wait = 0;
    advance_commit();
    settle();  // a committed one may have waited for this copy (C5)
  }
  if (!was_known) offer_copy(*member);  // before entries, which would only seem to bring it near
  send_entries(*member);
  if (draining_) hand_over();  // clients wait: not only with the next tick
}

void Leader::use_samples(Progress& member, const AppendAnswer& message) {
  const Log& log = core_.log.log();
  std::optional<Sequence> common;
  for (const EntryId& sample : message.samples)
    if (log.id_at(sample.sequence) == sample)
      common = std::max(common.value_or(0), sample.sequence);
  // An answer from before the member was seeded may come late.
  if (member.match >= log.base().sequence && member.match > 0)
    common = std::max(common.value_or(0), member.match);
  member.needs_snapshot = !common;
  member.common = common;
  if (!common) return;
  // What was sent before it was moved back is answered so too.
  if (member.back_wait > 0 && message.echo_time <= member.moved_back_at) return;
  move_back(member, std::max(member.match, *common) + 1);
  // Too far for entries while nothing is known to match: have the common point compared first.
  if (member.next - member.match > kInFlightEntriesMax) send_append(member, member.next, false);
}

}  // namespace vexor::replication
