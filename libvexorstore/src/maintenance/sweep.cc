#include "maintenance/sweep.h"

#include <algorithm>

#include "base/check.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kBatchBytes = 1U << 20U;
constexpr unsigned kGateTriesMax = 64;  // then pushes have to wait for us

}  // namespace

Result<bool> SweepTask::step(Budget& budget) {
  switch (phase_) {
    case Phase::kMark: {
      VEXOR_TRY(mark());
      break;
    }
    case Phase::kScan: {
      VEXOR_TRY(scan(budget));
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

Result<void> SweepTask::mark() {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  pack::ObjectReader reader(snapshot, context_.pool, context_.algorithm, context_.core.options.limits);
  pack::StoreSource source(context_.core, reader);
  pack::ReachabilityWalker walker(source, context_.algorithm, context_.core.options.limits, nullptr);
  Roaring composed;
  for (const RepositoryId user : context_.users) {
    store::RepositorySnapshot repository;
    repository.snapshot = snapshot;
    repository.row.number = user;
    repository.row.algorithm = context_.algorithm;
    VEXOR_TRY(const auto refs, store::read_refs(repository));
    for (const store::NamedRef& ref : refs) {
      if (!ref.row.symref_target.empty()) continue;
      VEXOR_TRY(const bool is_stored, source.add_stored(ref.row.number, reached_, composed));
      if (!is_stored) {
        VEXOR_TRY(walker.add(ref.row.number, reached_));
      }
    }
  }
  VEXOR_TRY(catch_up(snapshot));
  VEXOR_TRY(const bool garbage, may_have_garbage(*snapshot));
  phase_ = garbage ? Phase::kScan : Phase::kDone;
  return success();
}

// Counting shapes costs an octet an object; scanning, all of the pool.
Result<bool> SweepTask::may_have_garbage(const sys::StorageSnapshot& snapshot) const {
  std::uint64_t numbers = 0;
  const std::string prefix = format::pool_key(context_.pool);
  const auto cursor = snapshot.cursor(Family::kShapes);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) numbers += cursor->value().size();
  VEXOR_TRY(cursor->status());
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(snapshot, context_.pool));
  return numbers != upkeep.swept_objects + (reached_ | pinned_).cardinality();
}

Result<void> SweepTask::scan(Budget& budget) {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(ExtentScan scan, ExtentScan::begin(*snapshot, context_.pool, context_.algorithm, scan_next_));
  for (;;) {
    VEXOR_TRY(const bool more, scan.next());
    if (!more) break;
    budget.use(scan.value().size());
    ObjectNumber number = scan.first();
    for (const format::ExtentObject& object : scan.header().objects) {
      const bool stays = reached_.contains(number) || pinned_.contains(number);
      if (!object.is_absent && stays && object.is_delta) needed_bases_.add(object.base);
      if (!object.is_absent && object.type == ObjectType::kCommit && !reached_.contains(number)) loose_commits_.add(number);
      if (!object.is_absent && !stays) {
        candidates_.add(number);
        if (object.is_delta) candidate_bases_.emplace_back(number, object.base);
      }
      ++number;
    }
    scan_next_ = number;
    context_.done = number;
    if (budget.is_used_up()) return success();
  }
  keep(needed_bases_);
  phase_ = candidates_.isEmpty() ? Phase::kDone : Phase::kBitmaps;
  context_.total = candidates_.cardinality();
  context_.done = 0;
  return success();
}

void SweepTask::keep(const Roaring& numbers) {
  Roaring found = candidates_ & numbers;
  while (!found.isEmpty()) {
    candidates_ -= found;
    pinned_ |= found;
    Roaring bases;
    for (const ObjectNumber number : found) {
      const auto at = std::lower_bound(candidate_bases_.begin(), candidate_bases_.end(), std::pair(number, ObjectNumber{0}));
      if (at != candidate_bases_.end() && at->first == number) bases.add(at->second);
    }
    found = candidates_ & bases;
  }
}

Result<void> SweepTask::catch_up(const store::SnapshotPtr& snapshot) {
  VEXOR_TRY(context_.journal.advance(*snapshot));
  const PoolEvents& events = context_.journal.events(context_.pool);
  if (ranges_seen_ == events.ranges.size() && named_seen_ == events.named.size()) return success();
  for (; ranges_seen_ < events.ranges.size(); ++ranges_seen_) {
    const auto [first, count] = events.ranges[ranges_seen_];
    Roaring range;
    range.addRange(first, std::uint64_t{first} + count);
    pinned_ |= range;
    if (phase_ == Phase::kMark) continue;  // the scan is still to come
    keep(range);
    VEXOR_TRY(keep_bases_of(*snapshot, first, count));
  }
  pack::ObjectReader reader(snapshot, context_.pool, context_.algorithm, context_.core.options.limits);
  pack::StoreSource source(context_.core, reader);
  pack::ReachabilityWalker walker(source, context_.algorithm, context_.core.options.limits, nullptr);
  for (; named_seen_ < events.named.size(); ++named_seen_) {
    VEXOR_TRY(keep_reached(walker, events.named[named_seen_]));
  }
  keep(reached_);
  keep(pinned_);
  return success();
}

// What an earlier sweep with a shorter retention left incomplete stays as it is; it is not closed, so it
// must not get into `reached_`.
Result<void> SweepTask::keep_reached(pack::ReachabilityWalker& walker, ObjectNumber tip) {
  if (reached_.contains(tip)) return success();
  Roaring set = reached_;
  const auto walked = walker.add(tip, set);
  if (walked.has_value()) {
    reached_ = std::move(set);
    return success();
  }
  if (walked.error().code() != Errc::kProtocol && walked.error().code() != Errc::kCorrupt) return walked.error().clone();
  pinned_ |= set;
  return success();
}

Result<void> SweepTask::keep_bases_of(const sys::StorageSnapshot& snapshot, ObjectNumber first, std::uint32_t count) {
  VEXOR_TRY(ExtentScan scan, ExtentScan::begin(snapshot, context_.pool, context_.algorithm, first));
  Roaring bases;
  for (;;) {
    VEXOR_TRY(const bool more, scan.next());
    if (!more || scan.first() >= std::uint64_t{first} + count) break;
    ObjectNumber number = scan.first();
    for (const format::ExtentObject& object : scan.header().objects) {
      if (object.is_delta) bases.add(object.base);
      if (!object.is_absent && object.type == ObjectType::kCommit) loose_commits_.add(number);
      ++number;
    }
  }
  needed_bases_ |= bases;
  keep(bases);
  return success();
}

void SweepTask::drop_loose_graph(Replacement& out) {
  loose_commits_ -= reached_;
  for (const ObjectNumber number : loose_commits_) out.erase(Family::kGraph, format::number_key(context_.pool, number));
}

// Null: pushes are at work; another step comes.
SweepTask::Pass SweepTask::enter_gate() {
  store::PoolGate& gate = context_.core.gate(context_.pool);
  if (++gate_tries_ > kGateTriesMax) {
    gate_tries_ = 0;
    return std::make_unique<store::PoolGate::Pass>(gate, true);
  }
  Pass pass = gate.try_alone();
  if (pass) gate_tries_ = 0;
  return pass;
}

Result<void> SweepTask::erase_bitmaps(Budget& budget) {
  const Pass pass = enter_gate();
  if (!pass) {
    budget.give_up();
    return success();
  }
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(catch_up(snapshot));
  Replacement out;
  const std::string prefix = format::pool_key(context_.pool);
  const auto cursor = snapshot->cursor(Family::kBitmaps);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const ObjectNumber number, format::number_of_key(cursor->key()));
    if (!reached_.contains(number)) out.erase(Family::kBitmaps, std::string(cursor->key()));
  }
  VEXOR_TRY(cursor->status());
  drop_loose_graph(out);
  VEXOR_TRY(change_upkeep(*snapshot, context_.pool, out, [](format::PoolUpkeepRow& row) { ++row.sweeps; }));
  VEXOR_TRY(out.submit(context_.core));
  loose_commits_ = Roaring();
  phase_ = Phase::kErase;
  return success();
}

Result<void> SweepTask::erase_objects(Budget& budget) {
  const Pass pass = enter_gate();
  if (!pass) {
    budget.give_up();
    return success();
  }
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(catch_up(snapshot));
  Replacement out;
  Roaring swept;
  std::uint64_t bytes = 0;
  std::uint64_t cold = 0;  // extents that were cold and come back thawed: freezing takes them up again
  std::uint64_t cold_bytes = 0;
  ObjectNumber next = erase_next_;
  while (out.bytes() < kBatchBytes && !budget.is_used_up()) {
    Roaring::const_iterator at = candidates_.begin();
    at.equalorlarger(next);
    if (at == candidates_.end()) {
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
      if (object.is_absent || !candidates_.contains(number)) continue;
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
  loose_commits_ = Roaring();
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
    if (!candidates_.contains(number)) {
      VEXOR_CHECK(!extent.is_chunked());
      packer.add(objects[i], extent.payload(i));
      continue;
    }
    packer.add_absent();
    VEXOR_CHECK(!reached_.contains(number) && !pinned_.contains(number));
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

std::unique_ptr<PoolTask> make_sweep_task(PoolTaskContext& context) { return std::make_unique<SweepTask>(context); }

}  // namespace vexor::maintenance
