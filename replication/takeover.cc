// When a follower takes over: rules T1-T3 with P2.
#include "replication/check.h"
#include "replication/follower.h"

namespace vexor::replication {

void Follower::record_changed() {
  const Record& record = core_.record->record;
  if (record.epoch > leader_epoch_) {
    leader_ = record.primary;
    heard_at_ = core_.now;  // a new leader has its time to be heard
  }
}

void Follower::resigned(NodeId peer, Epoch epoch) {
  vacated_epoch_ = epoch;
  vacated_by_ = peer;
}

void Follower::peer_dead(NodeId peer, Incarnation incarnation) {
  dead_ = incarnation;
  dead_peer_ = peer;
}

void Follower::tick() {
  if (quarantined_ || !may_take_over()) return;
  core_.change.propose(*core_.record,
                       taken_over(core_.record->record, core_.self.id, core_.self.incarnation),
                       core_.now, core_.outputs);
}

bool Follower::may_take_over() const {
  if (!core_.record || core_.change.on_its_way() != nullptr || seeding_) return false;
  if (core_.damaged) return false;  // S1
  const Record& record = core_.record->record;
  if (!record.may_take_over(core_.self.id) || !core_.is_in_sync_itself(record)) return false;
  // A leader of a later epoch was heard: the record seen is an old one.
  if (record.epoch < core_.log.promised()) return false;
  const Incarnation primary = record.primary_incarnation;
  const bool vacant = record.primary == core_.self.id;                       // T1
  const bool died = dead_peer_ == record.primary && dead_ == primary;
  const bool resigned = vacated_by_ == record.primary && vacated_epoch_ == record.epoch;
  if (vacant || died || resigned) return !promises_.running_but_to(primary, core_.now);  // P2
  return silent(record) && !promises_.running(core_.now);                    // T3
}

bool Follower::silent(const Record& record) const {
  Millis wait = core_.options.detector_ms;
  for (const InSync& entry : record.in_sync) {
    if (entry.id == core_.self.id) break;
    if (entry.id != record.primary) wait += core_.options.rank_step_ms;
  }
  return core_.now - heard_at_ >= wait;
}

}  // namespace vexor::replication
