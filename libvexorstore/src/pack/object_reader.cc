#include "pack/object_reader.h"

#include "compress/zlib_stream.h"
#include "format/delta.h"

namespace vexor::pack {

using sys::Family;

namespace {
constexpr std::size_t kExtentsShare = 4;  // of the cache: one part in so many
constexpr std::size_t kPieceBytes = 64U << 10U;
}

std::shared_ptr<const std::string> ObjectCache::find(ObjectNumber number) {
  const auto found = by_number_.find(number);
  if (found == by_number_.end()) return nullptr;
  items_.splice(items_.begin(), items_, found->second);
  return found->second->second;
}

void ObjectCache::insert(ObjectNumber number, std::shared_ptr<const std::string> content) {
  if (content->size() > bytes_max_ / 2 || by_number_.contains(number)) return;
  bytes_ += content->size() + 128;
  items_.emplace_front(number, std::move(content));
  by_number_[number] = items_.begin();
  while (bytes_ > bytes_max_) {
    bytes_ -= items_.back().second->size() + 128;
    by_number_.erase(items_.back().first);
    items_.pop_back();
  }
}

ObjectReader::ObjectReader(store::SnapshotPtr snapshot, PoolId pool, HashAlgorithm algorithm,
                           const Limits& limits, store::ExtentDirectory* directory)
    : snapshot_(std::move(snapshot)), pool_(pool), algorithm_(algorithm), limits_(limits), directory_(directory),
      cache_(limits.fetch_cache_bytes - limits.fetch_cache_bytes / kExtentsShare) {}

Result<std::optional<ObjectNumber>> ObjectReader::find(const ObjectId& id) const {
  VEXOR_TRY(const auto row, snapshot_->get(Family::kIndex, format::index_key(pool_, id)));
  if (!row) return std::optional<ObjectNumber>();
  VEXOR_TRY(const ObjectNumber number, format::decode_index_row(row->bytes()));
  return std::optional<ObjectNumber>(number);
}

Result<ExtentPtr> ObjectReader::extent(ObjectNumber number) {
  auto found = extents_by_first_.upper_bound(number);
  if (found != extents_by_first_.begin()) {
    --found;
    if ((*found->second)->holds(number)) {
      extents_.splice(extents_.begin(), extents_, found->second);
      return extents_.front();
    }
  }
  VEXOR_TRY(ExtentPtr loaded, load_noted(number));
  if (!loaded) {
    VEXOR_TRY(loaded, search(number));
  }
  keep(loaded);
  return loaded;
}

// Null: none is noted, or the snapshot has other extents there.
Result<ExtentPtr> ObjectReader::load_noted(ObjectNumber number) const {
  if (directory_ == nullptr) return ExtentPtr();
  const auto first = directory_->find(pool_, number);
  if (!first) return ExtentPtr();
  VEXOR_TRY(const auto row, snapshot_->get(Family::kExtents, format::extent_key(pool_, *first)));
  if (!row) return ExtentPtr();
  VEXOR_TRY(auto loaded, load_extent(*first, algorithm_, row->bytes(), row->owner()));
  if (!loaded->holds(number)) return ExtentPtr();
  return ExtentPtr(std::move(loaded));
}

Result<ExtentPtr> ObjectReader::search(ObjectNumber number) {
  if (!cursor_) cursor_ = snapshot_->cursor(Family::kExtents);
  cursor_->seek_for_prev(format::extent_key(pool_, number));
  VEXOR_TRY(cursor_->status());
  const std::string pool = format::pool_key(pool_);
  if (!cursor_->valid() || cursor_->key().substr(0, 8) != Bytes(pool) ||
      !format::has_extent_header(cursor_->key())) {
    return Error(Errc::kCorrupt, "object number without an extent");
  }
  VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor_->key()));
  auto row = std::make_shared<const std::string>(cursor_->value());
  const Bytes bytes(*row);
  VEXOR_TRY(auto loaded, load_extent(first, algorithm_, bytes, std::move(row)));
  if (!loaded->holds(number)) return Error(Errc::kCorrupt, "object number behind its extent");
  if (directory_ != nullptr) directory_->note(pool_, loaded->first, loaded->header.objects.size());
  return ExtentPtr(std::move(loaded));
}

void ObjectReader::keep(const ExtentPtr& extent) {
  extents_.push_front(extent);
  extents_by_first_[extent->first] = extents_.begin();
  extents_bytes_ += extent->memory_bytes();
  while (extents_.size() > 1 && extents_bytes_ > limits_.fetch_cache_bytes / kExtentsShare) {
    extents_bytes_ -= extents_.back()->memory_bytes();
    extents_by_first_.erase(extents_.back()->first);
    extents_.pop_back();
  }
}

Result<StoredEntry> ObjectReader::entry(ObjectNumber number) {
  VEXOR_TRY(const ExtentPtr extent, this->extent(number));
  StoredEntry out;
  out.object = extent->header.objects[number - extent->first];
  if (out.object.is_absent) return Error(Errc::kCorrupt, "object number without an object");
  out.number = number;
  out.payload = extent->payload(number - extent->first);
  out.chunked = out.payload.size() < out.object.payload_bytes;
  out.is_inflated = extent->header.is_cold;
  out.stored_bytes = out.object.payload_bytes;
  if (out.is_inflated && out.stored_bytes > 0) out.stored_bytes = out.stored_bytes * extent->header.frame_bytes / extent->header.payload_bytes;
  out.owner = extent;
  return out;
}

