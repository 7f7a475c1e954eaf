// Reading the extents of a pool in order, and putting others in their place with the same numbers.
//
// Numbers that a push has in quarantine are left alone: a start may sweep them by their range, so their
// rows must not hold objects of others, nor other rows objects of theirs. Spec: docs/format/extent.md,
// quarantine.md.
#pragma once

#include <functional>
#include <set>

#include "format/extent.h"
#include "format/pool_rows.h"
#include "pack/loaded_extent.h"
#include "store/store_core.h"

namespace vexor::maintenance {

using format::kNoObject;
using format::ObjectNumber;
using format::PoolId;

// The number ranges of a pool that no commit has taken over, as of a snapshot.
class QuarantinedRanges {
 public:
  static Result<QuarantinedRanges> read(const sys::StorageSnapshot& snapshot, PoolId pool);
  bool overlaps(ObjectNumber first, std::uint64_t count) const;
  // First and end of each, in order.
  const std::vector<std::pair<std::uint64_t, std::uint64_t>>& ranges() const { return ranges_; }

 private:
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_;
};

// One pass over the extents of a pool. The snapshot must outlive it.
class ExtentScan {
 public:
  static Result<ExtentScan> begin(const sys::StorageSnapshot& snapshot, PoolId pool, HashAlgorithm algorithm, ObjectNumber from);
  // Moves to the extent that holds `from`, or the first behind it; then to the next one. False: behind
  // the last.
  Result<bool> next();

  ObjectNumber first() const { return first_; }
  ObjectNumber end() const { return first_ + static_cast<ObjectNumber>(header_.objects.size()); }
  const format::ExtentHeader& header() const { return header_; }
  Bytes key() const { return cursor_->key(); }      // until the next move
  Bytes value() const { return cursor_->value(); }  // until the next move
  Bytes payload(std::size_t index) const;           // of an object that is not chunked
  bool is_chunked() const {
    return !header_.is_cold && !is_changed_ && header_.payload_bytes > format::kExtentChunkBytes && header_.objects.size() == 1;
  }
  // From here to the next move, header() and payload() tell of a cold extent what it is inflated: no chunks.
  Result<void> expand();
  // The same, with zlib streams made anew: what its objects are in extents that are not cold. Does nothing to one of those.
  Result<void> thaw();

 private:
  ExtentScan(PoolId pool, HashAlgorithm algorithm, QuarantinedRanges quarantined, std::unique_ptr<sys::Cursor> cursor)
      : pool_(pool), prefix_(format::pool_key(pool)), algorithm_(algorithm), quarantined_(std::move(quarantined)), cursor_(std::move(cursor)) {}

  PoolId pool_;
  std::string prefix_;
  HashAlgorithm algorithm_;
  QuarantinedRanges quarantined_;
  std::unique_ptr<sys::Cursor> cursor_;
  bool moved_ = false;
  ObjectNumber first_ = 0;
  format::ExtentHeader header_;
  bool is_changed_ = false;  // by expand() or thaw(): payloads are in `contents_`
  std::string contents_;
};

// Packs objects of consecutive numbers into extents; absent ones at the ends of an extent are left out.
class ExtentPacker {
 public:
  using Emit = std::function<void(std::string key, std::string value)>;
  ExtentPacker(PoolId pool, ObjectNumber first, Emit emit) : pool_(pool), next_(first), emit_(std::move(emit)) {}
  void add(const format::ExtentObject& object, Bytes payload);  // payload: all of it
  void add_absent();
  void flush();
  // The next `count` objects are written by somebody else.
  void skip(ObjectNumber count) {
    flush();
    next_ += count;
  }

 private:
  void emit_large(const format::ExtentObject& object, Bytes payload);

  PoolId pool_;
  ObjectNumber next_;  // number of the next object
  Emit emit_;
  std::vector<format::ExtentObject> objects_;
  std::string payload_;
};

// A change that puts rows in the place of others, if those are still what was read.
class Replacement {
 public:
  // The row goes, unless one with its key comes. `expect`: and must be as it is until then.
  void take(sys::Family family, Bytes key, Bytes value, bool expect = true);
  // The row must be as it is, and stays.
  void expect(sys::Family family, Bytes key, Bytes value) { preconditions_.push_back({family, std::string(key), std::string(value)}); }
  void put(sys::Family family, std::string key, std::string value);
  void erase(sys::Family family, std::string key) { gone_.emplace(family, std::move(key)); }
  bool empty() const { return gone_.empty() && come_.empty(); }
  std::uint64_t bytes() const { return bytes_; }
  // Writes all of it at once. Errors: kConflict (nothing changed).
  Result<void> submit(store::StoreCore& core);

 private:
  using Key = std::pair<sys::Family, std::string>;
  std::vector<store::Precondition> preconditions_;
  std::set<Key> gone_;
  std::map<Key, std::string> come_;
  std::uint64_t bytes_ = 0;
};

}  // namespace vexor::maintenance
