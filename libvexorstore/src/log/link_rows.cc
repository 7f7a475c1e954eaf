#include "vexorstore/link_rows.h"

#include "compress/zlib_stream.h"
#include "compress/zstd_frame.h"
#include "format/extent.h"
#include "format/log_rows.h"
#include "maintenance/pool_extents.h"
#include "pack/loaded_extent.h"

namespace vexor {

namespace {

using format::ExtentHeader;
using format::ExtentObject;
using sys::Family;

constexpr std::uint8_t kVersion = 1;

// The extent with its contents in place of its streams. Empty: it goes as it is.
std::string inflate_extent(HashAlgorithm algorithm, Bytes key, Bytes value, std::uint64_t contents_max) {
  const auto at = format::decode_extent_key(key);
  if (at.has_error() || at.value().chunk != 0) return {};
  const auto header = format::decode_extent_header(at.value().first, algorithm, value);
  if (header.has_error()) return {};
  if (std::uint64_t{at.value().first} + header.value().objects.size() > format::kObjectNumberMax || value.size() - header.value().header_bytes != header.value().payload_bytes) return {};
  std::uint64_t bytes = 0;
  for (const ExtentObject& object : header.value().objects) {
    if (object.is_absent || object.entry_bytes > contents_max) return {};
    bytes += object.entry_bytes;
  }
  if (bytes > contents_max) return {};
  std::string out = format::encode_cold_extent_header(at.value().first, header.value().objects, bytes);
  std::string contents;
  for (const ExtentObject& object : header.value().objects) {
    const Bytes stream = value.substr(header.value().header_bytes + object.payload_offset, object.payload_bytes);
    if (compress::inflate_exact(stream, object.entry_bytes, contents).has_error()) return {};
    out += contents;
  }
  return out;
}

Result<void> deflate_extent(HashAlgorithm algorithm, Bytes key, Bytes value, sys::Batch& out) {
  VEXOR_TRY(const format::ExtentKey at, format::decode_extent_key(key));
  VEXOR_TRY(const ExtentHeader header, format::decode_extent_header(at.first, algorithm, value));
  if (header.frame_bytes != header.payload_bytes || std::uint64_t{at.first} + header.objects.size() > format::kObjectNumberMax) {
    return Error(Errc::kCorrupt, "link rows: an extent of another size than it says");
  }
  maintenance::ExtentPacker packer(at.pool, at.first, [&](const std::string& row_key, const std::string& row) { out.put(Family::kExtents, row_key, row); });
  for (ExtentObject object : header.objects) {
    if (object.is_absent) return Error(Errc::kCorrupt, "link rows: an extent that lacks objects");
    const std::string stream = compress::deflate(value.substr(header.header_bytes + object.payload_offset, object.entry_bytes), pack::kThawLevel);
    object.payload_bytes = stream.size();
    packer.add(object, stream);
  }
  packer.flush();
  return success();
}

}  // namespace

Result<std::string> to_link_rows(Bytes rows) {
  if (rows.size() > kLinkContentsMax) return Error(Errc::kLimitExceeded, "a piece of rows over the limit of the link");
  VEXOR_TRY(const format::LogRows piece, format::decode_log_rows(rows));
  std::uint64_t room = kLinkContentsMax - rows.size();  // headers in this form are shorter, but for the varint of the size
  sys::Batch out;
  for (const sys::Batch::Op& op : piece.rows.ops()) {
    // In this form it would stand for something else.
    if (op.family == Family::kExtents && format::has_extent_header(op.key) && format::is_cold_extent(op.value)) {
      return Error(Errc::kCorrupt, "log rows: an extent in cold form, which does not travel");
    }
    std::string extent;
    if (op.family == Family::kExtents) extent = inflate_extent(piece.algorithm, op.key, op.value, std::min<std::uint64_t>(room / 2, format::kColdContentsMax));
    room -= std::min<std::uint64_t>(room, extent.size());
    out.put(op.family, op.key, extent.empty() ? Bytes(op.value) : Bytes(extent));
  }
  const std::string contents = format::encode_log_rows(piece.algorithm, out);
  if (contents.size() > kLinkContentsMax) return Error(Errc::kLimitExceeded, "a piece of rows over the limit of the link");
  std::string packed;
  put_u8(packed, kVersion);
  put_varint(packed, contents.size());
  return packed + compress::compress_frame(contents, kLinkLevel);
}

Result<std::string> from_link_rows(Bytes link_rows) {
  ByteReader reader(link_rows);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, "link rows: unknown version");
  VEXOR_TRY(const std::uint64_t bytes, reader.varint());
  if (bytes > kLinkContentsMax) return Error(Errc::kCorrupt, "link rows: larger than a piece may be");
  std::string contents;
  VEXOR_TRY(compress::expand_frame(link_rows.substr(reader.position()), bytes, contents));
  VEXOR_TRY(const format::LogRows piece, format::decode_log_rows(contents));
  sys::Batch out;
  for (const sys::Batch::Op& op : piece.rows.ops()) {
    if (op.family == Family::kExtents && format::has_extent_header(op.key) && format::is_cold_extent(op.value)) {
      VEXOR_TRY(deflate_extent(piece.algorithm, op.key, op.value, out));
    } else {
      out.put(op.family, op.key, op.value);
    }
  }
  return format::encode_log_rows(piece.algorithm, out);
}

}  // namespace vexor
