// Whether this store has what the deltas of a record lean on. Rows with a delta upon what is not here would be objects that
// nobody can read. Spec: docs/format/log-rows.md.
#pragma once

#include <functional>
#include <map>

#include "format/journal_record.h"
#include "store/store_core.h"

namespace vexor::log {

using format::ObjectNumber;

// For records that are appended in one batch, in their order. Threads: one.
class BaseCheck {
 public:
  // Whether the rows of a range, by its key, came ahead and have no record yet: such objects may never be.
  using IsStaged = std::function<bool(const std::string& range)>;
  BaseCheck(store::StoreCore& core, IsStaged is_staged) : core_(core), is_staged_(std::move(is_staged)) {}

  // Of the store as it is at the first call. Errors: kIo.
  Result<store::SnapshotPtr> snapshot();
  // `bases`: of deltas of the record, outside its range. Each must be of a record before it; one that was swept counts as there. Errors: kNotFound, kIo.
  Result<void> check(const format::JournalRecord& record, const Roaring& bases);
  // The next ones may lean on its objects.
  void add(const format::JournalRecord& record);

 private:
  // End of a run of numbers from `number` on that are of records; `number` itself: it is of none.
  Result<std::uint64_t> end_of_run(format::PoolId pool, ObjectNumber number);

  store::StoreCore& core_;
  IsStaged is_staged_;
  store::SnapshotPtr snapshot_;
  std::map<std::pair<format::PoolId, ObjectNumber>, std::uint64_t> added_;  // end of the range that begins there
};

}  // namespace vexor::log
