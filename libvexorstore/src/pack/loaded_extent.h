// LoadedExtent: one extent's row in memory, whichever form it has on disk.
//
// Of a cold extent the frame is expanded: its payloads are inflated and `bytes` holds nothing else. Memory: the row, or
// up to kColdContentsMax of contents, and some 100 octets for each object.
#pragma once

#include <memory>

#include "format/extent.h"

namespace vexor::pack {

struct LoadedExtent {
  format::ObjectNumber first = 0;
  format::ExtentHeader header;        // offsets of payloads are from header_bytes on in `bytes`
  Bytes bytes;                        // of the extent's row; of a cold one the contents
  std::shared_ptr<const void> owner;  // keeps `bytes` readable
  bool holds(format::ObjectNumber number) const { return number >= first && number - first < header.objects.size(); }
  std::size_t memory_bytes() const { return bytes.size() + header.objects.size() * sizeof(format::ExtentObject); }
  Bytes payload(std::size_t index) const {
    const format::ExtentObject& object = header.objects[index];
    return bytes.substr(header.header_bytes + object.payload_offset, object.payload_bytes);
  }
};
using ExtentPtr = std::shared_ptr<const LoadedExtent>;

// The level at which streams of cold objects are deflated anew, on their way to a client or back to the disk: the same for
// both, so that a pack has the same octets before and after.
constexpr int kThawLevel = 6;
// That of deltas that are made whole while somebody waits.
constexpr int kWholeLevel = 1;

// `owner` keeps `row` readable. Errors: kCorrupt.
Result<std::shared_ptr<LoadedExtent>> load_extent(format::ObjectNumber first, HashAlgorithm algorithm, Bytes row, std::shared_ptr<const void> owner);

// Expands the frame of a cold extent whose header was decoded from `row`; from then on the header's offsets are those in
// `contents`. Errors: kCorrupt.
Result<void> expand_cold(Bytes row, format::ExtentHeader& header, std::string& contents);

}  // namespace vexor::pack
