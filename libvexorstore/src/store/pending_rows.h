// PendingRows: state rows as they will be when what is appended and not applied is applied.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

#include "vexorstore/sys/storage_backend.h"

namespace vexor::store {

class PendingRows {
 public:
  // Null: nothing is pending for the row. Points to nullopt: it will be gone.
  const std::optional<std::string>* find(sys::Family family, Bytes key) const;
  // Takes over what a batch does to single rows; erased ranges are left out: who changes rows of a range that
  // may be erased has a precondition on the row that the range belongs to.
  void add(const sys::Batch& batch, std::uint64_t sequence);
  // Forgets what came with sequences up to `applied`.
  void prune(std::uint64_t applied);
  void clear();

 private:
  struct Row {
    std::optional<std::string> value;
    std::uint64_t sequence;
  };
  std::unordered_map<std::string, Row> rows_;
  std::deque<std::pair<std::uint64_t, std::string>> order_;
};

}  // namespace vexor::store
