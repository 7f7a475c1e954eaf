// Committer: the only way to change state. Gives each change its journal sequence, chains the
// record, checks preconditions against what is committed or about to be, and writes many waiting
// changes in one synced batch (group commit).
//
// Threads: submit() from any number of threads; it blocks until the change is durable or refused.
// Lock order: mutex_ alone; the storage is written while the leader holds none.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <unordered_map>

#include "format/journal_record.h"
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
  format::JournalRecord record;  // sequence, time and previous hash are filled in
  std::vector<Precondition> preconditions;
  sys::Batch rows;  // object and derived rows, not in the record
  // Files that become visible just before the batch (bulk pushes).
  std::vector<std::unique_ptr<sys::BulkWriter>> bulk;
  // Adds rows to the pool's index: other pushes must look again (see index_generation).
  bool extends_index = false;
  // Bulk pushes look their ids up outside; if the pool's generation moved since, kConflict.
  std::optional<std::uint64_t> expected_generation;
  // False: rows in another form and no change of state (maintenance). Leaves no record and takes no
  // sequence; goes alone, so that its preconditions see all that came before it.
  bool is_recorded = true;
};

class Committer {
 public:
  static Result<std::unique_ptr<Committer>> open(sys::StorageBackend& backend,
                                                 const sys::Clock& clock);

  // Returns the journal sequence (of a change without record: the last one). Errors: kConflict (a precondition failed; nothing changed),
  // kIo before the write, kIndeterminate when the write itself failed. After an indeterminate
  // write the committer refuses all further changes (kUnavailable): reopen the store.
  Result<std::uint64_t> submit(Change change);

  std::uint64_t index_generation(format::PoolId pool) const;
  std::uint64_t last_sequence() const;

 private:
  Committer(sys::StorageBackend& backend, const sys::Clock& clock)
      : backend_(backend), clock_(clock) {}

  struct Waiter {
    Change change;
    std::optional<Result<std::uint64_t>> outcome;
  };
  using Overlay = std::unordered_map<std::string, std::optional<std::string>>;

  void lead(std::vector<Waiter*>& group);
  Result<void> check(const Change& change, const sys::StorageSnapshot& snapshot,
                     const Overlay& overlay) const;
  Result<void> raise_counter(Change& change, const sys::StorageSnapshot& snapshot, const Overlay& overlay) const;
  void append(Change& change, std::uint64_t sequence, std::string& previous_hash,
              sys::Batch& batch, Overlay& overlay) const;

  sys::StorageBackend& backend_;
  const sys::Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiter*> queue_;            // guarded by mutex_
  bool leading_ = false;                 // guarded by mutex_
  bool broken_ = false;                  // guarded by mutex_
  std::uint64_t last_sequence_ = 0;      // guarded by mutex_
  std::string last_hash_;                // the leader's alone
  std::unordered_map<format::PoolId, std::uint64_t> generations_;  // guarded by mutex_
};

// Puts the rows that follow from a record; the same on every server that applies the journal.
void apply_record(const format::JournalRecord& record, sys::Batch& batch);

}  // namespace vexor::store
