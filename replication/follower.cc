#include "replication/follower.h"

#include "replication/check.h"
#include "replication/limits.h"

#include <algorithm>
#include <utility>

namespace vexor::replication {
namespace {

// Dense, chained, and within the limits?
bool well_formed(const Append& message) {
  if (message.entries.size() > kAppendEntriesMax) return false;
  const EntryId* previous = &message.previous;
  for (const Entry& entry : message.entries) {
    if (entry.id.sequence != previous->sequence + 1 || entry.previous_hash != previous->hash ||
        entry.epoch > message.epoch || entry.bytes == nullptr)
      return false;
    previous = &entry.id;
  }
  return true;
}

}  // namespace

Follower::Follower(Core& core, Millis now)
    : core_(core), heard_at_(now), promises_(now + core.options.lease_ms) {}

void Follower::begin_epoch(NodeId from, const Append& message) {
  if (message.epoch > core_.log.promised()) core_.log.promise(message.epoch);
  leader_ = from;
  leader_epoch_ = message.epoch;
  compared_ = 0;
  answered_ = 0;
  echo_time_ = 0;
  seeding_ = false;
}

void Follower::append(NodeId from, const Append& message) {
  if (quarantined_ || !well_formed(message)) return;
  if (message.epoch != leader_epoch_ || from != leader_) begin_epoch(from, message);
  heard_at_ = core_.now;
  echo_time_ = std::max(echo_time_, message.send_time);
  promised_ = core_.change.on_its_way() == nullptr || core_.faults.promise_while_candidate;  // P3
  if (promised_) promises_.give(message.incarnation, core_.now + core_.options.lease_ms);
  const auto here = core_.log.log().id_at(message.previous.sequence);
  lacks_previous_ = here != message.previous;
  if (lacks_previous_) {
    answer(samples());
    return;
  }
  if (!take_entries(message)) return;
  seeding_ = false;  // a common point after all
  compared_ = std::max(compared_, message.previous.sequence + message.entries.size());
  core_.commit_to(std::min(message.commit, compared_));  // A4
  answer({});
}

// L2, L3. False: quarantined.
bool Follower::take_entries(const Append& message) {
  const Log& log = core_.log.log();
  std::size_t known = 0;
  while (known < message.entries.size() &&
         log.id_at(message.entries[known].id.sequence) == message.entries[known].id)
    ++known;
  const Sequence end = message.previous.sequence + message.entries.size();
  if (message.differs_behind && known == message.entries.size() && end < log.last().sequence)
    return cut(end, log.id_at(end + 1).value_or(EntryId{}));
  if (core_.faults.cut_without_conflict && known == message.entries.size() &&
      end < log.last().sequence && end >= core_.applied)
    core_.log.cut(end);
  if (known == message.entries.size()) return true;
  const Sequence keep = message.entries[known].id.sequence - 1;
  if (keep < log.last().sequence && !cut(keep, message.entries[known].id)) return false;
  core_.log.append(std::span(message.entries).subspan(known));
  return true;
}

bool Follower::cut(Sequence keep, const EntryId& differing) {
  if (keep < std::max(core_.commit, compared_)) {
    quarantine(differing);
    return false;
  }
  core_.log.cut(keep);
  return true;
}

void Follower::quarantine(EntryId entry) {
  quarantined_ = true;
  core_.alarm(AlarmKind::kDivergence, entry);
}

std::vector<EntryId> Follower::samples() const {  // L5
  const Log& log = core_.log.log();
  std::vector<EntryId> samples{log.base()};
  if (const auto id = log.id_at(core_.commit)) samples.push_back(*id);
  const Sequence last = log.last().sequence;
  for (Sequence back = 0; back <= last - log.base().sequence; back = back * 2 + 1)
    if (const auto id = log.id_at(last - back)) samples.push_back(*id);
  VEXOR_CHECK(samples.size() <= kSamplesMax);
  return samples;
}

void Follower::answer(std::vector<EntryId> samples) {
  answer_due_ = !core_.log.promise_durable();
  if (answer_due_) return;
  AppendAnswer answer;
  answer.epoch = leader_epoch_;
  answer.incarnation = core_.self.incarnation;
  const Sequence match = std::min(compared_, core_.log.durable());
  if (const auto id = core_.log.log().id_at(match)) answer.match = *id;
  answered_ = match;
  answer.samples = std::move(samples);
  answer.echo_time = echo_time_;
  answer.promised = promised_;
  answer.store = core_.self.store;
  core_.send(leader_, std::move(answer));
}

void Follower::log_written() {
  if (quarantined_ || leader_ == 0 || leader_ == core_.self.id) return;
  if (answer_due_) answer(lacks_previous_ ? samples() : std::vector<EntryId>());
  else if (std::min(compared_, core_.log.durable()) > answered_) answer({});
}

void Follower::snapshot_offered(NodeId from, const SnapshotOffer& offer) {
  if (quarantined_ || seeding_ || offer.epoch != leader_epoch_ || from != leader_) return;
  if (offer.entry.sequence <= core_.commit) return;  // L6
  seeding_ = true;
  core_.outputs.push_back(FetchSnapshot{from, offer.entry});
}

void Follower::snapshot_installed() {
  seeding_ = false;
  compared_ = 0;
  answered_ = 0;
}

void Follower::stop_leading() {
  leader_ = 0;
  leader_epoch_ = 0;
  heard_at_ = core_.now;
}

}  // namespace vexor::replication
