#include "store/extent_directory.h"

namespace vexor::store {

std::optional<format::ObjectNumber> ExtentDirectory::find(format::PoolId pool, format::ObjectNumber number) const {
  const std::lock_guard lock(mutex_);
  auto found = objects_.upper_bound({pool, number});
  if (found == objects_.begin()) return std::nullopt;
  --found;
  const auto [of_pool, first] = found->first;
  if (of_pool != pool || number - first >= found->second) return std::nullopt;
  return first;
}

void ExtentDirectory::note(format::PoolId pool, format::ObjectNumber first, std::size_t objects) {
  const std::lock_guard lock(mutex_);
  if (objects_.size() >= kNotesMax) objects_.clear();  // readers find them again
  const auto place = objects_.insert_or_assign({pool, first}, objects).first;
  for (auto next = std::next(place); next != objects_.end() && next->first.first == pool && next->first.second - first < objects;) {
    next = objects_.erase(next);  // of before a merge
  }
}

}  // namespace vexor::store
