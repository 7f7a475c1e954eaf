#include "format/extent.h"

#include <algorithm>

namespace vexor::format {
namespace {

constexpr std::uint8_t kExtentVersion = 1;
constexpr std::uint8_t kExtentVersionWithAbsent = 2;
constexpr std::uint8_t kColdVersion = 3;
constexpr std::uint8_t kDeltaBit = 8;
constexpr std::uint8_t kAbsent = 0;

std::uint64_t zigzag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unzigzag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

Result<void> decode_numbers(ByteReader& reader, ObjectNumber number, bool is_cold, ExtentObject& object) {
  VEXOR_TRY(object.entry_bytes, reader.varint());
  object.payload_bytes = object.entry_bytes;
  if (!is_cold) {
    VEXOR_TRY(object.payload_bytes, reader.varint());
  }
  object.object_bytes = object.entry_bytes;
  object.base = kNoObject;
  object.depth = 0;
  if (!object.is_delta) return success();
  VEXOR_TRY(object.object_bytes, reader.varint());
  VEXOR_TRY(const std::uint64_t base, reader.varint());
  VEXOR_TRY(const std::uint64_t depth, reader.varint());
  if (base >> 33U != 0) return Error(Errc::kCorrupt, "extent: delta base out of range");
  const std::int64_t target = static_cast<std::int64_t>(number) + unzigzag(base);
  if (target < 0 || target > static_cast<std::int64_t>(kObjectNumberMax) || depth > 0xFFFFFFFFU) {
    return Error(Errc::kCorrupt, "extent: delta base out of range");
  }
  object.base = static_cast<ObjectNumber>(target);
  object.depth = static_cast<std::uint32_t>(depth);
  return success();
}

std::string encode_columns(ObjectNumber first, const std::vector<ExtentObject>& objects, std::uint8_t version) {
  std::string out;
  put_u8(out, version);
  put_varint(out, objects.size());
  for (const ExtentObject& object : objects) {
    const unsigned meta = static_cast<unsigned>(object.type) | (object.is_delta ? kDeltaBit : 0U);
    put_u8(out, object.is_absent ? kAbsent : static_cast<std::uint8_t>(meta));
  }
  for (const ExtentObject& object : objects) {
    if (!object.is_absent) out.append(object.id.raw());
  }
  ObjectNumber number = first;
  for (const ExtentObject& object : objects) {
    if (object.is_absent) {
      ++number;
      continue;
    }
    put_varint(out, object.entry_bytes);
    if (version != kColdVersion) put_varint(out, object.payload_bytes);
    if (object.is_delta) {
      put_varint(out, object.object_bytes);
      put_varint(out, zigzag(static_cast<std::int64_t>(object.base) - static_cast<std::int64_t>(number)));
      put_varint(out, object.depth);
    }
    ++number;
  }
  return out;
}

// What comes behind the columns. The first row of a payload in chunks ends where the first chunk does.
Result<void> check_payload(Bytes value, ByteReader& reader, ExtentHeader& header) {
  std::uint64_t here = header.objects.size() == 1 ? std::min<std::uint64_t>(header.payload_bytes, kExtentChunkBytes) : header.payload_bytes;
  header.frame_bytes = 0;
  if (header.is_cold) {
    if (header.payload_bytes > kColdContentsMax) return Error(Errc::kCorrupt, "extent: contents of a cold one over the limit");
    VEXOR_TRY(here, reader.varint());
  }
  header.header_bytes = reader.position();
  if (value.size() - header.header_bytes != here) {
    return Error(Errc::kCorrupt, "extent: payload bytes do not match the header");
  }
  if (header.is_cold) header.frame_bytes = static_cast<std::size_t>(here);
  return success();
}

}  // namespace

std::string encode_extent_header(ObjectNumber first, const std::vector<ExtentObject>& objects) {
  const bool has_absent = std::any_of(objects.begin(), objects.end(), [](const ExtentObject& object) { return object.is_absent; });
  return encode_columns(first, objects, has_absent ? kExtentVersionWithAbsent : kExtentVersion);
}

std::string encode_cold_extent_header(ObjectNumber first, const std::vector<ExtentObject>& objects, std::size_t frame_bytes) {
  std::string out = encode_columns(first, objects, kColdVersion);
  put_varint(out, frame_bytes);
  return out;
}

bool is_cold_extent(Bytes value) { return !value.empty() && octet(value, 0) == kColdVersion; }

Result<std::uint64_t> extent_object_count(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version < kExtentVersion || version > kColdVersion) return Error(Errc::kCorrupt, "extent: unknown version");
  return reader.varint();
}

Result<void> decode_extent_columns(ObjectNumber first, HashAlgorithm algorithm, Bytes value, ExtentHeader& header) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version < kExtentVersion || version > kColdVersion) return Error(Errc::kCorrupt, "extent: unknown version");
  header.is_cold = version == kColdVersion;
  VEXOR_TRY(const std::uint64_t count, reader.varint());
  if (count == 0 || count > (header.is_cold ? kColdObjectsMax : kExtentObjectsMax)) return Error(Errc::kCorrupt, "extent: bad count");
  header.objects.resize(count);
  std::uint64_t present = 0;
  for (ExtentObject& object : header.objects) {
    VEXOR_TRY(const std::uint8_t meta, reader.u8());
    object.is_absent = version != kExtentVersion && meta == kAbsent;
    if (object.is_absent) {
      object = ExtentObject();
      object.is_absent = true;
      continue;
    }
    ++present;
    const unsigned type = meta & 7U;
    if (type < 1 || type > 4 || meta > 15) return Error(Errc::kCorrupt, "extent: bad object type");
    object.type = static_cast<ObjectType>(type);
    object.is_delta = (meta & kDeltaBit) != 0;
  }
  // Absent objects lie between others only, and make the version of what is not cold.
  if ((!header.is_cold && (present < count) != (version == kExtentVersionWithAbsent)) || header.objects.front().is_absent || header.objects.back().is_absent) {
    return Error(Errc::kCorrupt, "extent: absent objects");
  }
  header.ids_offset = reader.position();
  VEXOR_TRY(reader.take(hash_bytes(algorithm) * present));
  std::uint64_t offset = 0;
  ObjectNumber number = first;
  for (ExtentObject& object : header.objects) {
    object.payload_offset = offset;
    if (object.is_absent) {
      ++number;
      continue;
    }
    VEXOR_TRY(decode_numbers(reader, number, header.is_cold, object));
    if (object.payload_bytes > (1ULL << 48)) return Error(Errc::kCorrupt, "extent: payload too long");
    offset += object.payload_bytes;
    ++number;
  }
  header.payload_bytes = offset;
  return check_payload(value, reader, header);
}

Result<ExtentHeader> decode_extent_header(ObjectNumber first, HashAlgorithm algorithm, Bytes value) {
  ExtentHeader header;
  VEXOR_TRY(decode_extent_columns(first, algorithm, value, header));
  Bytes ids = value.substr(header.ids_offset);
  for (ExtentObject& object : header.objects) {
    if (object.is_absent) continue;
    object.id = ObjectId::from_raw(algorithm, ids.substr(0, hash_bytes(algorithm)));
    ids.remove_prefix(hash_bytes(algorithm));
  }
  return header;
}

}  // namespace vexor::format
