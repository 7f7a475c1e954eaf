// Re-delta, write: the chosen forms go in the place of the stored ones, extent by extent.
#include <algorithm>

#include "base/check.h"
#include "compress/zlib_stream.h"
#include "maintenance/redelta.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kGroupBytes = 1U << 20U;
constexpr std::size_t kGroupObjects = 8192;
constexpr std::size_t kMixedChainMax = 256;  // of new deltas that stand on old ones for a while
constexpr int kLevel = 9;

}  // namespace

void RedeltaTask::make_groups() {
  std::uint64_t upward = 0;  // deltas on later numbers
  std::uint64_t deltas = 0;
  for (const ObjectNumber number : order_) {
    if (objects_.form[number] != ObjectTable::kDelta) continue;
    ++deltas;
    upward += objects_.new_base[number] > number ? 1U : 0U;
  }
  std::uint64_t bytes = 0;
  for (const Group& extent : extents_) {
    std::uint64_t extent_bytes = 0;
    for (ObjectNumber number = extent.first; number < extent.end; ++number) extent_bytes += objects_.payload_bytes[number];
    const bool joins = !groups_.empty() && groups_.back().end == extent.first && bytes + extent_bytes <= kGroupBytes &&
                       extent.end - groups_.back().first <= kGroupObjects;
    if (joins) {
      groups_.back().end = extent.end;
      bytes += extent_bytes;
    } else {
      groups_.push_back(extent);
      bytes = extent_bytes;
    }
  }
  extents_.clear();
  // Bases first: then few new deltas stand on old ones.
  if (upward * 2 > deltas) std::reverse(groups_.begin(), groups_.end());
  order_ = std::vector<ObjectNumber>();
  at_ = 0;
  context_.total = groups_.size();
  phase_ = Phase::kWrite;
}

Result<void> RedeltaTask::write(Budget& budget) {
  while (at_ < groups_.size()) {
    if (budget.is_used_up()) return success();
    VEXOR_TRY(write_group(groups_[at_], budget));
    ++at_;
    context_.done = at_;
  }
  if (phase_ == Phase::kPending || pending_.isEmpty()) return finish();
  // Everything else has its last form: what the first round left whole gets its delta.
  std::erase_if(groups_, [&](const Group& group) {
    Roaring range;
    range.addRange(group.first, group.end);
    return !pending_.intersect(range);
  });
  at_ = 0;
  phase_ = Phase::kPending;
  return success();
}

// Puts the new bases into the table, as if the group was written; `before`: what was there. False: nothing
// in the group changes.
bool RedeltaTask::take_new_forms(const Group& group, std::vector<std::pair<ObjectNumber, ObjectNumber>>& before) {
  for (ObjectNumber number = group.first; number < group.end; ++number) {
    if (objects_.form[number] == ObjectTable::kAsStored) continue;
    before.emplace_back(number, objects_.base[number]);
    objects_.base[number] = objects_.new_base[number];
  }
  for (const auto& [number, base] : before) {
    if (objects_.form[number] == ObjectTable::kDelta && !chain_is_sound(number)) objects_.base[number] = kNoObject;
  }
  return !before.empty();
}

bool RedeltaTask::chain_is_sound(ObjectNumber number) const {
  std::size_t steps = 0;
  for (ObjectNumber at = objects_.base[number]; at != kNoObject; at = at < objects_.size() ? objects_.base[at] : kNoObject) {
    if (at == number || ++steps > kMixedChainMax) return false;
  }
  return true;
}

Result<void> RedeltaTask::write_group(const Group& group, Budget& budget) {
  std::vector<std::pair<ObjectNumber, ObjectNumber>> before;
  if (!take_new_forms(group, before)) return success();
  auto written = replace_extents(group, budget);
  if (written.has_error()) {
    for (const auto& [number, base] : before) objects_.base[number] = base;
    return written;
  }
  for (const auto& [number, base] : before) {
    const bool for_now = objects_.form[number] == ObjectTable::kDelta && objects_.base[number] == kNoObject;
    if (for_now && phase_ == Phase::kWrite) {
      pending_.add(number);
      continue;
    }
    objects_.form[number] = ObjectTable::kAsStored;
    ++context_.figures.objects_redeltaed;
  }
  return success();
}

