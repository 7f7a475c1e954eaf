// Reachability: the set of objects reachable from a commit, tag, tree or blob, as object numbers.
// Spec: docs/format/bitmap.md, graph.md.
//
// A stored row of the bitmaps family is the *additions* to the set of `base` (another row), so a set is composed by
// OR along the chain. `depth` is a row's place in it; which base a writer takes, and how long chains get, is said in
// push_bitmaps.cc.
#pragma once

#include <functional>

#include "format/pool_rows.h"
#include "pack/object_reader.h"
#include "store/number_set.h"

namespace vexor::pack {

using format::decode_graph_row;
using format::encode_graph_row;
using format::GraphRow;
using store::put_set;
using store::read_set;
using store::SetPtr;

struct BitmapRow {
  ObjectNumber base = kNoObject;
  std::uint32_t depth = 0;
  Roaring additions;
};
std::string encode_bitmap_row(const BitmapRow& row);
Result<BitmapRow> decode_bitmap_row(Bytes value);
// Above that of its base.
Result<std::uint32_t> decode_bitmap_depth(Bytes value);

// Where the walker finds objects: the store alone, or the store and a push being received.
class ObjectSource {
 public:
  virtual ~ObjectSource() = default;
  virtual Result<std::optional<ObjectNumber>> find(const ObjectId& id) = 0;
  virtual Result<ObjectType> type(ObjectNumber number) = 0;
  virtual Result<std::shared_ptr<const std::string>> read(ObjectNumber number) = 0;
  virtual Result<GraphRow> graph(ObjectNumber commit) = 0;
  // The composed set of a number that has a bitmap; null if it has none.
  virtual Result<SetPtr> stored_set(ObjectNumber number) = 0;
};

// The committed objects of a pool.
class StoreSource : public ObjectSource {
 public:
  StoreSource(store::StoreCore& core, ObjectReader& reader) : core_(core), reader_(reader) {}
  Result<std::optional<ObjectNumber>> find(const ObjectId& id) override { return reader_.find(id); }
  Result<ObjectType> type(ObjectNumber number) override;
  Result<std::shared_ptr<const std::string>> read(ObjectNumber number) override { return reader_.read(number); }
  Result<GraphRow> graph(ObjectNumber commit) override;
  Result<SetPtr> stored_set(ObjectNumber number) override;
  Result<std::optional<BitmapRow>> bitmap_row(ObjectNumber number) const;
  // Whether the stored set of `number` holds `member`; false without a set.
  Result<bool> stored_contains(ObjectNumber number, ObjectNumber member) const;
  // Adds the stored set of `number` to `out` row by row; rows named in `composed` are in `out` already,
  // and those added are put there. False: it has none, and `out` is as before.
  Result<bool> add_stored(ObjectNumber number, Roaring& out, Roaring& composed) const;
  // Where the store's cache has the set of `number`: sweeps that erase bitmaps make other keys.
  Result<std::string> cache_key(ObjectNumber number);
  Result<std::uint64_t> sweeps();  // of the pool so far, and records that forgot objects of it
  const ObjectReader& reader() const { return reader_; }

 private:
  store::StoreCore& core_;
  ObjectReader& reader_;
  std::optional<std::uint64_t> sweeps_;
};

// What the repository's refs reach, hidden refs left out. Cached by ref generation.
Result<SetPtr> visible_set(store::StoreCore& core, const store::RepositorySnapshot& repository,
                           ObjectReader& reader);

}  // namespace vexor::pack
