// The bitmap rows that a push makes. Spec: docs/format/bitmap.md.
//
// While the push goes on, each row builds on the nearest one below it. At the end the rows that long chains stand on
// get the bases that keep those short, and the rest, which are most in a large push, keep their small additions.
#include <algorithm>

#include "pack/push.h"

namespace vexor::pack {

namespace {

constexpr std::uint32_t kBitmapInterval = 256;  // commits
// The depths of marks are multiples of this and 1: what builds on one has no base below it.
constexpr std::uint32_t kDepthsOfMark = 255;
// A push of fewer rows is one of many in a row: the next one likely builds on what it leaves.
constexpr std::size_t kRowsOfLargePush = 64;
// Rows above and below one that builds on the nearest; with the 32 that the rule of depths allows, far from what
// readers refuse.
constexpr std::uint32_t kRowsAboveMax = 4;
constexpr std::uint32_t kRowsBelowMax = 20;
// Rows of so many octets are always made: long histories have many, and those of ref_updates_per_push_max refs take 128 MB.
constexpr std::uint64_t kSmallRowBytes = 256;

}  // namespace

Result<void> PushSource::add_tip(ObjectNumber tip, std::shared_ptr<Roaring> set, ObjectNumber nearest, bool is_mark) {
  if (bitmaps_.contains(tip)) return success();
  // The row that another repository of the pool made stands for the same set, as the walk has just shown,
  // and others build on it: it stays as it is.
  VEXOR_TRY(auto stored, stored_.bitmap_row(tip));
  if (stored) {
    bitmaps_.emplace(tip, std::move(*stored));
    stored_tips_.add(tip);
    return success();
  }
  BitmapRow row;
  if (nearest != kNoObject) {
    VEXOR_TRY(const auto below_row, bitmap_row(nearest));
    if (!below_row) return Error(Errc::kCorrupt, "a set without its bitmap");
    VEXOR_TRY(const SetPtr below, stored_set(nearest));
    row.base = nearest;
    row.depth = (is_mark ? below_row->depth | kDepthsOfMark : below_row->depth) + 1;
    row.additions = *set - *below;
    if (row.additions.cardinality() * 2 > set->cardinality() || row.depth < below_row->depth) row = BitmapRow{};
  }
  if (row.base == kNoObject) row.additions = *set;
  row.additions.runOptimize();
  const std::uint64_t bytes = row.additions.getSizeInBytes(false);
  if (bytes > kSmallRowBytes && bitmap_bytes_ + bytes > reader_.limits().ingest_memory_bytes) return success();
  bitmap_bytes_ += bytes;
  bitmaps_.emplace(tip, std::move(row));
  keep_set(tip, std::move(set));
  return success();
}

void PushSource::keep_set(ObjectNumber tip, std::shared_ptr<Roaring> set) {
  set->runOptimize();
  set->shrinkToFit();  // kept long: room to grow is no use
  const std::uint64_t bytes = set->getSizeInBytes(false);
  if (tip_set_bytes_ + bytes > reader_.limits().fetch_cache_bytes) {  // thousands of tips; rows bring them back
    tip_sets_.clear();
    tip_set_bytes_ = 0;
  }
  tip_set_bytes_ += bytes;
  tip_sets_.emplace(tip, std::move(set));
}

void PushSource::publish_sets(const Roaring& kept) {
  for (const auto& [tip, set] : tip_sets_) {
    if (!kept.contains(tip)) continue;
    const auto key = stored_.cache_key(tip);
    if (key.has_value()) core_.sets.insert(key.value(), set);
  }
}

// Row of depth d: on the ancestor whose depth is d with its lowest set bit cleared.
Result<BitmapRow> PushSource::row_on_far_base(const BitmapRow& near) {
  BitmapRow row = near;
  const std::uint32_t target = row.depth & (row.depth - 1);
  VEXOR_TRY(auto below, bitmap_row(row.base));
  while (below && below->depth > target && below->base != kNoObject) {
    row.additions |= below->additions;
    row.base = below->base;
    VEXOR_TRY(below, bitmap_row(row.base));
  }
  if (!below) return Error(Errc::kCorrupt, "a bitmap's base is missing");
  row.additions.runOptimize();
  return row;
}

Result<std::map<ObjectNumber, BitmapRow>> PushSource::settled_bitmaps() {
  std::map<ObjectNumber, BitmapRow> out;
  std::vector<std::pair<std::uint32_t, ObjectNumber>> order;  // bases before what builds on them
  for (const auto& [tip, row] : bitmaps_) {
    if (!stored_tips_.contains(tip)) order.emplace_back(row.depth, tip);
  }
  std::sort(order.begin(), order.end());
  const bool is_large = order.size() >= kRowsOfLargePush;
  std::unordered_map<ObjectNumber, std::uint32_t> above;  // rows of this push, the longest chain
  for (auto at = order.rbegin(); at != order.rend(); ++at) {
    std::uint32_t& below_it = above[bitmaps_.at(at->second).base];
    below_it = std::max(below_it, above[at->second] + 1);
  }
  std::unordered_map<ObjectNumber, std::uint32_t> below;
  const auto rows_below = [&](ObjectNumber number) -> Result<std::uint32_t> {
    if (const auto known = below.find(number); known != below.end()) return known->second;
    std::uint32_t count = 0;
    for (ObjectNumber at = number; count <= kRowsBelowMax; ++count) {
      VEXOR_TRY(const auto row, stored_.bitmap_row(at));
      if (!row) return Error(Errc::kCorrupt, "a bitmap's base is missing");
      if (row->base == kNoObject) break;
      at = row->base;
    }
    below.emplace(number, count);
    return count;
  };
  for (const auto& [depth, tip] : order) {
    const BitmapRow& near = bitmaps_.at(tip);
    bool is_near = near.base == kNoObject;
    if (!is_near && is_large && above[tip] <= kRowsAboveMax) {
      VEXOR_TRY(const std::uint32_t of_base, rows_below(near.base));
      is_near = of_base < kRowsBelowMax;
    }
    BitmapRow row = near;
    if (!is_near) {
      VEXOR_TRY(row, row_on_far_base(near));
    }
    if (is_large) {
      std::uint32_t of_tip = 0;
      if (row.base != kNoObject) {
        VEXOR_TRY(of_tip, rows_below(row.base));
        ++of_tip;
      }
      below.emplace(tip, of_tip);
    }
    out.emplace(tip, std::move(row));
  }
  return out;
}

Result<void> add_tip_bitmap(PushSource& source, ReachabilityWalker& walker, ObjectNumber tip, bool is_mark) {
  VEXOR_TRY(const SetPtr stored, source.stored_set(tip));
  if (stored) return success();
  auto set = std::make_shared<Roaring>();
  VEXOR_TRY(walker.add(tip, *set));
  return source.add_tip(tip, std::move(set), walker.nearest_stored(), is_mark);
}

Result<void> add_interval_bitmaps(PushSource& source, ReachabilityWalker& walker, const std::vector<ObjectNumber>& commits) {
  if (commits.size() < kBitmapInterval) return success();
  std::unordered_map<ObjectNumber, std::uint32_t> distances;  // first parents to the nearest bitmap
  for (const ObjectNumber commit : commits) {
    VEXOR_TRY(const GraphRow* row, source.pushed_graph(commit));
    std::uint32_t distance = 1;
    if (!row->parents.empty()) {
      const auto parent = distances.find(row->parents.front());
      if (parent != distances.end()) distance += parent->second;
    }
    if (distance >= kBitmapInterval) {
      const auto added = add_tip_bitmap(source, walker, commit, true);
      if (added.has_value()) {
        distance = 0;
      } else if (added.error().code() != Errc::kProtocol && added.error().code() != Errc::kLimitExceeded) {
        return added.error().clone();
      } else {
        return success();  // the commands say what is missing
      }
    }
    distances.emplace(commit, distance);
  }
  return success();
}

}  // namespace vexor::pack
