#include "log/rows_reader.h"

#include <algorithm>

#include "compress/zlib_stream.h"
#include "format/log_rows.h"

namespace vexor::log {

using sys::Family;

// Merge may have put the shapes of many records into one row.
Result<std::string> shapes_of(const sys::StorageSnapshot& snapshot, const format::JournalRecord& record) {
  const std::string prefix = format::pool_key(record.pool);
  const std::uint64_t end = std::uint64_t{record.first_object} + record.object_count;
  const auto cursor = snapshot.cursor(Family::kShapes);
  cursor->seek_for_prev(format::number_key(record.pool, record.first_object));
  if (!cursor->valid() || !cursor->key().starts_with(prefix)) cursor->seek(prefix);
  std::string shapes;
  for (; cursor->valid() && cursor->key().starts_with(prefix) && shapes.size() < record.object_count; cursor->next()) {
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
    const std::uint64_t next = std::uint64_t{record.first_object} + shapes.size();
    if (first > next) break;
    if (next - first >= cursor->value().size()) continue;
    shapes.append(cursor->value().substr(static_cast<std::size_t>(next - first), static_cast<std::size_t>(end - next)));
  }
  VEXOR_TRY(cursor->status());
  return shapes;
}

Result<bool> lacks_graph_rows(const sys::StorageSnapshot& snapshot, const format::JournalRecord& record) {
  VEXOR_TRY(const std::string shapes, shapes_of(snapshot, record));
  const auto commits = std::count_if(shapes.begin(), shapes.end(), [](char shape) { return format::shape_type(static_cast<std::uint8_t>(shape)) == ObjectType::kCommit; });
  if (commits == 0) return false;
  const std::string prefix = format::pool_key(record.pool);
  std::ptrdiff_t rows = 0;
  const auto cursor = snapshot.cursor(Family::kGraph);
  for (cursor->seek(format::number_key(record.pool, record.first_object)); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const ObjectNumber number, format::number_of_key(cursor->key()));
    if (number - record.first_object >= record.object_count) break;
    ++rows;
  }
  VEXOR_TRY(cursor->status());
  return rows < commits;
}

StoredRowsReader::StoredRowsReader(store::SnapshotPtr snapshot, format::JournalRecord record, HashAlgorithm algorithm, const Limits& limits, bool is_original)
    : snapshot_(std::move(snapshot)), record_(std::move(record)), algorithm_(algorithm), is_original_(is_original),
      reader_(snapshot_, record_.pool, algorithm, limits), late_(*snapshot_, record_.pool),
      packer_(record_.pool, record_.first_object, [this](const std::string& key, const std::string& value) { emit(Family::kExtents, key, value); }) {}

void StoredRowsReader::emit(Family family, Bytes key, Bytes value) { piece_.put(family, key, value); }

Result<std::string> StoredRowsReader::next() {
  piece_ = sys::Batch();
  while (piece_.bytes() < kLogRowsBytesMax) {
    VEXOR_TRY(const bool more, step());
    if (!more) break;
  }
  if (piece_.empty()) return std::string();
  return format::encode_log_rows(algorithm_, piece_);
}

Result<bool> StoredRowsReader::step() {
  switch (phase_) {
    case Phase::kExtents: {
      VEXOR_TRY(const bool more, extent_step());
      if (more) return true;
      packer_.flush();
      break;
    }
    case Phase::kGraph: {
      VEXOR_TRY(const bool more, row_step(Family::kGraph));
      if (more) return true;
      break;
    }
    case Phase::kBitmaps: {
      VEXOR_TRY(const bool more, row_step(Family::kBitmaps));
      if (more) return true;
      break;
    }
    case Phase::kShapes: {
      VEXOR_TRY(add_shapes());
      break;
    }
    case Phase::kEnd: return false;
  }
  phase_ = static_cast<Phase>(static_cast<int>(phase_) + 1);
  cursor_.reset();
  return true;
}

Result<bool> StoredRowsReader::row_step(Family family) {
  if (cursor_) {
    cursor_->next();
  } else {
    cursor_ = snapshot_->cursor(family);
    cursor_->seek(format::number_key(record_.pool, record_.first_object));
  }
  if (!cursor_->valid() || !cursor_->key().starts_with(format::pool_key(record_.pool))) {
    VEXOR_TRY(cursor_->status());
    return false;
  }
  VEXOR_TRY(const ObjectNumber number, format::number_of_key(cursor_->key()));
  if (number >= end()) return false;
  emit(family, cursor_->key(), cursor_->value());
  return true;
}

