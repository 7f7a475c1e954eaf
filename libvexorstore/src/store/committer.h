// Committer: the only way to change state. Gives each change its journal sequence, chains the
// record, checks preconditions against what is committed or about to be, and writes many waiting
// changes in one synced batch (group commit).
//
// Alone, a store applies records in the batch that appends them. A member of a replica set appends
// first and applies when replication says so (vexorstore/replica_log.h); only the primary takes changes.
//
// Threads: submit() from any number of threads; it blocks until the change is durable (in a replica
// set: settled) or refused. Lock order: apply_mutex_, then mutex_; the storage is written while the
// leader holds neither.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <set>
#include <unordered_map>

#include "format/journal_record.h"
#include "store/number_order.h"
#include "store/pending_rows.h"
#include "vexorstore/replica_log.h"
#include "vexorstore/sys/clock.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor::store {

// What a row must be for the change to happen.
struct Precondition {
  sys::Family family;
  std::string key;
  std::optional<std::string> expected;  // nullopt: must not exist
};

struct Change {
  format::JournalRecord record;  // epoch, sequence, time and previous hash are filled in
  std::vector<Precondition> preconditions;
  sys::Batch rows;  // object and derived rows, not in the record
  // In which the numbers of the record's objects were reserved (see Committer::reign). In another one: kUnavailable.
  std::uint64_t reign = 0;
  // As Committer::withdrawals() was before what the change leans on was read; nullopt: it leans on rows of its preconditions only. Another one since: kConflict.
  std::optional<std::uint64_t> withdrawals;
  // Of the record's repository, as the record leaves it. Filled in.
  CopyPolicy copies = CopyPolicy::kCluster;
  // The quarantine row of the record's objects; empty: it has none. Written before when `bulk` is not empty.
  std::string quarantine_row;
  // Files that become visible just before the batch (bulk pushes).
  std::vector<std::unique_ptr<sys::BulkWriter>> bulk;
  // Adds rows to the pool's index: other pushes must look again (see index_generation).
  bool extends_index = false;
  // Bulk pushes look their ids up outside; if the pool's generation moved since, kConflict.
  std::optional<std::uint64_t> expected_generation;
  // False: rows in another form and no change of state (maintenance). Leaves no record and takes no
  // sequence; goes alone, so that its preconditions see all that came before it. In a replica set each
  // member makes its own.
  bool is_recorded = true;

  // Has the files on the disk. To be done before a turn in which nobody else writes: it may take seconds. Errors: kIo.
  Result<void> finish_files() const;
};

// The policy of the record's repository, as the record leaves it. Errors: kCorrupt.
Result<CopyPolicy> copies_of(const Change& change);

class Committer {
 public:
  enum class Role : std::uint8_t { kAlone, kPrimary, kReplica };

  static Result<std::unique_ptr<Committer>> open(sys::StorageBackend& backend,
                                                 const sys::Clock& clock);

  // Errors: kConflict (a precondition failed; nothing changed), kUnavailable (not the primary; nothing
  // changed), kRefused (too few servers answer for what its repository asks for; nothing changed), kIo before the write, kIndeterminate when the write itself failed or the record was appended
  // and this server stopped being the primary. A primary tells a conflict once what it was judged by is
  // committed (kUnavailable: it is not the primary any more). After an indeterminate write the committer refuses all
  // further changes (kUnavailable): reopen the store. The receipt of a change without record has the
  // sequence of the last. `told`: the receipt again, for a caller far away; null: for nobody.
  Result<Receipt> submit(Change change, Receipt* told = nullptr);

  // Waits until all that is appended now is applied, or will not be by this server. False: it is not, within the time that is waited: whoever
  // judges by what it reads then, and has no precondition for it, must not go on. After a conflict, what conflicted can
  // be read; if not yet, the preconditions of the next try say so again.
  [[nodiscard]] bool wait_applied();
  // For tests. Before threads come.
  void set_applied_wait(std::chrono::milliseconds wait) { applied_wait_ = wait; }
  // Changes whenever the store begins to follow or to lead. Then rows without a record are swept, and numbers that were
  // reserved may be given out again: whoever writes under a number has asked before it was reserved.
  std::uint64_t reign() const;
  // Of a primary: whether its set is in a state to forget (LogSink::admit_forgetting). Errors: kRefused.
  Result<void> admit_forgetting() const;
  // Grows whenever appended records may be taken back: their objects, which can be read from the moment they are appended, are gone then.
  std::uint64_t withdrawals() const;
  // The row of a range of numbers whose files a large push is about to write; synced. Only where changes are
  // taken: a follower's numbers are the primary's. Errors: kUnavailable (also: another reign).
  Result<void> put_quarantine(Bytes key, Bytes row, std::uint64_t reign);
  // Of a large push at a primary: lets its rows in but for the index, and has the members take them, so that its
  // record finds them there. To be kept until submit() has returned. Null: nothing of that is needed. If nothing
  // changed (kConflict, kUnavailable, kRefused), drop_staged() takes the rows out again. Errors: kUnavailable, kRefused, kIo, kIndeterminate.
  Result<std::unique_ptr<StagedCopies>> stage(Change& change);
  // What put_quarantine() and stage() wrote; `range` has the pool and the numbers. In another reign: nothing, it was
  // swept.
  Result<void> drop_staged(const format::JournalRecord& range, std::uint64_t reign);

  // Keys of the ranges that stage() let in and submit() has not taken over since, nor drop_staged() taken out: their index rows are not in.
  std::set<std::string> staged_ranges() const;

