// Reading stored objects of one pool as of one snapshot: entries by number, ids to numbers, and
// whole objects with their deltas applied.
//
// Threads: one reader belongs to one thread at a time. Memory: at most `fetch_cache_bytes` of resolved
// objects and extents (a quarter of it) plus the object being read; a base or result over delta_object_bytes_max is
// refused, whole blobs of any size are read in pieces by stream().
#pragma once

#include <functional>
#include <list>
#include <map>
#include <unordered_map>

#include "format/pool_rows.h"
#include "pack/loaded_extent.h"
#include "store/store_core.h"

namespace vexor::pack {

using format::kNoObject;
using format::ObjectNumber;
using format::PoolId;

struct StoredEntry {
  format::ExtentObject object;
  Bytes payload;                      // the bytes in the first row; all of them unless `chunked`
  bool chunked = false;
  bool is_inflated = false;           // of a cold extent: `payload` is no zlib stream but what one would yield
  std::uint64_t stored_bytes = 0;     // that it takes in its row, roughly for a cold one
  ObjectNumber number = 0;
  std::shared_ptr<const void> owner;  // keeps `payload` readable
};

// Resolved objects by number, least recently used ones dropped.
class ObjectCache {
 public:
  explicit ObjectCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  std::shared_ptr<const std::string> find(ObjectNumber number);
  void insert(ObjectNumber number, std::shared_ptr<const std::string> content);

 private:
  using Item = std::pair<ObjectNumber, std::shared_ptr<const std::string>>;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::list<Item> items_;  // most recent first
  std::unordered_map<ObjectNumber, std::list<Item>::iterator> by_number_;
};

class ObjectReader {
 public:
  // `directory`: finds extents faster, learns those that are found otherwise; must outlive the reader. Null: none.
  ObjectReader(store::SnapshotPtr snapshot, PoolId pool, HashAlgorithm algorithm,
               const Limits& limits, store::ExtentDirectory* directory = nullptr);

  Result<std::optional<ObjectNumber>> find(const ObjectId& id) const;
  Result<StoredEntry> entry(ObjectNumber number);
  // The extent that holds `number`, by a read of its own: for readers that go through few extents.
  Result<ExtentPtr> extent(ObjectNumber number);
  Result<std::shared_ptr<const std::string>> read(ObjectNumber number);
  // Calls sink(piece) with the content in order, in bounded memory for objects that are not deltas; an error of
  // the sink ends it.
  Result<void> stream(ObjectNumber number, const std::function<Result<void>(Bytes)>& sink);
  // The chunk rows behind a chunked entry's first bytes: chunk 1, 2, ...; nullopt behind the last.
  Result<std::optional<sys::PinnedValue>> chunk(ObjectNumber number, std::uint32_t index) const;

  HashAlgorithm algorithm() const { return algorithm_; }
  PoolId pool() const { return pool_; }
  const store::SnapshotPtr& snapshot() const { return snapshot_; }
  const Limits& limits() const { return limits_; }
  std::uint64_t made_bytes() const { return made_bytes_; }  // of all objects that read() made, those on the way included
  store::ExtentDirectory* directory() const { return directory_; }

 private:
  using LoadedList = std::list<ExtentPtr>;
  Result<ExtentPtr> load_noted(ObjectNumber number) const;
  Result<ExtentPtr> search(ObjectNumber number);
  void keep(const ExtentPtr& extent);
  Result<std::string> inflate(const StoredEntry& entry) const;
  Result<std::string> inflate_in_pieces(const StoredEntry& entry) const;
  Result<void> inflate_to(const StoredEntry& entry, const std::function<Result<void>(Bytes)>& sink) const;

  store::SnapshotPtr snapshot_;
  PoolId pool_;
  HashAlgorithm algorithm_;
  Limits limits_;
  store::ExtentDirectory* directory_;
  std::unique_ptr<sys::Cursor> cursor_;  // null until extents are searched for
  LoadedList extents_;  // most recent first
  std::map<ObjectNumber, LoadedList::iterator> extents_by_first_;
  std::size_t extents_bytes_ = 0;
  ObjectCache cache_;
  std::uint64_t made_bytes_ = 0;
};

}  // namespace vexor::pack
