#include "maintenance/drop.h"

#include <algorithm>

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kBatchBytes = 1U << 20U;

}  // namespace

Result<bool> DropTask::step(Budget& budget) {
  switch (phase_) {
    case Phase::kBegin: {
      VEXOR_TRY(begin());
      break;
    }
    case Phase::kScan: {
      VEXOR_TRY(scan(budget));
      break;
    }
    case Phase::kErase: {
      VEXOR_TRY(erase(budget));
      break;
    }
    case Phase::kDone: break;
  }
  return phase_ == Phase::kDone;
}

Result<void> DropTask::begin() {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(const store::ForgettingRow forgetting, store::read_forgetting(*snapshot, context_.pool));
  VEXOR_TRY(const store::DroppedRow dropped, store::read_dropped(*snapshot, context_.pool));
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*snapshot, context_.pool));
  const std::int64_t now_ms = context_.core.clock.wall_time_ms();
  const std::uint64_t retention = context_.policy.forgotten_retention_seconds;
  const bool is_for_ever = retention > static_cast<std::uint64_t>(now_ms) / 1000;
  records_ = dropped.records;
  while (!is_for_ever && records_ < forgetting.records) {
    VEXOR_TRY(const store::ForgottenRow row, store::read_forgotten(*snapshot, context_.pool, records_ + 1));
    if (row.time_ms > now_ms - static_cast<std::int64_t>(retention) * 1000) break;
    candidates_ |= row.numbers;
    ++records_;
  }
  const bool may_lean_less = !dropped.kept.isEmpty() && dropped.rewrites != upkeep.rewrites;
  if (records_ == dropped.records && !may_lean_less) {
    phase_ = Phase::kDone;
    return success();
  }
  candidates_ |= dropped.kept;
  phase_ = Phase::kScan;
  return success();
}

Result<void> DropTask::scan(Budget& budget) {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(ExtentScan scan, ExtentScan::begin(*snapshot, context_.pool, context_.algorithm, next_));
  for (;;) {
    VEXOR_TRY(const bool more, scan.next());
    if (!more) break;
    budget.use(scan.value().size());
    ObjectNumber number = scan.first();
    for (const format::ExtentObject& object : scan.header().objects) {
      const bool is_candidate = candidates_.contains(number);
      if (!object.is_absent && is_candidate) present_.add(number);
      if (!object.is_absent && object.is_delta) {
        if (is_candidate) candidate_bases_.emplace_back(number, object.base);
        else needed_bases_.add(object.base);
      }
      ++number;
    }
    next_ = number;
    context_.done = number;
    if (budget.is_used_up()) return success();
  }
  candidates_ &= present_;
  keep(needed_bases_);
  context_.total = candidates_.cardinality();
  context_.done = 0;
  next_ = 0;
  phase_ = Phase::kErase;
  return success();
}

void DropTask::keep(const Roaring& numbers) {
  Roaring found = candidates_ & numbers;
  while (!found.isEmpty()) {
    candidates_ -= found;
    kept_ |= found;
    Roaring bases;
    for (const ObjectNumber number : found) {
      const auto at = std::lower_bound(candidate_bases_.begin(), candidate_bases_.end(), std::pair(number, ObjectNumber{0}));
      if (at != candidate_bases_.end() && at->first == number) bases.add(at->second);
    }
    found = candidates_ & bases;
  }
}

