// One member of a replica set: takes inputs, gives outputs, does nothing else.
//
// Every input carries the monotonic time, read after the input was taken in (Q5), of a clock that
// goes on while the process or the machine is stopped. Times must not go back. After each input the
// driver carries out take_outputs(), in order. An input never blocks, but for Log reads.
//
// Threads: one at a time. Ownership: the log must outlive the node.
// Spec: docs/protocol/replication.md.
#pragma once

#include "replication/core.h"
#include "replication/follower.h"
#include "replication/leader.h"
#include "replication/read_queue.h"

#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace vexor::replication {

enum class ReadLevel : std::uint8_t { kEventual, kLinearizable };
enum class EntryFate : std::uint8_t { kCommitted, kLost, kOpen };

class Node {
 public:
  // `applied`: what the state in the store holds. `self.incarnation` is drawn for this start.
  Node(Identity self, const Options& options, Log& log, Sequence applied, Millis now,
       const Faults& faults = {});

  // --- inputs: time, peers, log, store, coordinator
  void tick(Millis now);  // every heartbeat_ms / 2 or so
  void receive(Millis now, NodeId from, const Message& message);
  // Proof that this incarnation of a peer ended; see "Takeover".
  void peer_dead(Millis now, NodeId peer, Incarnation incarnation);
  void log_durable(Millis now, LogTicket ticket);  // all tickets up to it
  // Rows of this store cannot be read; the log is whole. A leader hands over (S11), others stop (S1).
  void damaged(Millis now);
  // S2: asked by a member that is about to take a copy.
  void withdraw(Millis now, NodeId member);
  // A write failed: the log is as after some earlier write. The node resigns and stops.
  void log_failed(Millis now);
  void applied(Millis now, Sequence sequence);
  // State and log were replaced by the snapshot asked for; log().base() is what it holds. Durable.
  void snapshot_installed(Millis now);
  void snapshot_failed(Millis now);  // the leader will offer another
  // By a read or a watch, in any order.
  void record_seen(Millis now, const VersionedRecord& record);
  void change_answered(Millis now, std::uint64_t number, ChangeAnswer answer);

  // --- inputs: clients. Each request gets exactly one outcome, unless the node is destroyed.
  // `entry` continues head() in head_epoch(); else the outcome is kStale, not started. `copies`: the policy of its repository;
  // none: the record's.
  void propose(Millis now, RequestId request, const Entry& entry, std::optional<Copies> copies = std::nullopt);
  // Q4: tells when what this node, as leader, has in its log now is committed.
  void confirm_head(Millis now, RequestId request);
  // `at_least`: a token, or 0.
  void read(Millis now, RequestId request, ReadLevel level, Sequence at_least);

  std::vector<Output> take_outputs() { return std::exchange(core_.outputs, {}); }

  bool leads() const { return leader_.has_value(); }
  // Leads and takes proposals: it does not hand over (H1).
  bool serves_reads() const { return leader_ && leader_->may_serve_reads(); }  // Q1, as of the last input
  bool takes_proposals() const { return leader_ && !leader_->draining(); }
  // C6, C7: leads, and would refuse a proposal with that policy for want of members.
  bool refuses(Copies copies) const { return leader_ && leader_->refuses(copies); }
  // Follows the leader of head_epoch(), and no entry of the log will be cut in that epoch.
  bool follows_wholly() const {
    return !leader_ && !elected_ && !stopped() && follower_.is_compared();
  }
  // Leads `epoch` or a later one, and `member` is not in its effective set (S3).
  bool leads_without(NodeId member, Epoch epoch) const {
    return leader_ && leader_->epoch() >= epoch && !leader_->counts(member);
  }
  bool stopped() const { return stopped_ || follower_.quarantined(); }
  // Still? To be asked in the moment before state and log are replaced.
  bool wants_snapshot() const { return !leader_ && !elected_ && follower_.wants_snapshot(); }
  NodeId leader() const { return leads() ? core_.self.id : follower_.leader(); }
  Epoch head_epoch() const { return core_.log.promised(); }
  EntryId head() const { return core_.log.last(); }
  Sequence commit() const { return core_.commit; }
  // Of a follower: up to where its log is that of the leader it follows. What is behind may be of another history.
  Sequence compared() const { return std::max(core_.commit, follower_.compared()); }
  // What a leader knows of each other member; null: it does not lead.
  const std::vector<Progress>* members() const { return leader_ ? &leader_->members() : nullptr; }
  // The newest seen.
  const std::optional<VersionedRecord>& record() const { return core_.record; }
  // Fate of an entry whose proposal had an unknown outcome.
  EntryFate fate(const EntryId& entry) const;

 private:
  bool begin(Millis now);  // false: stopped
  void handle(NodeId from, const Append& message);
  void handle(NodeId from, const AppendAnswer& message);
  void handle(NodeId from, const Refusal& message);
  void handle(NodeId from, const ReadIndex& message);
  void handle(NodeId from, const ReadIndexAnswer& message);
  void handle(NodeId from, const SnapshotOffer& message);
  void handle(NodeId from, const Handover& message);
  void handle(NodeId from, const Resignation& message);
  bool is_too_far(Epoch epoch) const;
  void adopt(const VersionedRecord& record);
  void lead_if_elected();  // T4
  void step_down();
  void end_of_input();
  void ask_index();
  void serve_index();

  Core core_;
  Follower follower_;
  std::optional<Leader> leader_;
  ReadQueue reads_;
  bool stopped_ = false;
  bool elected_ = false;  // the promise of the record's epoch is on its way to the disk
  Millis next_look_ = 0;  // at the record
  Millis next_ask_ = 0;   // for a read index
  NodeId asked_ = 0;      // whom last; 0: nobody, or this node led meanwhile
  // Rounds of other members that wait until this node leads and may serve reads. Of a member the
  // latest stands for all.
  std::map<NodeId, ReadIndex> asked_by_;
};

}  // namespace vexor::replication
