#include "pack/pack_writer.h"

#include "compress/zlib_stream.h"
#include "format/pack_entry.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr std::size_t kKeptPayloadBytesMax = 1U << 20U;
constexpr std::uint64_t kNearNumbers = 64;  // behind an extent: what the next one likely holds

}  // namespace

PackWriter::PackWriter(store::StoreCore& core, ObjectReader& reader, std::shared_ptr<PackPlan> plan, std::string trailer)
    : core_(core), reader_(reader), plan_(std::move(plan)), is_behind_(false), trailer_(std::move(trailer)),
      cursor_(reader.snapshot()->cursor(Family::kExtents)) {
  if (trailer_.empty()) checksum_.emplace(reader.algorithm());
}

PackWriter::PackWriter(store::StoreCore& core, ObjectReader& reader, std::shared_ptr<PackPlan> plan, const PackPosition& from)
    : core_(core), reader_(reader), plan_(std::move(plan)), is_behind_(true), written_(from.written), position_(from.offset),
      cursor_(reader.snapshot()->cursor(Family::kExtents)), chunk_rest_(from.chunk_rest), chunk_(from.chunk) {}

Result<void> PackWriter::next(PackOutput& out, std::size_t bytes) {
  const std::uint64_t before = out.pack_bytes();
  out.set_checksum(checksum_ ? &*checksum_ : nullptr);
  if (!begun_) {
    VEXOR_TRY(begin(out));
  }
  const std::vector<ObjectNumber>& numbers = plan_->numbers;
  const std::uint64_t start = position_;
  while (out.pack_bytes() - before < bytes && (written_ < numbers.size() || chunk_rest_ > 0)) {
    position_ = start + (out.pack_bytes() - before);
    if (chunk_rest_ > 0) {
      VEXOR_TRY(write_chunk(out));
    } else {
      if (!is_behind_) plan_->offsets.set(written_, position_);
      VEXOR_TRY(write_entry(numbers[written_], out));
      ++written_;
    }
  }
  position_ = start + (out.pack_bytes() - before);
  out.set_checksum(nullptr);
  out.end_packet();  // with a checksum or without: the same packets
  if (written_ == numbers.size() && chunk_rest_ == 0) {
    VEXOR_TRY(end(out));
  }
  return success();
}

Result<void> PackWriter::begin(PackOutput& out) {
  begun_ = true;
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*reader_.snapshot(), reader_.pool()));
  rewrites_ = upkeep.rewrites;
  if (chunk_rest_ > 0) return go_on_with_chunks();
  if (position_ > 0) return success();
  std::string header;
  format::append_pack_header(header, static_cast<std::uint32_t>(plan_->numbers.size()));
  out.append(header);
  return success();
}

// The trailer of a large pack costs as much as all else; the same pack has the same.
Result<void> PackWriter::end(PackOutput& out) {
  if (checksum_) trailer_ = checksum_->finish();
  if (trailer_.empty()) return Error(Errc::kCorrupt, "the end of a pack comes before its trailer is known");
  out.append(trailer_);
  done_ = true;
  return success();
}

// From the middle of a large object.
Result<void> PackWriter::go_on_with_chunks() {
  VEXOR_TRY(go_to_extent(plan_->numbers[written_ - 1]));
  const std::string key = format::extent_key(reader_.pool(), extent_first_, chunk_ - 1);
  cursor_->seek(key);
  VEXOR_TRY(cursor_->status());
  if (!cursor_->valid() || cursor_->key() != Bytes(key)) return Error(Errc::kCorrupt, "a chunk of a large object is missing");
  return success();
}

// Objects go out in the order of their numbers. For a clone the next extent is nearly always the next row; a fetch
// jumps from one to another.
Result<void> PackWriter::go_to_extent(ObjectNumber number) {
  if (holds(number)) return success();
  if (is_next_extent(number)) {
    VEXOR_TRY(const bool found, go_to_next_extent(number));
    if (found) return success();
  }
  return jump_to_extent(number);
}

bool PackWriter::is_next_extent(ObjectNumber number) const {
  const std::uint64_t end = std::uint64_t{extent_first_} + extent_.objects.size();
  if (extent_.objects.empty() || number < end) return false;
  if (number == end) return true;
  const auto noted = reader_.directory() != nullptr ? reader_.directory()->find(reader_.pool(), number) : std::nullopt;
  return noted ? *noted == end : number - end < kNearNumbers;
}

// False: the next row does not hold the number.
Result<bool> PackWriter::go_to_next_extent(ObjectNumber number) {
  if (jumped_) {
    cursor_->seek(format::extent_key(reader_.pool(), extent_first_ + static_cast<ObjectNumber>(extent_.objects.size())));
  } else {
    cursor_->next();
  }
  jumped_.reset();
  VEXOR_TRY(cursor_->status());
  const std::string pool = format::pool_key(reader_.pool());
  if (!cursor_->valid() || cursor_->key().substr(0, 8) != Bytes(pool) || !format::has_extent_header(cursor_->key())) {
    extent_.objects.clear();
    return false;
  }
  VEXOR_TRY(extent_first_, format::number_of_key(cursor_->key()));
  extent_bytes_ = cursor_->value();
  VEXOR_TRY(format::decode_extent_columns(extent_first_, reader_.algorithm(), extent_bytes_, extent_));
  if (extent_.is_cold) {
    VEXOR_TRY(expand_cold(extent_bytes_, extent_, contents_));
    extent_bytes_ = contents_;
    note_cold();
  }
  if (reader_.directory() != nullptr) reader_.directory()->note(reader_.pool(), extent_first_, extent_.objects.size());
  return holds(number);
}

