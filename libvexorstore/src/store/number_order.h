// Which records of a pool come after one with higher numbers. A push has its numbers long before its record has a sequence, so
// the order of numbers is not that of records; where it is another one, a row says so (docs/format/meta.md, row 'o'). In members of replica
// sets only: others send nothing.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "format/journal_record.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor::store {

// Writes these rows as records are appended. Threads: any.
class NumberOrder {
 public:
  // To be called before note() of a record of the pool, with a snapshot that shows all records before it that were not noted here.
  // Errors: kIo, kCorrupt.
  Result<void> load(const sys::StorageSnapshot& snapshot, format::PoolId pool);
  // Puts the row of the record if a record before it may have higher numbers. One row too many does no harm: it tells whose the numbers are.
  void note(const format::JournalRecord& record, sys::Batch& batch);
  // Records were taken off: their numbers may come again.
  void forget();

 private:
  std::mutex mutex_;
  std::unordered_map<format::PoolId, std::uint64_t> ends_;  // guarded by mutex_; behind the highest number of a record, or higher
};

// Writes the rows of the whole journal, in pieces. Ended in the middle it is to be called again: only `last`, which goes in with the last
// piece, synced, says that it is done. Errors: kIo, kCorrupt.
Result<void> note_whole_journal(sys::StorageBackend& backend, sys::Batch last);

// The row of the record goes with it.
void erase_late_row(const format::JournalRecord& record, sys::Batch& batch);

// Whose numbers of a pool these rows tell, as of a snapshot, which must outlive it. Threads: one at a time.
class LateRecords {
 public:
  LateRecords(const sys::StorageSnapshot& snapshot, format::PoolId pool) : snapshot_(snapshot), pool_(pool) {}
  // Sequence of the record that brought the object, if there is a row of it. 0: there is none; then every record that comes after
  // the one that brought it has higher numbers. Neighbours of the number that was asked for last cost nothing. Errors: kIo, kCorrupt.
  Result<std::uint64_t> sequence_of(format::ObjectNumber number);

 private:
  Result<void> look_up(format::ObjectNumber number);

  const sys::StorageSnapshot& snapshot_;
  format::PoolId pool_;
  std::unique_ptr<sys::Cursor> cursor_;
  // What is known: numbers from `from_` up to, without, `end_` are of the record `sequence_`, or of none that has a row.
  std::uint64_t from_ = 0;
  std::uint64_t end_ = 0;
  std::uint64_t sequence_ = 0;
};

}  // namespace vexor::store
