// Extent: a run of consecutive objects with their payloads, as they go on the wire or in the cold form.
// Spec: docs/format/extent.md.
//
//   extent  := version:u8 count:varint columns payload*
//   columns := meta[count] id[present] numbers[present]
//   meta    := u8            bits 0-2 object type, bit 3 delta; 0: absent (version 2 only)
//   numbers := entry_bytes payload_bytes [object_bytes base_zigzag depth]   (bracket: deltas)
//   cold    := version:u8=3 count:varint columns frame_bytes:varint frame   (numbers without payload_bytes)
//
// `first` (the number of object 0) is in the key. A payload that does not fit in one row goes on in
// chunk rows 1, 2, ... of kExtentChunkBytes each; such an extent holds exactly one object.
#pragma once

#include <vector>

#include "format/keys.h"
#include "vexorstore/object.h"

namespace vexor::format {

constexpr std::size_t kExtentTargetBytes = 64 * 1024;
constexpr std::size_t kExtentChunkBytes = 256 * 1024;
constexpr std::size_t kExtentObjectsMax = 4096;
// Of the cold form. An object with more contents stays as it is.
constexpr std::size_t kColdContentsTarget = 1U << 20U;
constexpr std::size_t kColdContentsMax = 4U << 20U;
constexpr std::size_t kColdObjectsMax = 16384;

struct ExtentObject {
  ObjectType type = ObjectType::kBlob;
  bool is_delta = false;
  bool is_absent = false;  // was swept: the number stays, and all below is empty
  ObjectId id;
  std::uint64_t entry_bytes = 0;    // inflated size of the stored stream (object or delta)
  std::uint64_t object_bytes = 0;   // size of the object itself
  std::uint64_t payload_bytes = 0;  // deflated bytes; in a cold extent entry_bytes
  std::uint32_t depth = 0;          // deltas below this object; 0 = whole
  ObjectNumber base = kNoObject;    // deltas: number of the base, same pool
  std::uint64_t payload_offset = 0;  // from the end of the header; filled in by the decoder
};

struct ExtentHeader {
  bool is_cold = false;  // payloads are inflated, and offsets are into what the frame holds
  std::vector<ExtentObject> objects;
  std::size_t ids_offset = 0;  // of the column of ids, in the value
  std::size_t header_bytes = 0;
  std::uint64_t payload_bytes = 0;  // of all objects
  std::size_t frame_bytes = 0;      // cold: of the frame, which follows the header
};

std::string encode_extent_header(ObjectNumber first, const std::vector<ExtentObject>& objects);
// What goes before the frame of a cold extent.
std::string encode_cold_extent_header(ObjectNumber first, const std::vector<ExtentObject>& objects, std::size_t frame_bytes);
bool is_cold_extent(Bytes value);
// Of either form, absent ones too. Errors: kCorrupt.
Result<std::uint64_t> extent_object_count(Bytes value);
// The same into a header that is used again for the next extent, without ids (their columns are
// skipped): what writing packs needs. Both take either form; the frame of a cold extent is not looked into.
Result<void> decode_extent_columns(ObjectNumber first, HashAlgorithm algorithm, Bytes value, ExtentHeader& header);
Result<ExtentHeader> decode_extent_header(ObjectNumber first, HashAlgorithm algorithm, Bytes value);

// The shape of an object: type in bits 0-1 (type - 1), size class in bits 2-7 (bit width of size).
inline std::uint8_t object_shape(ObjectType type, std::uint64_t object_bytes) {
  unsigned width = 0;
  for (std::uint64_t rest = object_bytes; rest != 0; rest >>= 1) ++width;
  return static_cast<std::uint8_t>((static_cast<unsigned>(type) - 1U) | ((width > 63 ? 63U : width) << 2));
}
inline ObjectType shape_type(std::uint8_t shape) { return static_cast<ObjectType>((shape & 3U) + 1U); }
inline unsigned shape_size_class(std::uint8_t shape) { return shape >> 2U; }

}  // namespace vexor::format
