#include "log/base_check.h"

namespace vexor::log {

using sys::Family;

namespace {

// The row of `family` that begins at the number or before it, in the pool.
Result<std::unique_ptr<sys::Cursor>> row_before(const sys::StorageSnapshot& snapshot, Family family, format::PoolId pool, ObjectNumber number) {
  std::unique_ptr<sys::Cursor> cursor = snapshot.cursor(family);
  cursor->seek_for_prev(format::number_key(pool, number));
  VEXOR_TRY(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(format::pool_key(pool))) cursor.reset();
  return cursor;
}

}  // namespace

Result<store::SnapshotPtr> BaseCheck::snapshot() {
  if (!snapshot_) {
    VEXOR_TRY(snapshot_, core_.backend->snapshot());
  }
  return snapshot_;
}

void BaseCheck::add(const format::JournalRecord& record) {
  added_[{record.pool, record.first_object}] = std::uint64_t{record.first_object} + record.object_count;
}

// Objects have a shape from when their rows were let in, and keep it when they are swept. Rows without a record have a row of shapes of their own.
Result<std::uint64_t> BaseCheck::end_of_run(format::PoolId pool, ObjectNumber number) {
  const auto after = added_.upper_bound({pool, number});
  if (after != added_.begin()) {
    const auto& [range, end] = *std::prev(after);
    if (range.first == pool && number < end) return end;
  }
  VEXOR_TRY(const store::SnapshotPtr now, snapshot());
  VEXOR_TRY(const auto shapes, row_before(*now, Family::kShapes, pool, number));
  if (!shapes) return std::uint64_t{number};
  VEXOR_TRY(const ObjectNumber first, format::number_of_key(shapes->key()));
  const std::uint64_t end = std::uint64_t{first} + shapes->value().size();
  if (number >= end) return std::uint64_t{number};
  VEXOR_TRY(const auto quarantine, row_before(*now, Family::kQuarantine, pool, number));
  if (!quarantine) return end;
  VEXOR_TRY(const ObjectNumber range, format::number_of_key(quarantine->key()));
  VEXOR_TRY(const format::QuarantineRow row, format::decode_quarantine_row(quarantine->value()));
  const bool is_staged = number - range < row.object_count && is_staged_(std::string(quarantine->key()));
  return is_staged ? std::uint64_t{number} : end;
}

Result<void> BaseCheck::check(const format::JournalRecord& record, const Roaring& bases) {
  auto base = bases.begin();
  while (base != bases.end()) {
    VEXOR_TRY(const std::uint64_t end, end_of_run(record.pool, *base));
    if (end == *base) {
      return Error(Errc::kNotFound, "journal record " + std::to_string(record.sequence) + " has deltas upon object " + std::to_string(*base) + ", whose record is not here");
    }
    if (end > format::kNoObject) break;
    base.equalorlarger(static_cast<ObjectNumber>(end));
  }
  return success();
}

}  // namespace vexor::log