Result<void> StoredRowsReader::add_shapes() {
  VEXOR_TRY(const std::string shapes, shapes_of(*snapshot_, record_));
  emit(Family::kShapes, format::number_key(record_.pool, record_.first_object), shapes);
  return success();
}

Result<bool> StoredRowsReader::extent_step() {
  if (record_.object_count == 0) return false;
  const std::string first_key = format::extent_key(record_.pool, record_.first_object);
  if (cursor_) {
    cursor_->next();
  } else {
    cursor_ = snapshot_->cursor(Family::kExtents);
    cursor_->seek_for_prev(first_key);
    if (!cursor_->valid() || !cursor_->key().starts_with(format::pool_key(record_.pool)) || !format::has_extent_header(cursor_->key())) {
      VEXOR_TRY(cursor_->status());
      cursor_->seek(first_key);
    }
  }
  if (!cursor_->valid() || !cursor_->key().starts_with(format::pool_key(record_.pool))) {
    VEXOR_TRY(cursor_->status());
    return false;
  }
  VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor_->key()));
  if (first >= end()) return false;
  if (!format::has_extent_header(cursor_->key())) {
    if (!was_taken_apart_) emit(Family::kExtents, cursor_->key(), cursor_->value());
    return true;
  }
  VEXOR_TRY(const format::ExtentHeader header, format::decode_extent_header(first, algorithm_, cursor_->value()));
  bool is_whole = !header.is_cold && first >= record_.first_object && first + header.objects.size() <= end();
  for (const format::ExtentObject& object : header.objects) {
    if (!is_whole) break;
    VEXOR_TRY(const bool early, is_early(object));
    is_whole = !object.is_absent && !early;
  }
  was_taken_apart_ = !is_whole;
  if (!is_whole) {
    VEXOR_TRY(const pack::ExtentPtr loaded, pack::load_extent(first, algorithm_, cursor_->value(), nullptr));
    VEXOR_TRY(take_apart(*loaded));
    return true;
  }
  packer_.skip(static_cast<ObjectNumber>(header.objects.size()));
  emit(Family::kExtents, cursor_->key(), cursor_->value());
  return true;
}

// A base below the range is of an earlier record, unless a row says that its record came after this one. What is above the range is
// taken for later: it may be earlier, but then another record has the row. The name of a range that has been applied meanwhile tells no sequence:
// then every record that has a row counts as later.
Result<bool> StoredRowsReader::is_early(const format::ExtentObject& object) {
  if (!object.is_delta) return false;
  if (object.base >= end()) return true;
  if (object.base >= record_.first_object || is_original_) return false;
  VEXOR_TRY(const std::uint64_t sequence, late_.sequence_of(object.base));
  return sequence > record_.sequence;
}

Result<void> StoredRowsReader::take_apart(const pack::LoadedExtent& extent) {
  for (std::size_t i = 0; i < extent.header.objects.size(); ++i) {
    const auto number = static_cast<ObjectNumber>(extent.first + i);
    if (number < record_.first_object || number >= end()) continue;
    format::ExtentObject object = extent.header.objects[i];
    if (object.is_absent) return Error(Errc::kNotFound, "objects of journal record " + std::to_string(record_.sequence) + " were swept");
    VEXOR_TRY(const bool early, is_early(object));
    if (!early && !extent.header.is_cold) {
      packer_.add(object, extent.payload(i));
      continue;
    }
    std::string payload;
    if (early) {
      VEXOR_TRY(const auto content, reader_.read(number));
      payload = compress::deflate(*content, pack::kWholeLevel);
      object.is_delta = false;
      object.base = format::kNoObject;
      object.depth = 0;
      object.entry_bytes = object.object_bytes;
    } else {
      payload = compress::deflate(extent.payload(i), pack::kThawLevel);
    }
    object.payload_bytes = payload.size();
    packer_.add(object, payload);
  }
  return success();
}

}  // namespace vexor::log
