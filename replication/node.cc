#include "replication/node.h"

#include "replication/check.h"
#include "replication/limits.h"

#include <algorithm>

namespace vexor::replication {

Node::Node(Identity self, const Options& options, Log& log, Sequence applied, Millis now,
           const Faults& faults)
    : core_(self, options, faults, log, applied), follower_(core_, now) {
  core_.now = now;
  core_.outputs.push_back(ReadRecord{});
  next_look_ = now + options.coordinator_wait_ms;
}

bool Node::begin(Millis now) {
  VEXOR_CHECK(now >= core_.now);
  core_.now = now;
  return !stopped();
}

// What may follow from any input.
void Node::end_of_input() {
  if (stopped_) return;
  if (core_.damaged && !leader_ && !elected_) {  // S1
    stopped_ = true;
    return reads_.fail_all(core_.outputs);
  }
  if (follower_.quarantined()) return reads_.fail_all(core_.outputs);  // it takes no more input: who waits is told now
  if (leader_) {
    serve_index();
  } else if (follower_.leader() != asked_ && reads_.wants_index()) {
    ask_index();  // for those who waited for somebody to ask
  }
  reads_.complete(core_.applied, core_.now, core_.outputs);
}

void Node::serve_index() {  // Q1
  asked_ = 0;
  if ((asked_by_.empty() && !reads_.wants_index()) || !leader_->may_serve_reads()) return;
  reads_.index_all(core_.commit);
  for (const auto& [from, asked] : asked_by_) {
    leader_->bring_commit(from);
    core_.send(from, ReadIndexAnswer{asked.incarnation, asked.round, core_.commit});
  }
  asked_by_.clear();
}

void Node::tick(Millis now) {
  if (!begin(now)) return;
  core_.change.tick(now, core_.options.coordinator_wait_ms, core_.outputs);
  if (now >= next_look_) {
    next_look_ = now + core_.options.coordinator_wait_ms;
    core_.outputs.push_back(ReadRecord{});
  }
  if (leader_) {
    leader_->tick();
  } else if (!elected_) {
    follower_.tick();
    if (now >= next_ask_) ask_index();
  }
  end_of_input();
}

void Node::ask_index() {  // Q2
  if (leader_ || follower_.leader() == 0 || !reads_.wants_index()) return;
  next_ask_ = core_.now + core_.options.heartbeat_ms;
  asked_ = follower_.leader();
  core_.send(follower_.leader(), ReadIndex{core_.self.incarnation, reads_.begin_round(core_.applied)});
}

void Node::receive(Millis now, NodeId from, const Message& message) {
  if (!begin(now)) return;
  std::visit([&](const auto& told) { handle(from, told); }, message);
  end_of_input();
}

// The record names each epoch before anybody leads it.
bool Node::is_too_far(Epoch epoch) const {
  const Epoch known = core_.record ? core_.record->record.epoch : core_.log.promised();
  return epoch > known && epoch - known > kEpochsAheadMax;
}

void Node::handle(NodeId from, const Append& message) {
  if (is_too_far(message.epoch)) {
    core_.outputs.push_back(ReadRecord{});
    return;
  }
  if (message.epoch < core_.log.promised() && !core_.faults.accept_old_epochs) {  // A1
    core_.send(from, Refusal{core_.log.promised()});
    return;
  }
  if (leader_ || elected_) {
    if (message.epoch <= core_.log.promised() && !core_.faults.accept_old_epochs) return;
    step_down();
  }
  follower_.append(from, message);
}

void Node::handle(NodeId from, const AppendAnswer& message) {
  if (leader_) leader_->answer(from, message);
}

void Node::handle(NodeId, const Refusal& message) {
  if (!leader_ || message.promised_epoch <= leader_->epoch() || is_too_far(message.promised_epoch)) return;
  step_down();
  core_.outputs.push_back(ReadRecord{});
}

void Node::handle(NodeId from, const ReadIndex& message) {
  if (!core_.record || core_.record->record.find(from) == nullptr) return;
  ReadIndex& asked = asked_by_[from];
  const bool late = asked.incarnation == message.incarnation && asked.round > message.round;
  if (!late) asked = message;
}

void Node::handle(NodeId from, const ReadIndexAnswer& message) {
  if (message.incarnation != core_.self.incarnation || from != follower_.leader()) return;
  // A leader's index holds all that was committed before it was asked for (Q1): what is applied here beyond it is another history, as after a
  // promotion (L3).
  if (!leader_ && reads_.exceeds(message.round, message.commit)) return follower_.diverged();
  reads_.index_round(message.round, message.commit);
}

void Node::handle(NodeId from, const SnapshotOffer& message) {
  if (!leader_ && !elected_) follower_.snapshot_offered(from, message);
}

// Taken at its word where it is what the primary may do to the record that is known; else the coordinator tells.
void Node::handle(NodeId from, const Handover& message) {
  const bool is_next = core_.record && core_.record->record.primary == from && message.record.version == core_.record->version + 1 &&
                       message.record.record == handed_over(core_.record->record, core_.self.id, core_.self.incarnation);
  if (is_next) return adopt(message.record);
  core_.outputs.push_back(ReadRecord{});
}

void Node::handle(NodeId from, const Resignation& message) {
  follower_.resigned(from, message.epoch);
}

void Node::peer_dead(Millis now, NodeId peer, Incarnation incarnation) {
  if (!begin(now)) return;
  follower_.peer_dead(peer, incarnation);
  if (leader_) {
    leader_->peer_dead(peer, incarnation);
    leader_->tick();
  } else if (!elected_) {
    follower_.tick();
  }
  end_of_input();
}

void Node::damaged(Millis now) {
  core_.damaged = true;
  if (!begin(now)) return;
  if (leader_) leader_->tick();
  end_of_input();
}

void Node::withdraw(Millis now, NodeId member) {
  if (!begin(now) || !leader_) return;
  leader_->withdraw(member);
  leader_->tick();
  end_of_input();
}

void Node::log_durable(Millis now, LogTicket ticket) {
  if (!begin(now)) return;
  core_.log.written(ticket);
  core_.apply_durable();
  lead_if_elected();
  if (leader_) {
    leader_->log_written();
  } else {
    follower_.log_written();
  }
  end_of_input();
}

void Node::log_failed(Millis now) {
  if (!begin(now)) return;
  core_.alarm(AlarmKind::kLogFailed, core_.log.last());
  if (leader_ && core_.record)
    for (const Member& member : core_.record->record.members)
      if (member.id != core_.self.id) core_.send(member.id, Resignation{leader_->epoch()});
  step_down();
  reads_.fail_all(core_.outputs);
  stopped_ = true;
}

void Node::applied(Millis now, Sequence sequence) {
  if (!begin(now)) return;
  VEXOR_CHECK(sequence <= core_.commit);
  core_.applied = std::max(core_.applied, sequence);
  end_of_input();
}

void Node::snapshot_installed(Millis now) {
  if (!begin(now)) return;
  VEXOR_CHECK(wants_snapshot());
  const Sequence base = core_.log.log().base().sequence;
  VEXOR_CHECK(core_.log.last().sequence == base && base > core_.commit);
  core_.log.replaced();
  core_.commit = core_.applied = core_.apply_asked = base;
  follower_.snapshot_installed();
  end_of_input();
}

void Node::snapshot_failed(Millis now) {
  if (begin(now)) follower_.snapshot_failed();
}

EntryFate Node::fate(const EntryId& entry) const {
  if (entry.sequence > core_.commit) return EntryFate::kOpen;
  const auto here = core_.log.log().id_at(entry.sequence);
  if (!here) return EntryFate::kOpen;  // before the base: the store's journal knows
  return *here == entry ? EntryFate::kCommitted : EntryFate::kLost;
}

}  // namespace vexor::replication
