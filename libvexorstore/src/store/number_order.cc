#include "store/number_order.h"

#include <algorithm>

#include "format/log_rows.h"
#include "store/store_core.h"

namespace vexor::store {

using format::JournalRecord;
using format::ObjectNumber;
using format::PoolId;
using sys::Family;

namespace {

constexpr std::size_t kBatchBytes = 4U << 20U;

std::uint64_t end_of(const JournalRecord& record) { return std::uint64_t{record.first_object} + record.object_count; }

void put_late_row(const JournalRecord& record, sys::Batch& batch) {
  batch.put(Family::kMeta, format::late_key(record.pool, record.first_object), format::encode_late_row({record.sequence, record.object_count}));
}

}  // namespace

Result<void> NumberOrder::load(const sys::StorageSnapshot& snapshot, PoolId pool) {
  const std::lock_guard lock(mutex_);
  if (ends_.contains(pool)) return success();
  VEXOR_TRY(const std::uint64_t end, end_of_numbers(snapshot, pool));
  ends_.emplace(pool, end);
  return success();
}

void NumberOrder::note(const JournalRecord& record, sys::Batch& batch) {
  const std::lock_guard lock(mutex_);
  std::uint64_t& end = ends_[record.pool];
  if (record.first_object < end) put_late_row(record, batch);
  end = std::max(end, end_of(record));
}

void NumberOrder::forget() {
  const std::lock_guard lock(mutex_);
  ends_.clear();
}

Result<void> note_whole_journal(sys::StorageBackend& backend, sys::Batch last) {
  VEXOR_TRY(const auto snapshot, backend.snapshot());
  std::unordered_map<PoolId, std::uint64_t> ends;
  sys::Batch batch;
  const auto cursor = snapshot->cursor(Family::kJournal);
  for (cursor->seek({}); cursor->valid(); cursor->next()) {
    VEXOR_TRY(const JournalRecord record, format::decode_journal_record(cursor->value()));
    if (record.object_count == 0) continue;
    std::uint64_t& end = ends[record.pool];
    if (record.first_object < end) put_late_row(record, batch);
    end = std::max(end, end_of(record));
    if (batch.bytes() < kBatchBytes) continue;
    VEXOR_TRY(backend.commit(batch, sys::Durability::kBuffered));
    batch = sys::Batch();
  }
  VEXOR_TRY(cursor->status());
  batch.put(Family::kMeta, format::late_rows_key(), format::encode_late_rows_row());
  batch.append(std::move(last));
  return backend.commit(batch, sys::Durability::kSynced);
}

void erase_late_row(const JournalRecord& record, sys::Batch& batch) {
  if (record.object_count > 0) batch.erase(Family::kMeta, format::late_key(record.pool, record.first_object));
}

Result<std::uint64_t> LateRecords::sequence_of(ObjectNumber number) {
  if (number < from_ || number >= end_) {
    VEXOR_TRY(look_up(number));
  }
  return sequence_;
}

Result<void> LateRecords::look_up(ObjectNumber number) {
  if (!cursor_) cursor_ = snapshot_.cursor(Family::kMeta);
  const std::string prefix = format::late_prefix(pool_);
  from_ = 0;
  end_ = std::uint64_t{format::kNoObject} + 1;
  sequence_ = 0;
  cursor_->seek_for_prev(format::late_key(pool_, number));
  if (cursor_->valid() && cursor_->key().starts_with(prefix)) {
    VEXOR_TRY(const ObjectNumber first, format::number_of_late_key(cursor_->key()));
    VEXOR_TRY(const format::LateRow row, format::decode_late_row(cursor_->value()));
    const std::uint64_t end = std::uint64_t{first} + row.object_count;
    if (number < end) {
      from_ = first;
      end_ = end;
      sequence_ = row.sequence;
      return success();
    }
    from_ = end;
    cursor_->next();
  } else {
    VEXOR_TRY(cursor_->status());
    cursor_->seek(prefix);
  }
  VEXOR_TRY(cursor_->status());
  if (!cursor_->valid() || !cursor_->key().starts_with(prefix)) return success();
  VEXOR_TRY(const ObjectNumber next, format::number_of_late_key(cursor_->key()));
  end_ = next;
  return success();
}

}  // namespace vexor::store
