// Re-delta, search: each candidate against a window of those before it in the order.
//
// The rules by which git chooses bases (pack-objects, try_delta and find_deltas): a delta must be shorter
// than half of the object; one upon a deep base must be shorter in proportion to the depth that is left;
// the best base of an object goes to the near end of the window, so that it is kept for the next ones.
#include "base/check.h"
#include "compress/zlib_stream.h"
#include "maintenance/redelta.h"

namespace vexor::maintenance {

namespace {

constexpr std::size_t kObjectBytesMin = 50;  // of smaller ones neither deltas nor bases are made
constexpr std::size_t kBaseRatioMax = 32;    // times the object's size: larger bases are not tried
constexpr int kLevel = 9;

}  // namespace

Result<void> RedeltaTask::search(Budget& budget) {
  while (at_ < order_.size()) {
    if (budget.is_used_up()) return success();
    const ObjectNumber number = order_[at_];
    if (objects_.bytes[number] >= kObjectBytesMin) {
      VEXOR_TRY(search_one(number));
    } else {
      VEXOR_TRY(choose(number, std::string(), Best()));
    }
    budget.use(objects_.bytes[number]);
    ++at_;
    context_.done = at_;
  }
  window_.clear();
  window_bytes_ = 0;
  make_groups();
  return success();
}

Result<void> RedeltaTask::search_one(ObjectNumber number) {
  VEXOR_TRY(pack::ObjectReader * objects, reader());
  VEXOR_TRY(auto content, objects->read(number));
  Best best;
  if (stored_may_stay(number)) {
    best.bytes = objects_.entry_bytes[number];
    best.depth = objects_.depth[objects_.base[number]] + 1U;
  }
  for (auto slot = window_.rbegin(); slot != window_.rend(); ++slot) {
    if (objects_.type(slot->number) != objects_.type(number)) break;
    if (may_be_base(number, slot->number)) try_base(*content, *slot, best);
  }
  const ObjectNumber base = best.base;
  VEXOR_TRY(choose(number, *content, std::move(best)));
  enter_window(number, std::move(content), base);
  return success();
}

bool RedeltaTask::may_be_base(ObjectNumber number, ObjectNumber base) const {
  if (common_bases_only_) return (objects_.seen_by[base] & kSeenByAll) != 0;
  return objects_.seen_by.empty() || (objects_.seen_by[number] & ~objects_.seen_by[base]) == 0;
}

bool RedeltaTask::stored_may_stay(ObjectNumber number) const {
  const ObjectNumber base = objects_.base[number];
  if (base == kNoObject || !objects_.is_candidate(base) || objects_.rank[base] >= objects_.rank[number]) return false;
  return objects_.depth[base] < depth_max_ && may_be_base(number, base);
}

void RedeltaTask::try_base(const std::string& content, Slot& slot, Best& best) {
  const std::size_t depth_max = depth_max_;
  const std::size_t base_depth = objects_.depth[slot.number];
  if (base_depth >= depth_max) return;
  std::size_t bytes_max = content.size() / 2 - std::min(content.size() / 2, hash_bytes(context_.algorithm));
  std::size_t best_depth = 1;
  if (best.depth > 0) {
    bytes_max = best.bytes;
    best_depth = std::min<std::size_t>(best.depth, depth_max);
  }
  bytes_max = bytes_max * (depth_max - base_depth) / (depth_max - best_depth + 1);
  const std::size_t base_bytes = slot.content->size();
  if (bytes_max == 0 || (base_bytes < content.size() && content.size() - base_bytes >= bytes_max)) return;
  if (content.size() < base_bytes / kBaseRatioMax) return;
  if (!slot.index) {
    window_bytes_ -= slot.bytes();
    slot.index = std::make_unique<format::DeltaIndex>(*slot.content);
    window_bytes_ += slot.bytes();
  }
  if (!slot.index->encode(content, bytes_max, room_)) return;
  if (best.depth > 0 && room_.size() == best.bytes && base_depth + 1 >= best.depth) return;
  best.base = slot.number;
  best.bytes = room_.size();
  best.depth = static_cast<std::uint32_t>(base_depth + 1);
  std::swap(best.delta, room_);
}

// Between the new delta and the stored form; what is in the way of the order has to go.
Result<void> RedeltaTask::choose(ObjectNumber number, const std::string& content, Best best) {
  const bool stored_whole = objects_.base[number] == kNoObject;
  const bool stored_stays = stored_whole || stored_may_stay(number);
  const auto keep_stored = [&] { objects_.depth[number] = stored_whole ? std::uint8_t{0} : static_cast<std::uint8_t>(objects_.depth[objects_.base[number]] + 1); };
  if (best.base == kNoObject) {
    if (stored_stays) {
      keep_stored();
      return success();
    }
    objects_.form[number] = ObjectTable::kWhole;
    objects_.new_base[number] = kNoObject;
    objects_.depth[number] = 0;
    return success();
  }
  VEXOR_CHECK(objects_.rank[best.base] < objects_.rank[number] && !content.empty());
  const std::string deflated = compress::deflate(best.delta, kLevel);
  if (stored_stays && objects_.payload_bytes[number] <= deflated.size()) {
    keep_stored();
    return success();
  }
  objects_.form[number] = ObjectTable::kDelta;
  objects_.new_base[number] = best.base;
  objects_.depth[number] = static_cast<std::uint8_t>(best.depth);
  objects_.spool_offset[number] = spool_.size();
  objects_.spool_bytes[number] = static_cast<std::uint32_t>(deflated.size());
  objects_.new_entry_bytes[number] = static_cast<std::uint32_t>(best.delta.size());
  return spool_.append(deflated);
}

void RedeltaTask::enter_window(ObjectNumber number, std::shared_ptr<const std::string> content, ObjectNumber base) {
  const bool is_full_depth = objects_.depth[number] >= depth_max_;
  if (!is_full_depth) {
    window_.push_back({number, std::move(content), nullptr});
    window_bytes_ += window_.back().bytes();
  }
  for (std::size_t i = 0; base != kNoObject && i < window_.size(); ++i) {
    if (window_[i].number != base) continue;
    Slot found = std::move(window_[i]);
    window_.erase(window_.begin() + static_cast<std::ptrdiff_t>(i));
    window_.push_back(std::move(found));
    break;
  }
  while (window_.size() > context_.policy.redelta_window || (window_bytes_ > context_.policy.redelta_window_bytes && window_.size() > 1)) {
    window_bytes_ -= window_.front().bytes();
    window_.pop_front();
  }
}

}  // namespace vexor::maintenance
