// ExtentDirectory: where extents begin, as far as readers came across them. Finding the extent of a number by the
// order of keys reads the rows before and behind it too; with its first number at hand it is one row.
//
// What is noted is a hint: maintenance makes other extents of the same objects, and readers have snapshots of either
// form. Whoever asks reads the row and looks whether it holds the number.
//
// Threads: any. Memory: some 64 bytes a note, at most kNotesMax of them.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "format/keys.h"

namespace vexor::store {

class ExtentDirectory {
 public:
  // The first number of the noted extent at or before `number`; nullopt: none that may hold it.
  std::optional<format::ObjectNumber> find(format::PoolId pool, format::ObjectNumber number) const;
  void note(format::PoolId pool, format::ObjectNumber first, std::size_t objects);

 private:
  static constexpr std::size_t kNotesMax = 256 * 1024;
  using Place = std::pair<format::PoolId, format::ObjectNumber>;
  mutable std::mutex mutex_;
  std::map<Place, std::size_t> objects_;  // guarded by mutex_; how many each extent holds
};

}  // namespace vexor::store
