// The part of a node that leads: takes proposals, sends them to the members, commits them, keeps
// the in-sync set and the lease, hands over.
#pragma once

#include "replication/core.h"

#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace vexor::replication {

// What the leader knows of another member.
struct Progress {
  NodeId id = 0;
  Incarnation incarnation = 0;
  StoreName store = 0;  // N1: of `incarnation`
  Millis known_since = 0;  // S10: what was sent before that went to whoever had the number then
  bool dead = false;  // evidence, until it is heard again
  bool withdrawn = false;         // S2: until an incarnation answers that was not heard before
  Millis echoed = 0;              // S10: the latest send time that `incarnation` echoed
  Incarnation candidate = 0;      // another that was heard, first at candidate_at
  Millis candidate_at = 0;
  bool needs_snapshot = false;
  Sequence match = 0;          // durable there, and the same as here
  Sequence next = 0;           // to send
  std::optional<Sequence> common;  // with what it said that it has; none: it said nothing yet
  Sequence commit_told = 0;    // with what was sent
  Sequence match_at_beat = 0;  // `match` at the last heartbeat but one: did it move?
  int beats_without_move = 0;
  // What it is sent again begins with one message; the others follow when that has moved `match`.
  bool probes = false;
  bool probe_sent = false;
  Millis moved_back_at = 0;  // `next`
  Millis back_wait = 0;      // before it is moved back again; 0: it was not since `match` moved
  Millis heard_at = 0;
  Millis lease_until = 0;  // the promise runs until then, by this node's clock (P1)
  Millis moved_at = 0;     // when `match` grew, or had nothing to grow to
  std::optional<Millis> shortest_trip;  // of the answers since the last heartbeat
  std::optional<Millis> round_trip;     // the same of the heartbeat before; none: nothing was answered yet
};

class Leader {
 public:
  // Requires T4. `epoch` is the record's.
  explicit Leader(Core& core);

  Epoch epoch() const { return epoch_; }
  // Where writes should go: the hand-over target while one is served (H1), else this node.
  bool draining() const { return draining_; }

  // `copies`: the policy of the entry's repository; none: the record's, whatever it is at the time.
  void propose(RequestId request, const Entry& entry, std::optional<Copies> copies);
  // C6, C7: whether a proposal with that policy would be refused now for want of members.
  bool refuses(Copies copies) const;
  void confirm_head(RequestId request);
  // Q1: the sequence that a linearizable read that has begun may be served from.
  bool may_serve_reads() const;

  // A read there waits for what is committed: it is not to wait for the next heartbeat too.
  void bring_commit(NodeId member);

  void answer(NodeId from, const AppendAnswer& message);
  void peer_dead(NodeId peer, Incarnation incarnation);
  const std::vector<Progress>& members() const { return members_; }
  // S2: the member is damaged or too late; it is to leave the in-sync set.
  void withdraw(NodeId id);
  // Is it in the effective set?
  bool counts(NodeId id) const;
  void record_changed();
  void log_written();
  void tick();
  // Ends the reign: what was appended has an unknown fate. The node drops this object then.
  void stop();

 private:
  struct Pending {
    RequestId request;
    EntryId entry;
    Millis proposed_at;
    std::optional<Copies> copies;  // its own policy
    Millis committed_at = 0;
    bool committed = false;
    bool told = false;
  };
  struct Confirmation {
    RequestId request;
    Sequence head;
    Millis since;
  };

  Progress* find(NodeId id);
  const Progress* find(NodeId id) const { return const_cast<Leader*>(this)->find(id); }
  const Record& record() const { return core_.record->record; }
  bool away(const Progress& member) const;
  bool answers(const Progress& member) const;
  Sequence match_of(NodeId id) const;
  Sequence named_has(const InSync& entry) const;

  // leader_append.cc
  void send_entries(Progress& member);
  void send_append(Progress& member, Sequence first, bool with_entries);
  void heartbeat();
  void measure(Progress& member);
  bool looks_unanswered() const;
  void look_answered();
  void send_what_there_is(Progress& member);
  void rewind(Progress& member);
  void move_back(Progress& member, Sequence next);
  void forget_log(Progress& member);
  bool take_incarnation(Progress& member, const AppendAnswer& message);
  bool needs_copy(const Progress& member) const;
  void offer_copy(const Progress& member);
  void use_samples(Progress& member, const AppendAnswer& message);
  // leader_commit.cc
  void advance_commit();
  Sequence in_sync_has() const;
  std::pair<Sequence, Sequence> copies_have() const;
  Sequence committable() const;
  Copies policy(const Pending& pending) const { return pending.copies.value_or(record().copies); }
  Copies policy_at(Sequence sequence) const;
  bool stands_alone() const;
  Reason refusal(const Entry& entry, Copies copies) const;
  void settle();
  bool settle_one(const Pending& pending);
  void tell(const Pending& pending);
  bool waits_for_copies(const Pending& pending) const;
  bool is_near(const Progress& member) const;
  Receipt receipt(Sequence sequence) const;
  void settle_confirmations();
  // leader_members.cc
  void keep_members();
  bool leaves(const InSync& entry) const;
  bool rest_can_commit(NodeId without) const;
  bool may_enter(const Member& member) const;
  bool holds_all(const Progress& progress) const;
  bool is_named(const Progress& progress) const;
  std::optional<bool> writes_names() const;
  Record with_names() const;
  void hand_over();
  void flee_damage();
  void change(Record to);

  Core& core_;
  Epoch epoch_;
  Sequence tail_end_;              // of the log when the reign began (Q1)
  std::vector<Progress> members_;  // without this node
  // What this reign appended, without gaps, from the first that is not both committed and told.
  std::deque<Pending> pending_;
  std::vector<Confirmation> confirmations_;
  Millis next_beat_ = 0;
  bool is_unanswered_ = false;  // A6; as of the last heartbeat
  bool draining_ = false;
  bool lease_dropped_ = false;  // H2
  Millis draining_since_ = 0;
  Millis next_flight_ = 0;  // S11: when a damaged leader looks for another target
};

}  // namespace vexor::replication