Result<void> PackWriter::jump_to_extent(ObjectNumber number) {
  VEXOR_TRY(jumped_, reader_.extent(number));
  extent_first_ = jumped_->first;
  extent_ = jumped_->header;
  extent_bytes_ = jumped_->bytes;
  if (extent_.is_cold) note_cold();
  if (extent_.payload_bytes <= extent_bytes_.size() - extent_.header_bytes) return success();
  // The chunks of a large object are read with the cursor.
  cursor_->seek(format::extent_key(reader_.pool(), extent_first_));
  VEXOR_TRY(cursor_->status());
  if (!cursor_->valid() || cursor_->key() != Bytes(format::extent_key(reader_.pool(), extent_first_))) {
    return Error(Errc::kCorrupt, "object number without an extent");
  }
  extent_bytes_ = cursor_->value();
  jumped_.reset();
  return success();
}

// Fetches that read cold extents have their pool thawed.
void PackWriter::note_cold() {
  if (!met_cold_) core_.pool_uses.note_cold_read(reader_.pool());
  met_cold_ = true;
}

Result<void> PackWriter::write_entry(ObjectNumber number, PackOutput& out) {
  using Kind = format::PackEntryKind;
  VEXOR_TRY(go_to_extent(number));
  const format::ExtentObject& object = extent_.objects[number - extent_first_];
  if (object.is_absent) return Error(Errc::kCorrupt, "object number without an object");
  std::string header;  // short enough to need no allocation, but for a base's id
  if (object.is_delta) {
    // What comes later may be written by now, by another writer.
    const std::uint64_t base_at = object.base < number ? plan_->offsets.find(object.base) : 0;
    if (base_at != 0 && plan_->options.ofs_delta) {
      format::append_pack_entry_header(header, Kind::kOfsDelta, object.entry_bytes);
      format::append_ofs_distance(header, position_ - base_at);
    } else if ((object.base != number && plan_->send.contains(object.base)) || (plan_->have && plan_->have->contains(object.base))) {
      VEXOR_TRY(const StoredEntry base_entry, reader_.entry(object.base));
      format::append_pack_entry_header(header, Kind::kRefDelta, object.entry_bytes);
      header.append(base_entry.object.id.raw());
    } else {
      return write_whole(number, out);
    }
  } else {
    format::append_pack_entry_header(header, static_cast<Kind>(object.type), object.entry_bytes);
  }
  out.append(header);
  const Bytes payload = extent_bytes_.substr(extent_.header_bytes + object.payload_offset, object.payload_bytes);
  if (extent_.is_cold) {
    out.append(compress::deflate(payload, kThawLevel));
    return success();
  }
  out.append(payload);
  chunk_rest_ = object.payload_bytes - payload.size();
  chunk_ = 1;
  return success();
}

// A large object goes on in the rows that follow its extent's.
Result<void> PackWriter::write_chunk(PackOutput& out) {
  cursor_->next();
  VEXOR_TRY(cursor_->status());
  if (!cursor_->valid() || cursor_->key().substr(0, 12) != Bytes(format::number_key(reader_.pool(), extent_first_))) {
    return Error(Errc::kCorrupt, "a chunk of a large object is missing");
  }
  const Bytes piece = cursor_->value().substr(0, static_cast<std::size_t>(chunk_rest_));
  if (piece.empty()) return Error(Errc::kCorrupt, "a chunk of a large object is empty");
  out.append(piece);
  chunk_rest_ -= piece.size();
  ++chunk_;
  return success();
}

Result<void> PackWriter::write_whole(ObjectNumber number, PackOutput& out) {
  VEXOR_TRY(const auto fresh, fresh_payload(number));
  const format::ExtentObject& object = extent_.objects[number - extent_first_];
  std::string header;
  format::append_pack_entry_header(header, static_cast<format::PackEntryKind>(object.type), fresh->object_bytes);
  out.append(header);
  out.append(fresh->payload);
  return success();
}

// Clients that are behind by about as much need the same objects.
Result<std::shared_ptr<const store::FreshPayload>> PackWriter::fresh_payload(ObjectNumber number) {
  const std::string key = format::number_key(reader_.pool(), number);
  std::uint64_t rewrites = 0;
  if (auto kept = core_.fresh_payloads.find(key, rewrites); kept && rewrites == rewrites_) return kept;
  VEXOR_TRY(const auto content, reader_.read(number));
  auto fresh = std::make_shared<store::FreshPayload>();
  fresh->object_bytes = content->size();
  fresh->payload = compress::deflate(*content, kWholeLevel);
  if (fresh->payload.size() <= kKeptPayloadBytesMax) {
    core_.fresh_payloads.insert(key, rewrites_, fresh, fresh->payload.capacity());
  }
  return std::shared_ptr<const store::FreshPayload>(std::move(fresh));
}

}  // namespace vexor::pack
