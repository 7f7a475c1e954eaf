#include "maintenance/sweep.h"

#include <algorithm>

#include "base/check.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kBatchBytes = 1U << 20U;

}  // namespace

Result<bool> SweepTask::step(Budget& budget) {
  switch (phase_) {
    case Phase::kMark: {
      VEXOR_TRY(const bool may_be_some, unreached_.mark());
      phase_ = may_be_some ? Phase::kScan : Phase::kDone;
      break;
    }
    case Phase::kScan: {
      VEXOR_TRY(const bool is_over, unreached_.scan(budget));
      if (is_over) phase_ = unreached_.candidates().isEmpty() ? Phase::kDone : Phase::kBitmaps;
      break;
    }
    case Phase::kBitmaps: {
      VEXOR_TRY(erase_bitmaps(budget));
      break;
    }
    case Phase::kErase: {
      VEXOR_TRY(erase_objects(budget));
      break;
    }
    case Phase::kDone: break;
  }
  return phase_ == Phase::kDone;
}

void SweepTask::drop_loose_graph(Replacement& out) {
  for (const ObjectNumber number : unreached_.loose_commits()) out.erase(Family::kGraph, format::number_key(context_.pool, number));
}

Result<void> SweepTask::erase_bitmaps(Budget& budget) {
  const Unreached::Pass pass = unreached_.enter_gate();
  if (!pass) {
    budget.give_up();
    return success();
  }
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(unreached_.catch_up(snapshot));
  Replacement out;
  const std::string prefix = format::pool_key(context_.pool);
  const auto cursor = snapshot->cursor(Family::kBitmaps);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const ObjectNumber number, format::number_of_key(cursor->key()));
    if (!unreached_.is_reached(number)) out.erase(Family::kBitmaps, std::string(cursor->key()));
  }
  VEXOR_TRY(cursor->status());
  drop_loose_graph(out);
  VEXOR_TRY(change_upkeep(*snapshot, context_.pool, out, [](format::PoolUpkeepRow& row) { ++row.sweeps; }));
  VEXOR_TRY(out.submit(context_.core));
  unreached_.done_with_loose_commits();
  phase_ = Phase::kErase;
  return success();
}

Result<void> SweepTask::erase_objects(Budget& budget) {
  const Unreached::Pass pass = unreached_.enter_gate();
  if (!pass) {
    budget.give_up();
    return success();
  }
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(unreached_.catch_up(snapshot));
  Replacement out;
  Roaring swept;
  std::uint64_t bytes = 0;
  std::uint64_t cold = 0;  // extents that were cold and come back thawed: freezing takes them up again
  std::uint64_t cold_bytes = 0;
  ObjectNumber next = erase_next_;
  while (out.bytes() < kBatchBytes && !budget.is_used_up()) {
    Roaring::const_iterator at = unreached_.candidates().begin();
    at.equalorlarger(next);
    if (at == unreached_.candidates().end()) {
      phase_ = Phase::kDone;
      break;
    }
    VEXOR_TRY(ExtentScan scan, ExtentScan::begin(*snapshot, context_.pool, context_.algorithm, *at));
    VEXOR_TRY(const bool more, scan.next());
    if (!more) {
      phase_ = Phase::kDone;
      break;
    }
    budget.use(scan.value().size());
    next = scan.end();
    Roaring here;
    for (ObjectNumber number = scan.first(); number < scan.end(); ++number) {
      const format::ExtentObject& object = scan.header().objects[number - scan.first()];
      if (object.is_absent || !unreached_.candidates().contains(number)) continue;
      here.add(number);
      bytes += object.payload_bytes;
    }
    if (here.isEmpty()) continue;  // what was there is gone: a purge
    swept |= here;
    cold += scan.header().is_cold ? 1U : 0U;
    cold_bytes += scan.header().is_cold ? scan.value().size() : 0;
    VEXOR_TRY(sweep_extent(*snapshot, scan, out));
  }
  drop_loose_graph(out);
  if (!out.empty()) {
    const auto first = static_cast<std::uint64_t>(swept.isEmpty() ? erase_next_ : swept.minimum());
    VEXOR_TRY(change_upkeep(*snapshot, context_.pool, out, [&](format::PoolUpkeepRow& row) {
      ++row.rewrites;
      row.swept_objects += swept.cardinality();
      row.merged_to = std::min(row.merged_to, first);
      row.frozen_to = std::min(row.frozen_to, first);
      row.cold_extents -= std::min(row.cold_extents, cold);
      row.cold_bytes -= std::min(row.cold_bytes, cold_bytes);
    }));
    VEXOR_TRY(out.submit(context_.core));
  }
  unreached_.done_with_loose_commits();
  erase_next_ = next;
  context_.figures.objects_swept += swept.cardinality();
  context_.figures.bytes_saved += bytes;
  context_.done += swept.cardinality();
  return success();
}

// Puts the extent without its candidates in its place, and takes their index and graph rows along.
Result<void> SweepTask::sweep_extent(const sys::StorageSnapshot& snapshot, ExtentScan& extent, Replacement& out) {
  VEXOR_TRY(extent.thaw());
  ExtentPacker packer(context_.pool, extent.first(), [&](std::string key, std::string value) {
    out.put(Family::kExtents, std::move(key), std::move(value));
  });
  const auto& objects = extent.header().objects;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const auto number = extent.first() + static_cast<ObjectNumber>(i);
    if (objects[i].is_absent) {
      packer.add_absent();
      continue;
    }
    if (!unreached_.candidates().contains(number)) {
      VEXOR_CHECK(!extent.is_chunked());
      packer.add(objects[i], extent.payload(i));
      continue;
    }
    packer.add_absent();
    VEXOR_CHECK(!unreached_.stays(number));
    const std::string key = format::index_key(context_.pool, objects[i].id);
    VEXOR_TRY(const auto indexed, snapshot.get(Family::kIndex, key));
    if (indexed && indexed->bytes() == Bytes(format::encode_index_row(number))) out.erase(Family::kIndex, key);
    if (objects[i].type == ObjectType::kCommit) out.erase(Family::kGraph, format::number_key(context_.pool, number));
  }
  packer.flush();
  out.take(Family::kExtents, extent.key(), extent.value());
  if (!extent.is_chunked()) return success();
  const std::uint64_t chunks = (extent.header().payload_bytes + format::kExtentChunkBytes - 1) / format::kExtentChunkBytes;
  for (std::uint32_t chunk = 1; chunk < chunks; ++chunk) out.erase(Family::kExtents, format::extent_key(context_.pool, extent.first(), chunk));
  return success();
}

}  // namespace vexor::maintenance
