// PackWriter: the pack of a plan, piece by piece. Stored payloads go out as they are; a delta whose base the client will
// not have goes out whole. Spec: gitformat-pack.
//
// The bytes are a function of the plan's key and the sizes of the pieces. One thread at a time. Memory: one piece, and
// the reader's caches.
#pragma once

#include "pack/object_reader.h"
#include "pack/pack_output.h"
#include "pack/pack_plan.h"

namespace vexor::pack {

// Where a piece begins.
struct PackPosition {
  std::uint64_t offset = 0;      // in the pack
  std::uint32_t written = 0;     // objects begun before
  std::uint32_t chunk = 0;       // of the latest object, the next to be written, if `chunk_rest` is not 0
  std::uint64_t chunk_rest = 0;  // bytes still to come of the latest object
};

class PackWriter {
 public:
  // From the start, noting in the plan where entries begin. `trailer`: of the same pack written before; empty: not known.
  PackWriter(store::StoreCore& core, ObjectReader& reader, std::shared_ptr<PackPlan> plan, std::string trailer);
  // Goes on from where another writer of the plan was, and stays behind what that one has written. The trailer must be
  // told before the last piece.
  PackWriter(store::StoreCore& core, ObjectReader& reader, std::shared_ptr<PackPlan> plan, const PackPosition& from);
  PackWriter(const PackWriter&) = delete;
  PackWriter& operator=(const PackWriter&) = delete;

  bool done() const { return done_; }
  PackPosition position() const { return {position_, written_, chunk_, chunk_rest_}; }
  const std::string& trailer() const { return trailer_; }
  void set_trailer(const std::string& trailer) { trailer_ = trailer; }
  // Appends the next piece to `out`, `bytes` of it or somewhat more. Call until done().
  Result<void> next(PackOutput& out, std::size_t bytes);

 private:
  Result<void> begin(PackOutput& out);
  Result<void> end(PackOutput& out);
  Result<void> go_on_with_chunks();
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
  const std::shared_ptr<PackPlan> plan_;
  const bool is_behind_;  // another writer is ahead
  std::string trailer_;
  std::optional<PackChecksum> checksum_;
  std::uint64_t rewrites_ = 0;  // of the pool
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
  std::uint32_t chunk_ = 0;       // that holds the next of them
  bool begun_ = false;
  bool done_ = false;
};

}  // namespace vexor::pack