Result<void> RedeltaTask::replace_extents(const Group& group, Budget& budget) {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  Replacement out;
  std::optional<ExtentPacker> packer;
  VEXOR_TRY(ExtentScan scan, ExtentScan::begin(*snapshot, context_.pool, context_.algorithm, group.first));
  ObjectNumber next = group.first;
  std::int64_t saved = 0;
  std::uint64_t replaced = 0;
  for (;;) {
    VEXOR_TRY(const bool more, scan.next());
    if (!more || scan.first() >= group.end) break;
    if (scan.header().is_cold) return Error(Errc::kConflict, "the extents were frozen");
    budget.use(scan.value().size());
    if (!packer || scan.first() != next) {
      if (packer) packer->flush();
      packer.emplace(context_.pool, scan.first(), [&](std::string key, std::string value) {
        out.put(Family::kExtents, std::move(key), std::move(value));
      });
    }
    next = scan.end();
    saved += static_cast<std::int64_t>(scan.header().payload_bytes);
    replaced += scan.header().header_bytes + scan.header().payload_bytes;
    out.take(Family::kExtents, scan.key(), scan.value());
    std::string chunked;
    if (scan.is_chunked()) {
      VEXOR_TRY(chunked, take_chunks(*snapshot, scan, out));
    }
    for (ObjectNumber number = scan.first(); number < scan.end(); ++number) {
      const std::size_t index = number - scan.first();
      const format::ExtentObject& object = scan.header().objects[index];
      if (object.is_absent) {
        packer->add_absent();
        continue;
      }
      VEXOR_TRY(const std::uint64_t bytes, add_object(number, object, scan.is_chunked() ? Bytes(chunked) : scan.payload(index), *packer));
      saved -= static_cast<std::int64_t>(bytes);
    }
  }
  if (!packer) return Error(Errc::kConflict, "the extents are gone");
  packer->flush();
  VEXOR_TRY(change_upkeep(*snapshot, context_.pool, out, [&](format::PoolUpkeepRow& row) {
    ++row.rewrites;
    row.stale_bytes += replaced;
    row.merged_to = std::min<std::uint64_t>(row.merged_to, group.first);
  }));
  budget.use(out.bytes());
  VEXOR_TRY(out.submit(context_.core));
  saved_ += saved;
  return success();
}

// The whole payload of a large object; its later rows go.
Result<std::string> RedeltaTask::take_chunks(const sys::StorageSnapshot& snapshot, const ExtentScan& scan, Replacement& out) {
  const std::uint64_t bytes = scan.header().payload_bytes;
  std::string payload(scan.value().substr(scan.header().header_bytes));
  for (std::uint32_t chunk = 1; payload.size() < bytes; ++chunk) {
    const std::string key = format::extent_key(context_.pool, scan.first(), chunk);
    VEXOR_TRY(const auto row, snapshot.get(Family::kExtents, key));
    if (!row || row->bytes().empty()) return Error(Errc::kCorrupt, "a chunk of a large object is missing");
    payload.append(row->bytes());
    out.erase(Family::kExtents, key);
  }
  return payload;
}

// Adds the object in the form that the table says; returns its payload's size.
Result<std::uint64_t> RedeltaTask::add_object(ObjectNumber number, format::ExtentObject object, Bytes stored, ExtentPacker& packer) {
  if (objects_.form[number] == ObjectTable::kAsStored) {
    packer.add(object, stored);
    return object.payload_bytes;
  }
  std::string room;
  std::string deflated;
  Bytes payload;
  object.base = objects_.base[number];
  object.is_delta = object.base != kNoObject;
  object.depth = 0;
  if (object.is_delta) {
    VEXOR_TRY(payload, spool_.read(objects_.spool_offset[number], objects_.spool_bytes[number], room));
    object.entry_bytes = objects_.new_entry_bytes[number];
    for (ObjectNumber at = object.base; at != kNoObject; at = at < objects_.size() ? objects_.base[at] : kNoObject) ++object.depth;
  } else {
    VEXOR_TRY(pack::ObjectReader * objects, reader());
    VEXOR_TRY(const auto content, objects->read(number));
    if (content->size() != object.object_bytes) return Error(Errc::kCorrupt, "an object of another size than its extent says");
    deflated = compress::deflate(*content, kLevel);
    payload = deflated;
    object.entry_bytes = content->size();
  }
  object.payload_bytes = payload.size();
  packer.add(object, payload);
  return object.payload_bytes;
}

Result<void> RedeltaTask::finish() {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  Replacement out;
  VEXOR_TRY(change_upkeep(*snapshot, context_.pool, out, [&](format::PoolUpkeepRow& row) { row.redelta_objects = looked_at_; }));
  VEXOR_TRY(out.submit(context_.core));
  if (saved_ > 0) context_.figures.bytes_saved += static_cast<std::uint64_t>(saved_);
  phase_ = Phase::kDone;
  return success();
}

}  // namespace vexor::maintenance
