// The part of a node that follows a leader: takes its entries, answers, and takes over when it is
// gone. Also of archives, which never take over.
#pragma once

#include "replication/core.h"
#include "replication/promises.h"

#include <optional>
#include <vector>

namespace vexor::replication {

class Follower {
 public:
  Follower(Core& core, Millis now);

  // The caller has seen to A1: the epoch is not below the promised one.
  void append(NodeId from, const Append& message);
  void snapshot_offered(NodeId from, const SnapshotOffer& offer);
  void snapshot_installed();
  void snapshot_failed() { seeding_ = false; }
  bool wants_snapshot() const { return seeding_; }
  void log_written();
  void record_changed();
  void resigned(NodeId peer, Epoch epoch);
  void peer_dead(NodeId peer, Incarnation incarnation);
  void tick();
  void stop_leading();  // this node led; silence counts from now

  // Whom to ask: heard in this epoch, or named by the record; 0 if not known.
  NodeId leader() const { return leader_; }
  // What is applied here is not what the leader has.
  void diverged() { quarantine(core_.log.last()); }
  bool quarantined() const { return quarantined_; }
  // All of the log was compared with the leader's: nothing of it is cut in this epoch.
  bool is_compared() const { return leader_ != 0 && compared_ == core_.log.last().sequence; }
  // Up to where, with the leader of the promised epoch; 0: nothing was.
  Sequence compared() const { return leader_ != 0 && leader_epoch_ == core_.log.promised() ? compared_ : 0; }

 private:
  void begin_epoch(NodeId from, const Append& message);
  bool take_entries(const Append& message);
  bool cut(Sequence keep, const EntryId& differing);
  void quarantine(EntryId entry);
  void answer(std::vector<EntryId> samples);
  std::vector<EntryId> samples() const;
  bool may_take_over() const;  // T1-T3 with P2
  bool silent(const Record& record) const;

  Core& core_;
  NodeId leader_ = 0;
  Epoch leader_epoch_ = 0;
  Millis heard_at_;        // from the leader, or of a new one
  Sequence compared_ = 0;  // with the leader's log (A3)
  Sequence answered_ = 0;  // the last match told
  Millis echo_time_ = 0;
  bool answer_due_ = false;  // until the promise is durable (A2)
  bool lacks_previous_ = false;  // what the last Append goes on from: the answer tells what there is (L5)
  bool promised_ = false;    // with the last Append
  bool seeding_ = false;
  bool quarantined_ = false;
  Promises promises_;
  Epoch vacated_epoch_ = 0;  // by resignation
  NodeId vacated_by_ = 0;
  Incarnation dead_ = 0;     // evidence
  NodeId dead_peer_ = 0;
};

}  // namespace vexor::replication
