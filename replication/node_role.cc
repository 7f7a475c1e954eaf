// How a node becomes and ceases to be a leader, and what clients may ask of it.
#include "replication/check.h"
#include "replication/node.h"

namespace vexor::replication {

void Node::record_seen(Millis now, const VersionedRecord& record) {
  if (!begin(now)) return;
  adopt(record);
  end_of_input();
}

void Node::change_answered(Millis now, std::uint64_t number, ChangeAnswer answer) {
  if (!begin(now)) return;
  if (answer == ChangeAnswer::kUnknown && core_.faults.forget_unanswered_change)
    core_.change.forget();
  if (const auto done = core_.change.answered(number, answer, core_.outputs)) {
    if (leader_ && done->record.epoch > leader_->epoch())
      core_.send(done->record.primary, Handover{*done});
    adopt(*done);
  }
  end_of_input();
}

void Node::adopt(const VersionedRecord& record) {
  if (core_.record && record.version <= core_.record->version) return;
  // A peer or a coordinator that was set back.
  if (!record.record.sound() ||
      (core_.record && record.record.epoch < core_.record->record.epoch)) {
    core_.alarm(AlarmKind::kRecordUnsound, core_.log.last());
    return;
  }
  core_.change.version_seen(record.version);
  core_.record = record;
  if (leader_ && record.record.epoch > leader_->epoch()) step_down();
  if (leader_ && record.record.primary != core_.self.id) {
    core_.alarm(AlarmKind::kRecordUnsound, core_.log.last());
    step_down();
  }
  if (leader_) {
    leader_->record_changed();
    leader_->tick();
    return;
  }
  const bool names_this = record.record.primary == core_.self.id && record.record.primary_incarnation == core_.self.incarnation;
  if (elected_ && (record.record.epoch > core_.log.promised() || !names_this)) elected_ = false;
  follower_.record_changed();
  const Record& seen = record.record;
  if (names_this && core_.is_in_sync_itself(seen) && seen.epoch > core_.log.promised()) {
    core_.log.promise(seen.epoch);
    elected_ = true;
  }
}

void Node::lead_if_elected() {
  if (!elected_ || !core_.log.promise_durable()) return;
  VEXOR_CHECK(core_.record->record.epoch == core_.log.promised());
  elected_ = false;
  follower_.stop_leading();
  leader_.emplace(core_);
}

void Node::step_down() {
  elected_ = false;
  if (!leader_) return;
  leader_->stop();
  leader_.reset();
  follower_.stop_leading();
}

void Node::propose(Millis now, RequestId request, const Entry& entry, std::optional<Copies> copies) {
  if (begin(now) && leader_) {
    leader_->propose(request, entry, copies);
    end_of_input();
    return;
  }
  ProposalOutcome outcome;
  outcome.request = request;
  outcome.reason = stopped() ? Reason::kStopped : Reason::kNotLeader;
  outcome.retry_at = follower_.leader() == core_.self.id ? 0 : follower_.leader();
  core_.outputs.push_back(outcome);
}

void Node::confirm_head(Millis now, RequestId request) {
  if (!begin(now) || !leader_) {
    core_.outputs.push_back(ConfirmOutcome{request, false});
    return;
  }
  leader_->confirm_head(request);
  end_of_input();
}

void Node::read(Millis now, RequestId request, ReadLevel level, Sequence at_least) {
  const bool linearizable = level == ReadLevel::kLinearizable;
  if (!begin(now) ||
      !reads_.add(request, linearizable, at_least, now + core_.options.read_wait_ms)) {
    core_.outputs.push_back(ReadOutcome{request, false, 0});
    return;
  }
  if (linearizable) ask_index();
  end_of_input();
}

}  // namespace vexor::replication
