#include "pack/pack_writer.h"

#include <algorithm>

#include "compress/zlib_stream.h"
#include "format/pack_entry.h"

namespace vexor::pack {

namespace {
constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr int kFreshLevel = 1;  // objects that must be deflated anew while a client waits
}  // namespace

PackWriter::PackWriter(ObjectReader& reader, Roaring send, store::SetPtr have, PackOptions options)
    : reader_(reader), send_(std::move(send)), have_(std::move(have)), options_(options),
      object_count_(static_cast<std::uint32_t>(send_.cardinality())), checksum_(reader.algorithm()) {
  numbers_.resize(object_count_);
  send_.toUint32Array(numbers_.data());
  offsets_.reserve(object_count_);
}

Result<void> PackWriter::next(std::string& out) {
  out.clear();
  if (!begun_) {
    begun_ = true;
    format::append_pack_header(out, object_count_);
  }
  while (out.size() < kPieceBytes && (written_ < object_count_ || chunked_ != kNoObject)) {
    if (chunked_ != kNoObject) {
      VEXOR_TRY(const auto row, reader_.chunk(chunked_, ++chunk_));
      if (!row) return Error(Errc::kCorrupt, "a chunk of a large object is missing");
      const Bytes piece = row->bytes().substr(0, static_cast<std::size_t>(chunk_rest_));
      out.append(piece);
      chunk_rest_ -= piece.size();
      if (chunk_rest_ == 0) chunked_ = kNoObject;
      continue;
    }
    offsets_.push_back(position_ + out.size());
    VEXOR_TRY(write_entry(numbers_[written_], out));
    ++written_;
  }
  position_ += out.size();
  checksum_.update(out);
  if (written_ == object_count_ && chunked_ == kNoObject) {
    out.append(checksum_.finish());
    done_ = true;
  }
  return success();
}

Result<void> PackWriter::write_entry(ObjectNumber number, std::string& out) {
  using Kind = format::PackEntryKind;
  VEXOR_TRY(const StoredEntry entry, reader_.entry(number));
  if (entry.object.is_delta) {
    const ObjectNumber base = entry.object.base;
    const bool sent = base != number && send_.contains(base);
    if (sent && base < number && options_.ofs_delta) {
      const auto at = std::lower_bound(numbers_.begin(), numbers_.begin() + written_, base);
      format::append_pack_entry_header(out, Kind::kOfsDelta, entry.object.entry_bytes);
      format::append_ofs_distance(out, offsets_.back() - offsets_[static_cast<std::size_t>(at - numbers_.begin())]);
    } else if (sent || (have_ && have_->contains(base))) {
      VEXOR_TRY(const StoredEntry base_entry, reader_.entry(base));
      format::append_pack_entry_header(out, Kind::kRefDelta, entry.object.entry_bytes);
      out.append(base_entry.object.id.raw());
    } else {
      return write_whole(entry, out);
    }
  } else {
    format::append_pack_entry_header(out, static_cast<Kind>(entry.object.type), entry.object.entry_bytes);
  }
  out.append(entry.payload);
  if (entry.chunked) {
    chunked_ = number;
    chunk_ = 0;
    chunk_rest_ = entry.object.payload_bytes - entry.payload.size();
  }
  return success();
}

Result<void> PackWriter::write_whole(const StoredEntry& entry, std::string& out) {
  VEXOR_TRY(const auto content, reader_.read(entry.number));
  format::append_pack_entry_header(out, static_cast<format::PackEntryKind>(entry.object.type), content->size());
  out.append(compress::deflate(*content, kFreshLevel));
  return success();
}

}  // namespace vexor::pack