Result<std::optional<sys::PinnedValue>> ObjectReader::chunk(ObjectNumber number, std::uint32_t index) const {
  return snapshot_->get(Family::kExtents, format::extent_key(pool_, number, index));
}

Result<std::string> ObjectReader::inflate(const StoredEntry& entry) const {
  if (entry.object.entry_bytes > limits_.delta_object_bytes_max) {
    return Error(Errc::kLimitExceeded, "object too large to be held in memory");
  }
  if (entry.is_inflated) return std::string(entry.payload);
  if (!entry.chunked) return compress::inflate_exact(entry.payload, entry.object.entry_bytes);
  // Taken in before streams had a bound: never as a whole.
  if (entry.object.payload_bytes > compress::stream_bytes_max(entry.object.entry_bytes)) return inflate_in_pieces(entry);
  std::string joined(entry.payload);
  for (std::uint32_t index = 1; joined.size() < entry.object.payload_bytes; ++index) {
    VEXOR_TRY(const auto more, chunk(entry.number, index));
    if (!more) return Error(Errc::kCorrupt, "a chunk of a large object is missing");
    joined.append(more->bytes());
  }
  return compress::inflate_exact(joined, entry.object.entry_bytes);
}

Result<std::shared_ptr<const std::string>> ObjectReader::read(ObjectNumber number) {
  std::vector<ObjectNumber> chain;  // deltas from the wanted object down to a whole or cached one
  std::shared_ptr<const std::string> content = cache_.find(number);
  ObjectNumber at = number;
  ObjectNumber passed = number;  // of a ring this one is met again (Brent)
  std::size_t passed_until = 1;
  while (!content) {
    VEXOR_TRY(StoredEntry next, entry(at));
    if (!next.object.is_delta) {
      VEXOR_TRY(std::string whole, inflate(next));
      made_bytes_ += whole.size();
      content = std::make_shared<const std::string>(std::move(whole));
      cache_.insert(at, content);
      break;
    }
    chain.push_back(at);
    at = next.object.base;
    // No bound but that: where others rewrite their deltas and this store does not, pushes make chains longer here than any client may.
    if (at == passed) return Error(Errc::kCorrupt, "deltas upon each other");
    if (chain.size() == passed_until) {
      passed = at;
      passed_until *= 2;
    }
    content = cache_.find(at);
  }
  while (!chain.empty()) {
    VEXOR_TRY(const StoredEntry step, entry(chain.back()));
    VEXOR_TRY(const std::string delta, inflate(step));
    std::string result;
    VEXOR_TRY(format::apply_delta(*content, delta, limits_.delta_object_bytes_max, result));
    made_bytes_ += result.size();
    content = std::make_shared<const std::string>(std::move(result));
    cache_.insert(step.number, content);
    chain.pop_back();
  }
  return content;
}

Result<void> ObjectReader::stream(ObjectNumber number, const std::function<Result<void>(Bytes)>& sink) {
  VEXOR_TRY(const StoredEntry entry, this->entry(number));
  if (entry.object.is_delta || entry.object.object_bytes <= kPieceBytes) {
    VEXOR_TRY(const auto content, read(number));
    return sink(*content);
  }
  if (entry.is_inflated) return sink(entry.payload);
  return inflate_to(entry, sink);
}

Result<std::string> ObjectReader::inflate_in_pieces(const StoredEntry& entry) const {
  std::string out;
  VEXOR_TRY(inflate_to(entry, [&](Bytes piece) -> Result<void> {
    if (piece.size() > entry.object.entry_bytes - out.size()) return Error(Errc::kCorrupt, "a zlib stream does not yield its size");
    out.append(piece);
    return success();
  }));
  if (out.size() != entry.object.entry_bytes) return Error(Errc::kCorrupt, "a zlib stream does not yield its size");
  return out;
}

Result<void> ObjectReader::inflate_to(const StoredEntry& entry, const std::function<Result<void>(Bytes)>& sink) const {
  compress::Inflater inflater;
  std::string room(kPieceBytes, '\0');
  Bytes input = entry.payload;
  std::optional<sys::PinnedValue> more;
  std::uint32_t index = 0;
  for (;;) {
    VEXOR_TRY(const auto step, inflater.step(input, std::span<char>(room)));
    input.remove_prefix(step.consumed);
    if (step.produced > 0) {
      VEXOR_TRY(sink(Bytes(room).substr(0, step.produced)));
    }
    if (step.state == compress::Inflater::State::kDone) return success();
    if (!input.empty() || step.produced == room.size()) continue;
    VEXOR_TRY(more, chunk(entry.number, ++index));
    if (!more) return Error(Errc::kCorrupt, "a chunk of a large object is missing");
    input = more->bytes();
  }
}

}  // namespace vexor::pack
