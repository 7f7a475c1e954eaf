#include "maintenance/unreached.h"

#include <algorithm>

#include "store/forgotten.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr unsigned kGateTriesMax = 64;  // then pushes have to wait for us

}  // namespace

Result<bool> Unreached::mark() {
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
  is_marked_ = true;
  return may_have_garbage(*snapshot);
}

// Counting shapes costs an octet an object; scanning, all of the pool.
Result<bool> Unreached::may_have_garbage(const sys::StorageSnapshot& snapshot) const {
  std::uint64_t numbers = 0;
  const std::string prefix = format::pool_key(context_.pool);
  const auto cursor = snapshot.cursor(Family::kShapes);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) numbers += cursor->value().size();
  VEXOR_TRY(cursor->status());
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(snapshot, context_.pool));
  VEXOR_TRY(const store::DroppedRow dropped, store::read_dropped(snapshot, context_.pool));
  const std::uint64_t swept = upkeep.swept_objects - std::min(upkeep.swept_objects, dropped.objects);  // by sweeps
  return numbers != swept + (reached_ | pinned_ | forgotten_).cardinality();
}

Result<bool> Unreached::scan(Budget& budget) {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(ExtentScan scan, ExtentScan::begin(*snapshot, context_.pool, context_.algorithm, scan_next_));
  for (;;) {
    VEXOR_TRY(const bool more, scan.next());
    if (!more) break;
    budget.use(scan.value().size());
    ObjectNumber number = scan.first();
    for (const format::ExtentObject& object : scan.header().objects) {
      const bool stays = this->stays(number);
      const bool is_here = !object.is_absent && (stays || !forgotten_.contains(number));
      if (is_here && stays && object.is_delta) needed_bases_.add(object.base);
      if (is_here && object.type == ObjectType::kCommit && !reached_.contains(number)) loose_commits_.add(number);
      if (is_here && !stays) {
        candidates_.add(number);
        if (object.is_delta) candidate_bases_.emplace_back(number, object.base);
      }
      ++number;
    }
    scan_next_ = number;
    context_.done = number;
    if (budget.is_used_up()) return false;
  }
  keep(needed_bases_);
  context_.total = candidates_.cardinality();
  context_.done = 0;
  return true;
}

void Unreached::keep(const Roaring& numbers) {
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

// A record may forget between a look and the next one: of an earlier pass, whose outcome was not known when that ended, or of another primary.
Result<void> Unreached::leave_out_forgotten(const sys::StorageSnapshot& snapshot) {
  VEXOR_TRY(const auto forgotten, store::forgotten_numbers(context_.core, snapshot, context_.pool));
  if (!forgotten || forgotten->cardinality() == forgotten_.cardinality()) return success();
  forgotten_ = *forgotten;
  candidates_ -= forgotten_;
  return success();
}

Result<void> Unreached::catch_up(const store::SnapshotPtr& snapshot) {
  VEXOR_TRY(leave_out_forgotten(*snapshot));
  VEXOR_TRY(context_.journal.advance(*snapshot));
  const PoolEvents& events = context_.journal.events(context_.pool);
  if (ranges_seen_ == events.ranges.size() && named_seen_ == events.named.size()) return success();
  for (; ranges_seen_ < events.ranges.size(); ++ranges_seen_) {
    const auto [first, count] = events.ranges[ranges_seen_];
    Roaring range;
    range.addRange(first, std::uint64_t{first} + count);
    pinned_ |= range;
    if (!is_marked_) continue;  // the scan is still to come
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
Result<void> Unreached::keep_reached(pack::ReachabilityWalker& walker, ObjectNumber tip) {
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

Result<void> Unreached::keep_bases_of(const sys::StorageSnapshot& snapshot, ObjectNumber first, std::uint32_t count) {
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

const Roaring& Unreached::loose_commits() {
  loose_commits_ -= reached_;
  return loose_commits_;
}

Unreached::Pass Unreached::enter_gate() {
  store::PoolGate& gate = context_.core.gate(context_.pool);
  if (++gate_tries_ > kGateTriesMax) {
    gate_tries_ = 0;
    return std::make_unique<store::PoolGate::Pass>(gate, true);
  }
  Pass pass = gate.try_alone();
  if (pass) gate_tries_ = 0;
  return pass;
}

}  // namespace vexor::maintenance
