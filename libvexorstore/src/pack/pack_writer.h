// PackWriter: the pack for a set of objects, piece by piece. Stored payloads go out as they are; a
// delta whose base the client will not have goes out whole. Spec: gitformat-pack.
//
// The bytes are a function of (snapshot, set, thin set, options). One thread at a time. Memory:
// 8 bytes for each object sent, one piece, and the reader's caches.
#pragma once

#include "crypto/digest.h"
#include "pack/object_reader.h"

namespace vexor::pack {

struct PackOptions {
  bool ofs_delta = true;
};

class PackWriter {
 public:
  // `send`: what goes into the pack. `have`: what the client is known to have and bases may come
  // from; null without thin-pack.
  PackWriter(ObjectReader& reader, Roaring send, store::SetPtr have, PackOptions options);

  std::uint32_t object_count() const { return object_count_; }
  std::uint32_t objects_written() const { return written_; }
  bool done() const { return done_; }
  // Replaces `out` with the next piece, some 64 KiB. Call until done().
  Result<void> next(std::string& out);

 private:
  Result<void> write_entry(ObjectNumber number, std::string& out);
  Result<void> write_whole(const StoredEntry& entry, std::string& out);

  ObjectReader& reader_;
  Roaring send_;
  store::SetPtr have_;
  PackOptions options_;
  std::uint32_t object_count_;
  std::uint32_t written_ = 0;
  std::vector<std::uint32_t> numbers_;   // of `send_`, ascending
  std::vector<std::uint64_t> offsets_;   // where each went
  std::uint64_t position_ = 0;
  PackChecksum checksum_;
  ObjectNumber chunked_ = kNoObject;     // a large object in the middle of being written
  std::uint32_t chunk_ = 0;
  std::uint64_t chunk_rest_ = 0;
  bool begun_ = false;
  bool done_ = false;
};

}  // namespace vexor::pack
