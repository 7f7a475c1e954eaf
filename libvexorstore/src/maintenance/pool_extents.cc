#include "maintenance/pool_extents.h"

#include "base/check.h"
#include "compress/zlib_stream.h"

namespace vexor::maintenance {

using sys::Family;

namespace {
constexpr std::size_t kObjectsPerExtent = 1024;
}  // namespace

Result<QuarantinedRanges> QuarantinedRanges::read(const sys::StorageSnapshot& snapshot, PoolId pool) {
  QuarantinedRanges out;
  const std::string prefix = format::pool_key(pool);
  const auto cursor = snapshot.cursor(Family::kQuarantine);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
    VEXOR_TRY(const format::QuarantineRow row, format::decode_quarantine_row(cursor->value()));
    out.ranges_.emplace_back(first, std::uint64_t{first} + row.object_count);
  }
  VEXOR_TRY(cursor->status());
  return out;
}

bool QuarantinedRanges::overlaps(ObjectNumber first, std::uint64_t count) const {
  for (const auto& [begin, end] : ranges_) {
    if (first < end && begin < first + count) return true;
  }
  return false;
}

Result<ExtentScan> ExtentScan::begin(const sys::StorageSnapshot& snapshot, PoolId pool, HashAlgorithm algorithm, ObjectNumber from) {
  VEXOR_TRY(QuarantinedRanges quarantined, QuarantinedRanges::read(snapshot, pool));
  ExtentScan out(pool, algorithm, std::move(quarantined), snapshot.cursor(Family::kExtents));
  const std::string key = format::extent_key(pool, from);
  out.cursor_->seek_for_prev(key);
  VEXOR_TRY(out.cursor_->status());
  if (out.cursor_->valid() && out.cursor_->key().starts_with(out.prefix_) && format::has_extent_header(out.cursor_->key())) {
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(out.cursor_->key()));
    VEXOR_TRY(const auto header, format::decode_extent_header(first, algorithm, out.cursor_->value()));
    if (first + header.objects.size() > from) return out;
  }
  out.cursor_->seek(key);
  return out;
}

Result<bool> ExtentScan::next() {
  if (moved_ && cursor_->valid()) {
    if (is_chunked() && first_ < kNoObject) cursor_->seek(format::extent_key(pool_, first_ + 1));  // not through its chunks
    else cursor_->next();
  }
  moved_ = true;
  is_changed_ = false;
  for (; cursor_->valid() && cursor_->key().starts_with(prefix_); cursor_->next()) {
    if (!format::has_extent_header(cursor_->key())) continue;  // a later chunk of a large object
    VEXOR_TRY(first_, format::number_of_key(cursor_->key()));
    VEXOR_TRY(header_, format::decode_extent_header(first_, algorithm_, cursor_->value()));
    if (!quarantined_.overlaps(first_, header_.objects.size())) return true;
  }
  VEXOR_TRY(cursor_->status());
  return false;
}

Bytes ExtentScan::payload(std::size_t index) const {
  const format::ExtentObject& object = header_.objects[index];
  const Bytes bytes = is_changed_ ? Bytes(contents_) : cursor_->value();
  return bytes.substr(header_.header_bytes + object.payload_offset, object.payload_bytes);
}

Result<void> ExtentScan::expand() {
  VEXOR_CHECK(header_.is_cold && !is_changed_);
  VEXOR_TRY(pack::expand_cold(cursor_->value(), header_, contents_));
  is_changed_ = true;
  return success();
}

Result<void> ExtentScan::thaw() {
  if (!header_.is_cold) return success();
  if (!is_changed_) {
    VEXOR_TRY(expand());
  }
  std::string deflated;
  for (std::size_t i = 0; i < header_.objects.size(); ++i) {
    format::ExtentObject& object = header_.objects[i];
    if (object.is_absent) continue;
    const std::string stream = compress::deflate(payload(i), pack::kThawLevel);
    object.payload_offset = deflated.size();
    object.payload_bytes = stream.size();
    deflated += stream;
  }
  contents_ = std::move(deflated);
  header_.is_cold = false;
  header_.payload_bytes = contents_.size();
  return success();
}

void ExtentPacker::add(const format::ExtentObject& object, Bytes payload) {
  VEXOR_CHECK(payload.size() == object.payload_bytes);
  if (payload.size() > format::kExtentChunkBytes) {
    flush();
    return emit_large(object, payload);
  }
  if (payload_.size() + payload.size() > format::kExtentTargetBytes || objects_.size() >= kObjectsPerExtent) flush();
  objects_.push_back(object);
  payload_.append(payload);
}

void ExtentPacker::add_absent() {
  if (objects_.size() >= kObjectsPerExtent) flush();
  if (objects_.empty()) {
    ++next_;
    return;
  }
  objects_.emplace_back();
  objects_.back().is_absent = true;
}

void ExtentPacker::flush() {
  const ObjectNumber first = next_;
  next_ += static_cast<ObjectNumber>(objects_.size());
  while (!objects_.empty() && objects_.back().is_absent) objects_.pop_back();
  if (!objects_.empty()) {
    std::string value = format::encode_extent_header(first, objects_);
    value.append(payload_);
    emit_(format::extent_key(pool_, first), std::move(value));
  }
  objects_.clear();
  payload_.clear();
}

void ExtentPacker::emit_large(const format::ExtentObject& object, Bytes payload) {
  std::string value = format::encode_extent_header(next_, {object});
  for (std::uint32_t chunk = 0; !payload.empty(); ++chunk) {
    const Bytes piece = payload.substr(0, format::kExtentChunkBytes);
    value.append(piece);
    emit_(format::extent_key(pool_, next_, chunk), std::move(value));
    value = std::string();
    payload.remove_prefix(piece.size());
  }
  ++next_;
}

void Replacement::take(Family family, Bytes key, Bytes value, bool expect) {
  gone_.emplace(family, key);
  if (expect) preconditions_.push_back({family, std::string(key), std::string(value)});
  bytes_ += key.size() + value.size();
}

void Replacement::put(Family family, std::string key, std::string value) {
  bytes_ += key.size() + value.size();
  come_.insert_or_assign({family, std::move(key)}, std::move(value));
}

Result<void> Replacement::submit(store::StoreCore& core) {
  store::Change change;
  change.is_recorded = false;
  change.preconditions = std::move(preconditions_);
  for (const Key& key : gone_) {
    if (!come_.contains(key)) change.rows.erase(key.first, key.second);
  }
  for (const auto& [key, value] : come_) change.rows.put(key.first, key.second, value);
  gone_.clear();
  come_.clear();
  VEXOR_TRY(core.committer->submit(std::move(change)));
  return success();
}

}  // namespace vexor::maintenance