  std::uint64_t index_generation(format::PoolId pool) const;
  std::uint64_t last_sequence() const;  // that is applied: what readers see
  Role role() const;

  // For ReplicaLog, which says what each does.
  Result<void> join();
  Result<void> lead_set(std::uint64_t epoch, LogSink& sink, std::uint64_t turn);
  void follow(ReplicaLog::Waiting waiting);
  Result<void> take_back(const std::function<Result<void>()>& erase, const LogPosition& to, std::uint64_t turn);
  // `batch` holds the records and their rows, `files` rows that go in before it: in the turn, as all that is appended does, so that nobody
  // applies meanwhile what depends on it. Waits for a write of the primary that this was.
  Result<void> append_replica(const sys::Batch& batch, std::vector<std::unique_ptr<sys::BulkWriter>> files, const LogPosition& from, const LogPosition& to);
  Result<void> cut(const std::function<Result<void>()>& erase, const LogPosition& to);
  Result<void> apply(std::uint64_t sequence);
  void settle(const Receipt& receipt);
  void give_up(std::uint64_t sequence);
  LogPosition last_position() const;
  NumberOrder& number_order() { return order_; }  // of a member of a replica set

 private:
  Committer(sys::StorageBackend& backend, const sys::Clock& clock)
      : backend_(backend), clock_(clock) {}

  struct Waiter {
    Change change;
    std::optional<Result<Receipt>> outcome;
    bool is_appended = false;  // waits for settle()
    std::condition_variable wake{};

    // Under mutex_. The waiter's frame is gone as soon as that is free.
    void tell(Result<Receipt> with) {
      outcome = std::move(with);
      wake.notify_one();
    }
  };
  struct Written {
    Waiter* waiter;
    std::uint64_t sequence;
  };
  // Waits until nobody writes, and keeps others from it while it lives.
  class WritingTurn {
   public:
    explicit WritingTurn(Committer& committer) : committer_(committer) { committer_.take_writing(); }
    ~WritingTurn() { committer_.release_writing(); }
    WritingTurn(const WritingTurn&) = delete;
    WritingTurn& operator=(const WritingTurn&) = delete;

   private:
    Committer& committer_;
  };
  using Outcomes = std::vector<std::pair<Waiter*, Result<Receipt>>>;

  std::vector<Waiter*> take_group();
  void lead(std::vector<Waiter*>& group);
  Result<void> prepare(Change& change, const sys::StorageSnapshot& snapshot);
  Result<void> check(const Change& change, const sys::StorageSnapshot& snapshot) const;
  Result<void> raise_counter(Change& change, const sys::StorageSnapshot& snapshot) const;
  void append(Change& change, LogPosition& last, sys::Batch& batch, std::vector<LogEntry>& entries);
  void finish(const std::vector<Written>& written, const LogPosition& last, Outcomes& outcomes, bool broken);
  Result<void> replay_tail();
  Result<bool> apply_some(std::uint64_t sequence);
  Result<void> apply_forgetting(std::uint64_t sequence);
  Result<void> write_applied(sys::Batch& batch, std::uint64_t sequence);
  Result<Receipt> submit_once(Change change);
  Result<void> confirm_refusal();
  Result<void> await_members(CopyPolicy copies);
  void refuse_queue(const char* why);
  Result<void> check_reign(std::uint64_t reign) const;
  void refuse_appended_after(std::uint64_t sequence, const char* why);
  void give_up_appended();
  void take_writing();
  void release_writing();
  void end_writing();

  sys::StorageBackend& backend_;
  const sys::Clock& clock_;
  std::mutex apply_mutex_;  // held by apply(), and while changes without record are judged and written; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable wake_;          // nobody writes. Changes wait each for itself: of many that wait one is told at a time
  std::condition_variable applied_wake_;
  std::deque<Waiter*> queue_;            // guarded by mutex_
  std::deque<Written> appended_;         // guarded by mutex_; primary: who waits for settle()
  bool leading_ = false;                 // guarded by mutex_
  bool broken_ = false;                  // guarded by mutex_
  Role role_ = Role::kAlone;             // guarded by mutex_; changes while nobody writes
  std::uint64_t epoch_ = 0;              // guarded by mutex_; of the primary
  std::uint64_t turn_ = 0;               // guarded by mutex_; changes while nobody writes: what entries are marked with
  std::uint64_t reign_ = 0;              // guarded by mutex_; changes while nobody writes
  std::uint64_t withdrawals_ = 0;        // guarded by mutex_; changes while nobody writes
  LogSink* sink_ = nullptr;              // guarded by mutex_; of the primary
  std::set<std::string> staged_ranges_;  // guarded by mutex_
  unsigned asking_ = 0;                  // guarded by mutex_; threads inside sink_->confirm_head()
  LogPosition last_;                     // guarded by mutex_
  std::uint64_t applied_ = 0;            // guarded by mutex_
  PendingRows pending_;                  // the leader's alone
  NumberOrder order_;                    // of whoever writes records
  std::chrono::milliseconds applied_wait_{60'000};  // nobody may answer the primary
  std::unordered_map<format::PoolId, std::uint64_t> generations_;  // guarded by mutex_
};

// Puts the rows that follow from a record; the same on every server that applies the journal, but for index rows (keep_later_index_rows()).
void apply_record(const format::JournalRecord& record, sys::Batch& batch);

}  // namespace vexor::store
