// The log of a store as a node sees it: what was told to be written is seen at once, and becomes durable by a
// thread of its own, in order.
//
// Threads: the methods of Log from the node's thread; the others as said. Spec: replication/log.h.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>

#include "replication/host/store_mark.h"
#include "replication/host/work_queue.h"
#include "replication/log.h"
#include "vexorstore/replica_log.h"

namespace vexor::replication {

// What ReplicaLog::save_state keeps: the largest epoch promised. Errors: kCorrupt.
std::string encode_promise(Epoch epoch);
Result<Epoch> decode_promise(const std::string& state);

class StoreLog final : public Log {
 public:
  struct Events {  // called on the writing thread
    std::function<void(LogTicket)> durable;
    std::function<void(const Error&)> failed;
  };
  // `sink`: of the store while it leads. `mark`: of the store (S8); null: it has none.
  StoreLog(ReplicaLog& store, LogSink& sink, StoreMark* mark, Events events);

  // Reads what the store holds. Errors: kCorrupt, kIo.
  Result<void> open();

  EntryId base() const override { return {}; }  // journals are kept from the first record on
  EntryId last() const override { return last_; }
  std::optional<EntryId> id_at(Sequence sequence) const override;
  // What the store must be asked for, as it is no longer in memory, takes 50 ms and an entry more at most: then fewer come, and none for
  // 10 ms.
  std::vector<Entry> read(Sequence first, std::size_t entries_max, std::size_t bytes_max) const override;
  bool is_gone(Sequence sequence) const override { return gone_ == sequence; }
  Epoch promised_epoch() const override { return promised_; }
  LogTicket append(std::span<const Entry> entries) override;
  LogTicket cut(Sequence last) override;
  LogTicket promise(Epoch epoch) override;

  // Whether append() is given entries that the store, as primary, has made durable itself.
  void expect_local(bool is_local) { is_local_ = is_local; }

  // To be run on the writing thread, after what was told before. All keep store and node alike:
  // what the store appended as primary and the node has not taken is cut off.
  // Entries that the store appends from then on are marked with `turn`, which no others have.
  void begin_leading(Epoch epoch, std::uint64_t turn, std::function<void()> done);
  // Those who wait for what the node has are still told by settle() or give_up().
  void end_leading();
  void take_back(std::uint64_t turn);  // the same
  void run_in_order(std::function<void()> work) { writer_.post(std::move(work)); }
  void stop() { writer_.stop(); }

 private:
  void remember(const Entry& entry);
  Sequence stored() const;
  void raise_stored(Sequence sequence, std::uint64_t cuts);
  void write(LogTicket ticket, std::function<Result<void>()> work);
  void tell();
  void tell_before_waiting();
  Result<void> lower_mark(const EntryId& last);
  Result<void> follow_and_cut(Sequence last);
  Result<Entry> read_stored(Sequence sequence) const;

  ReplicaLog& store_;
  LogSink& sink_;
  StoreMark* mark_;
  Events events_;
  EntryId last_;
  Epoch promised_ = 0;
  LogTicket ticket_ = 0;
  bool is_local_ = false;
  std::deque<Entry> recent_;  // up to last_, bounded
  std::size_t recent_bytes_ = 0;
  mutable std::optional<Sequence> gone_;  // as the last read() found
  mutable std::chrono::steady_clock::time_point rests_until_{};  // read() gives nothing that the store must be asked for
  // What the store holds of this log: while a cut is to come, it holds other entries above.
  mutable std::mutex stored_mutex_;
  Sequence stored_ = 0;      // guarded by stored_mutex_
  std::uint64_t cuts_ = 0;   // guarded by stored_mutex_; of this log, on the node's thread
  // Of the writing thread. What was written is told once for all that waited: one mark for a group.
  bool has_failed_ = false;
  bool tells_ = false;  // tell() is on its way
  LogTicket written_ = 0;
  Mark wanted_;
  Mark marked_;
  WorkQueue writer_{"replica log"};
};

}  // namespace vexor::replication
