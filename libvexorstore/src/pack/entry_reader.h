// The entries of a received pack, and reading the objects among them.
#pragma once

#include "pack/object_reader.h"
#include "pack/spool.h"

namespace vexor::pack {

constexpr std::uint32_t kNoEntry = 0xFFFFFFFFU;

struct PushEntry {
  ObjectId id;
  ObjectType type = ObjectType::kBlob;
  bool is_delta : 1 = false;
  bool stored_whole : 1 = false;            // a delta whose chain would be too deep or too dear; once numbered
  bool resolved = false;                    // an octet of its own: set by a worker while others may look at what is before
  std::uint32_t depth = 0;                  // in the pack; once numbered, in the store
  std::uint32_t base_entry = kNoEntry;      // delta against an entry of this pack
  ObjectNumber base_number = kNoObject;     // delta against a stored object (thin pack)
  std::uint64_t spool_offset = 0;
  std::uint64_t payload_bytes = 0;
  std::uint64_t entry_bytes = 0;
  std::uint64_t object_bytes = 0;
};
static_assert(sizeof(PushEntry) == 80, "a push may have 50 million");

// Threads: one at a time; several readers share the entries and the spool as long as nothing is appended to
// either. Memory: `cache_bytes` and the object being read.
class EntryReader {
 public:
  // `stored`: for the bases of thin packs.
  EntryReader(const std::vector<PushEntry>& entries, Spool& spool, ObjectReader& stored, const Limits& limits, std::size_t cache_bytes)
      : entries_(entries), spool_(spool), stored_(stored), limits_(limits), cache_(cache_bytes) {}

  const PushEntry& entry(std::uint32_t entry) const { return entries_[entry]; }
  // The object, whose bases must all be known.
  Result<std::shared_ptr<const std::string>> read(std::uint32_t entry);
  // Replaces `out` by what the entry holds: an object, or the instructions of a delta.
  Result<void> inflate(std::uint32_t entry, std::string& out);
  std::uint64_t made_bytes() const { return made_bytes_; }  // of all objects that reads made, those on the way included

 private:
  const std::vector<PushEntry>& entries_;
  Spool& spool_;
  ObjectReader& stored_;
  const Limits& limits_;
  ObjectCache cache_;
  std::string room_;
  std::uint64_t made_bytes_ = 0;
};

}  // namespace vexor::pack
