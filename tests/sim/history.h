// The checker: sees everything that happens in a run, and knows what may not.
// I1, I2, I3 and the wording of receipts and outcomes; docs/protocol/replication.md.
#pragma once

#include "replication/outputs.h"
#include "sim/machine.h"

#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace vexor::sim {

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};
[[noreturn]] void violate(const std::string& text);

class Stores;  // who has what durably

class History {
 public:
  // A server knows `entry` to be committed. In order of sequence for each server.
  void committed(const replication::Entry& entry);
  // A leader that knows of `members` committed an entry of its own reign, whose policy is `copies` (C1).
  void has_copies(const EntryId& entry, replication::Copies copies, const std::vector<replication::Member>& members, const Stores& stores) const;
  // A server has applied up to `machine.at`.
  void applied(const Machine& machine) const;

  // --- what clients see. `floor` of an operation: what had been seen by anybody when it began.
  struct Start {
    Sequence floor = 0;
    std::uint64_t generation = 0;
  };
  Start begin() const { return {seen_, generation_}; }
  void acknowledged(const Start& start, OperationId operation, const EntryId& entry);
  void refused(const Start& start, const Operation& operation, const EntryId& head);
  void was_read(const Start& start, const Machine& machine, Sequence token);

  // --- what servers say, at the moment they say it. `copies`: the policy that counts, by the record that the server knows.
  void told_outcome(OperationId operation, replication::Copies copies, const replication::ProposalOutcome& outcome,
                    const Stores& stores);
  void told_fate(const EntryId& entry, bool committed) const;

  // An operator promoted a store whose log ends with `entries`: what it has not is lost.
  void promoted(const std::vector<EntryId>& ids, Sequence base, const Stores& stores);

  // Reads and refusals may be of an old state from now on: a promise of one member is over at another's time.
  void clocks_jump() { may_be_stale_ = true; }

  Sequence length() const { return entries_.size(); }
  std::uint64_t acknowledged_count() const { return acknowledged_; }
  std::string text(const EntryId& entry) const;

 private:
  bool may_be_stale_ = false;
  struct Committed {
    EntryId id;
    OperationId operation;
    Refs refs;  // after it
  };
  struct Promise {  // an acknowledged push
    EntryId entry;
    std::vector<replication::NodeId> members;
  };
  const Committed& at(const EntryId& entry, const char* who) const;
  Sequence floor(const Start& start) const {
    return start.generation == generation_ ? start.floor : 0;
  }

  std::vector<Committed> entries_;
  std::unordered_map<OperationId, Sequence> where_;
  std::unordered_map<OperationId, bool> never_;  // not started
  std::unordered_map<Sequence, Promise> receipts_;
  Sequence seen_ = 0;             // the largest that a client was told of
  std::uint64_t generation_ = 0;  // of promotions
  std::uint64_t acknowledged_ = 0;
};

class Stores {
 public:
  virtual ~Stores() = default;
  // Does the store exist and have the entry durably?
  virtual bool holds(replication::NodeId id, const EntryId& entry) const = 0;
  // Was there once, with all it had.
  virtual bool destroyed(replication::NodeId id) const = 0;
  // A fault took from its disk what was confirmed, perhaps this entry; the leader may not know yet.
  virtual bool lost(replication::NodeId id, const EntryId& entry) const = 0;
};

}  // namespace vexor::sim
