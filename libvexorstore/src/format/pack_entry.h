// Pack headers and pack entry headers. Spec: gitformat-pack.
#pragma once

#include <optional>

#include "vexorstore/object_id.h"

namespace vexor::format {

struct PackHeader {
  std::uint32_t version = 2;
  std::uint32_t object_count = 0;
};
// `twelve`: the 12 bytes of the header. Errors: kProtocol.
Result<PackHeader> decode_pack_header(Bytes twelve);
void append_pack_header(std::string& out, std::uint32_t object_count);

enum class PackEntryKind : std::uint8_t { kCommit = 1, kTree = 2, kBlob = 3, kTag = 4, kOfsDelta = 6, kRefDelta = 7 };

struct PackEntryHeader {
  PackEntryKind kind = PackEntryKind::kBlob;
  std::uint64_t inflated_bytes = 0;
  std::uint64_t base_distance = 0;  // kOfsDelta: bytes back from the start of this entry
  ObjectId base_id;                 // kRefDelta
  std::size_t header_bytes = 0;
};
// nullopt: more input is needed. Errors: kProtocol.
Result<std::optional<PackEntryHeader>> decode_pack_entry_header(Bytes input, HashAlgorithm algorithm);
void append_pack_entry_header(std::string& out, PackEntryKind kind, std::uint64_t inflated_bytes);
void append_ofs_distance(std::string& out, std::uint64_t distance);

}  // namespace vexor::format
