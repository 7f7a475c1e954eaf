// The log of a simulated store: what was written, and what of it a crash leaves.
#pragma once

#include "replication/log.h"
#include "sim/random.h"

#include <deque>

namespace vexor::sim {

class SimLog : public replication::Log {
 public:
  using Entry = replication::Entry;
  using EntryId = replication::EntryId;
  using Sequence = replication::Sequence;
  using LogTicket = replication::LogTicket;

  EntryId base() const override { return base_; }
  EntryId last() const override { return entries_.empty() ? base_ : entries_.back().id; }
  std::optional<EntryId> id_at(Sequence sequence) const override;
  std::vector<Entry> read(Sequence first, std::size_t entries_max,
                          std::size_t bytes_max) const override;
  replication::Epoch promised_epoch() const override { return promised_; }
  LogTicket append(std::span<const Entry> entries) override;
  LogTicket cut(Sequence last) override;
  LogTicket promise(replication::Epoch epoch) override;

  const Entry& entry(Sequence sequence) const;
  // Is the entry on the disk, or in a snapshot on it?
  bool durable(const EntryId& id) const;
  // Of the last entry, also if it is the base.
  replication::Epoch last_epoch() const {
    return entries_.empty() ? base_epoch_ : entries_.back().epoch;
  }
  replication::Epoch epoch_at(Sequence sequence) const;
  LogTicket written() const { return next_ticket_ - 1; }
  bool dirty() const { return !unsynced_.empty(); }
  void sync(LogTicket up_to);
  // Loses an end of what was not synced; perhaps in the middle of an append.
  void crash(Random& random);
  // S8. What was told to be durable, and is not there any more?
  bool lost() const { return last().sequence < mark_ || promised_ < marked_promise_; }
  // The disk loses an end of what it had confirmed, not below `floor`; perhaps the promise too.
  void lose_tail(Random& random, Sequence floor);
  void mark();  // before anything is told of what is durable, also of what a start found (S8)
  // Another store: the log of a member that leads, with its promise.
  void copy_of(const SimLog& source, replication::Epoch promise);
  void compact(Sequence base);
  void replace(const EntryId& base, replication::Epoch epoch);

 private:
  struct Write {
    LogTicket ticket = 0;
    std::optional<Sequence> cut;
    std::vector<Entry> entries;
    replication::Epoch promised = 0;
  };
  void make_durable(const Write& write, std::size_t entries_kept);

  EntryId base_;
  replication::Epoch base_epoch_ = 0;
  std::deque<Entry> entries_;
  replication::Epoch promised_ = 0;
  std::deque<Entry> durable_;  // from the same base
  replication::Epoch durable_promised_ = 0;
  std::deque<Write> unsynced_;
  Sequence mark_ = 0;  // a file of its own: outlives what the disk loses of the log
  replication::Epoch marked_promise_ = 0;
  replication::Epoch promised_before_ = 0;
  LogTicket next_ticket_ = 1;
};

}  // namespace vexor::sim