Result<void> DropTask::erase(Budget& budget) {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  Replacement out;
  Roaring erased;
  std::uint64_t bytes = 0;
  std::uint64_t cold = 0;
  std::uint64_t cold_bytes = 0;
  ObjectNumber next = next_;
  bool is_over = false;
  while (!is_over && out.bytes() < kBatchBytes && !budget.is_used_up()) {
    Roaring::const_iterator at = candidates_.begin();
    at.equalorlarger(next);
    is_over = at == candidates_.end();
    if (is_over) break;
    VEXOR_TRY(ExtentScan scan, ExtentScan::begin(*snapshot, context_.pool, context_.algorithm, *at));
    VEXOR_TRY(const bool more, scan.next());
    is_over = !more;
    if (!more) break;
    budget.use(scan.value().size());
    next = scan.end();
    Roaring here;
    for (ObjectNumber number = scan.first(); number < scan.end(); ++number) {
      const format::ExtentObject& object = scan.header().objects[number - scan.first()];
      if (object.is_absent || !candidates_.contains(number)) continue;
      here.add(number);
      bytes += object.payload_bytes;
    }
    if (here.isEmpty()) continue;  // what was there is gone: a purge
    erased |= here;
    cold += scan.header().is_cold ? 1U : 0U;
    cold_bytes += scan.header().is_cold ? scan.value().size() : 0;
    VEXOR_TRY(erase_extent(*snapshot, scan, out));
  }
  if (!erased.isEmpty()) {
    VEXOR_TRY(change_upkeep(*snapshot, context_.pool, out, [&](format::PoolUpkeepRow& row) {
      ++row.rewrites;
      row.swept_objects += erased.cardinality();
      row.merged_to = std::min(row.merged_to, std::uint64_t{erased.minimum()});
      row.frozen_to = std::min(row.frozen_to, std::uint64_t{erased.minimum()});
      row.cold_extents -= std::min(row.cold_extents, cold);
      row.cold_bytes -= std::min(row.cold_bytes, cold_bytes);
    }));
  }
  VEXOR_TRY(note(*snapshot, out, is_over, erased.cardinality()));
  VEXOR_TRY(out.submit(context_.core));
  next_ = next;
  context_.figures.objects_swept += erased.cardinality();
  context_.figures.bytes_saved += bytes;
  context_.done += erased.cardinality();
  if (is_over) phase_ = Phase::kDone;
  return success();
}

// Puts the extent without its candidates in its place.
Result<void> DropTask::erase_extent(const sys::StorageSnapshot& snapshot, ExtentScan& extent, Replacement& out) {
  VEXOR_TRY(extent.thaw());
  ExtentPacker packer(context_.pool, extent.first(), [&](std::string key, std::string value) { out.put(Family::kExtents, std::move(key), std::move(value)); });
  const auto& objects = extent.header().objects;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const auto number = extent.first() + static_cast<ObjectNumber>(i);
    if (!objects[i].is_absent && !candidates_.contains(number)) {
      packer.add(objects[i], extent.payload(i));
      continue;
    }
    packer.add_absent();
    if (objects[i].is_absent) continue;
    VEXOR_TRY(const auto indexed, snapshot.get(Family::kIndex, format::index_key(context_.pool, objects[i].id)));
    if (indexed && indexed->bytes() == Bytes(format::encode_index_row(number))) {
      return Error(Errc::kCorrupt, "object " + std::to_string(number) + " of pool " + std::to_string(context_.pool) + " was forgotten, and the index leads to it");
    }
  }
  packer.flush();
  out.take(Family::kExtents, extent.key(), extent.value());
  if (!extent.is_chunked()) return success();
  const std::uint64_t chunks = (extent.header().payload_bytes + format::kExtentChunkBytes - 1) / format::kExtentChunkBytes;
  for (std::uint32_t chunk = 1; chunk < chunks; ++chunk) out.erase(Family::kExtents, format::extent_key(context_.pool, extent.first(), chunk));
  return success();
}

// How far it is, in the batch that it tells of. Not if a purge took the pool: then there is no such record any more.
Result<void> DropTask::note(const sys::StorageSnapshot& snapshot, Replacement& out, bool is_over, std::uint64_t dropped) {
  const std::string first_key = store::forgotten_key(context_.pool, 1);
  VEXOR_TRY(const auto first, snapshot.get(Family::kRepositories, first_key));
  if (!first) return Error(Errc::kConflict, "the pool was purged meanwhile");
  out.expect(Family::kRepositories, first_key, first->bytes());
  VEXOR_TRY(store::DroppedRow row, store::read_dropped(snapshot, context_.pool));
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(snapshot, context_.pool));
  row.objects += dropped;
  if (is_over) {
    row.records = records_;
    row.rewrites = upkeep.rewrites + (dropped > 0 ? 1 : 0);
    row.kept = kept_;
    row.kept.runOptimize();
  }
  out.put(Family::kMeta, store::dropped_key(context_.pool), store::encode_dropped_row(row));
  return success();
}

}  // namespace vexor::maintenance
