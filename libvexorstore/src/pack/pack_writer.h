// PackWriter: the pack for a set of objects, piece by piece. Stored payloads go out as they are; a
// delta whose base the client will not have goes out whole. Spec: gitformat-pack.
//
// The bytes are a function of (snapshot, set, thin set, options), so a trailer that was computed once
// serves for the same pack again. One thread at a time. Memory: 12 bytes for each object sent, one
// piece, and the reader's caches.
#pragma once

#include "pack/pack_output.h"
#include "pack/object_reader.h"

namespace vexor::pack {

struct PackOptions {
  bool ofs_delta = true;
};

// Where each entry of the pack begins, by object number.
class EntryOffsets {
 public:
  explicit EntryOffsets(const std::vector<ObjectNumber>& numbers);
  void set(std::size_t index, std::uint64_t offset) { offsets_[is_dense_ ? numbers_[index] - first_ : index] = offset; }
  // 0: not written (no entry begins before the pack's header ends).
  std::uint64_t find(ObjectNumber number) const;

 private:
  const std::vector<ObjectNumber>& numbers_;
  ObjectNumber first_ = 0;
  bool is_dense_ = false;
  std::vector<std::uint64_t> offsets_;
};

class PackWriter {
 public:
  // `send`: what goes into the pack. `have`: what the client is known to have and bases may come
  // from; null without thin-pack.
  PackWriter(store::StoreCore& core, ObjectReader& reader, Roaring send, store::SetPtr have, PackOptions options);
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  std::uint32_t object_count() const { return static_cast<std::uint32_t>(numbers_.size()); }
  std::uint32_t objects_written() const { return written_; }
  bool done() const { return done_; }
  // Appends the next piece to `out`, `bytes` of it or somewhat more. Call until done().
  Result<void> next(PackOutput& out, std::size_t bytes);

 private:
  Result<void> begin(PackOutput& out);
  Result<void> end(PackOutput& out);
  Result<void> go_to_extent(ObjectNumber number);
  bool is_next_extent(ObjectNumber number) const;
  Result<bool> go_to_next_extent(ObjectNumber number);
  Result<void> jump_to_extent(ObjectNumber number);
  bool holds(ObjectNumber number) const { return number >= extent_first_ && number - extent_first_ < extent_.objects.size(); }
  void note_cold();
  Result<void> write_entry(ObjectNumber number, PackOutput& out);
  Result<void> write_chunk(PackOutput& out);
  Result<void> write_whole(ObjectNumber number, PackOutput& out);
  Result<std::shared_ptr<const store::FreshPayload>> fresh_payload(ObjectNumber number);

  store::StoreCore& core_;
  ObjectReader& reader_;
  Roaring send_;
  store::SetPtr have_;
  PackOptions options_;
  std::vector<ObjectNumber> numbers_;  // of `send_`, ascending
  EntryOffsets offsets_;
  std::uint64_t rewrites_ = 0;  // of the pool
  std::string trailer_key_;
  std::string known_trailer_;  // of the same pack sent before; empty: none
  std::optional<PackChecksum> checksum_;
  std::uint32_t written_ = 0;
  std::uint64_t position_ = 0;
  // The extent at hand. Its bytes are the cursor's, those of `jumped_`, which the cursor is not at, or `contents_`.
  std::unique_ptr<sys::Cursor> cursor_;
  ObjectNumber extent_first_ = 0;
  format::ExtentHeader extent_;
  Bytes extent_bytes_;
  ExtentPtr jumped_;
  std::string contents_;      // of the cold extent that the cursor is at
  bool met_cold_ = false;     // an extent that was read was cold
  std::uint64_t chunk_rest_ = 0;  // bytes still to come of a large object
  bool begun_ = false;
  bool done_ = false;
};

}  // namespace vexor::pack
