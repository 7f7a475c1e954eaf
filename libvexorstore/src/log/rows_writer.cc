#include "log/rows_writer.h"

#include "format/log_rows.h"

namespace vexor::log {

using sys::Family;

Result<void> StoredRowsWriter::begin(HashAlgorithm algorithm) {
  index_.emplace(record_, algorithm);
  algorithm_ = algorithm;
  return place_.in_turn([&] { return put_in_quarantine(); });
}

Result<void> StoredRowsWriter::put_in_quarantine() {
  sys::Batch batch;
  batch.put(Family::kQuarantine, format::number_key(record_.pool, record_.first_object),
            format::encode_quarantine_row({algorithm_, record_.object_count}));
  return core_.backend->commit(batch, sys::Durability::kSynced);
}

Result<void> StoredRowsWriter::add(Bytes piece) {
  VEXOR_TRY(place_.in_turn([] { return success(); }));
  VEXOR_TRY(const format::LogRows rows, format::decode_log_rows(piece));
  if (!index_) {
    VEXOR_TRY(begin(rows.algorithm));
  }
  for (const sys::Batch::Op& op : rows.rows.ops()) {
    VEXOR_TRY(add_row(op.family, op.key, op.value));
  }
  return success();
}

Result<void> StoredRowsWriter::add_row(Family family, Bytes key, Bytes value) {
  VEXOR_TRY(index_->add(family, key, value));
  if (files_.empty() || files_.back()->family() != family) {
    if (!files_.empty() && files_.back()->family() > family) return Error(Errc::kProtocol, "log rows: families out of order");
    VEXOR_TRY(auto file, core_.backend->bulk_writer(family));
    files_.push_back(std::move(file));
    last_key_.clear();
  }
  if (key <= Bytes(last_key_)) return Error(Errc::kProtocol, "log rows: keys out of order");
  last_key_ = std::string(key);
  return files_.back()->put(key, value);
}

Result<void> StoredRowsWriter::finish() {
  if (!index_) return Error(Errc::kProtocol, "log rows: none");
  VEXOR_TRY(index_->check());
  if (record_.sequence != 0) {
    VEXOR_TRY(place_.check_bases(record_, index_->outside_bases()));
  }
  StagedRows staged;
  staged.objects_digest = record_.objects_digest;
  staged.outside_bases = index_->outside_bases();
  VEXOR_TRY(staged.index, core_.backend->bulk_writer(Family::kIndex));
  VEXOR_TRY(index_->write([&](Bytes key, Bytes value) { return staged.index->put(key, value); }));
  for (const auto& file : files_) {
    VEXOR_TRY(file->finish());
  }
  VEXOR_TRY(staged.index->finish());  // its turn is that of the record: members append one after the other
  return place_.in_turn([&]() -> Result<void> {
    const std::string key = format::number_key(record_.pool, record_.first_object);
    if (place_.is_staged(key)) return success();  // another transfer was faster; its extents may be others than these
    VEXOR_TRY(put_in_quarantine());  // again: a purge that was applied meanwhile took the row with the pool's others
    VEXOR_TRY(core_.backend->ingest(std::move(files_)));
    place_.stage(key, std::move(staged));
    return success();
  });
}

}  // namespace vexor::log
