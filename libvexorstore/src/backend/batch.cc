#include "vexorstore/sys/storage_backend.h"

namespace vexor::sys {

std::string_view family_name(Family family) {
  constexpr std::string_view kNames[kFamilyCount] = {
      "meta", "extents", "index", "graph", "bitmaps", "shapes", "refs", "reflog",
      "repositories", "accounts", "grants", "keys", "journal", "audit", "quarantine"};
  return kNames[static_cast<std::size_t>(family)];
}

void Batch::put(Family family, Bytes key, Bytes value) {
  ops_.push_back({Kind::kPut, family, std::string(key), std::string(value)});
  bytes_ += key.size() + value.size();
}

void Batch::erase(Family family, Bytes key) {
  ops_.push_back({Kind::kErase, family, std::string(key), {}});
  bytes_ += key.size();
}

void Batch::erase_range(Family family, Bytes first, Bytes end) {
  ops_.push_back({Kind::kEraseRange, family, std::string(first), std::string(end)});
  bytes_ += first.size() + end.size();
}

void Batch::append(Batch&& other) {
  bytes_ += other.bytes_;
  if (ops_.empty()) {
    ops_ = std::move(other.ops_);
  } else {
    for (Op& op : other.ops_) ops_.push_back(std::move(op));
  }
  other = Batch();
}

}  // namespace vexor::sys
