// Thaw: the cold extents of a pool that is used again come back as extents of zlib streams, as clients get them.
// Spec: docs/format/extent.md (cold form), docs/operations/maintenance.md.
//
// Each step writes some extents in one batch. A crash leaves some in one form and some in the other; what is still cold is
// thawed when it is read again.
#include "maintenance/cold_pool.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kBatchBytes = 1U << 20U;

class ThawTask final : public PoolTask {
 public:
  explicit ThawTask(PoolTaskContext& context) : context_(context), compact_(context) {}

  Result<bool> step(Budget& budget) override {
    if (extents_done_) return compact_.step(budget);
    if (!begun_ && context_.core.pool_uses.cold_reads(context_.pool) < context_.policy.thaw_fetches) return true;
    VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
    VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*snapshot, context_.pool));
    begun_ = true;
    if (upkeep.cold_extents > 0) {
      VEXOR_TRY(thaw_some(*snapshot, budget));
      if (!extents_done_) return false;
    }
    extents_done_ = true;
    context_.core.pool_uses.forget_cold_reads(context_.pool);
    return false;
  }

 private:
  Result<void> thaw_some(const sys::StorageSnapshot& snapshot, Budget& budget) {
    Replacement out;
    ColdChange change;
    ObjectNumber reached = next_;
    VEXOR_TRY(ExtentScan scan, ExtentScan::begin(snapshot, context_.pool, context_.algorithm, next_));
    bool more = true;
    while (out.bytes() < kBatchBytes && !(budget.is_used_up() && reached > next_)) {
      VEXOR_TRY(more, scan.next());
      if (!more) break;
      budget.use(scan.value().size());
      if (scan.header().is_cold) {
        VEXOR_TRY(thaw_extent(scan, out, change, budget));
      }
      reached = scan.end();
    }
    if (!out.empty()) {
      VEXOR_TRY(change_upkeep(snapshot, context_.pool, out, [&](format::PoolUpkeepRow& row) {
        change.apply(row);
        row.frozen_to = 0;
      }));
      VEXOR_TRY(out.submit(context_.core));
    }
    context_.figures.objects_thawed += change.objects;
    next_ = reached;
    context_.done = next_;
    extents_done_ = !more;
    return success();
  }

  Result<void> thaw_extent(ExtentScan& scan, Replacement& out, ColdChange& change, Budget& budget) const {
    ++change.cold_rows_gone;
    change.cold_bytes_gone += scan.value().size();
    change.replaced_bytes += scan.value().size();
    out.take(Family::kExtents, scan.key(), scan.value());
    VEXOR_TRY(scan.thaw());
    ExtentPacker packer(context_.pool, scan.first(), [&](std::string key, std::string value) {
      budget.use(value.size());
      out.put(Family::kExtents, std::move(key), std::move(value));
    });
    for (std::size_t i = 0; i < scan.header().objects.size(); ++i) {
      const format::ExtentObject& object = scan.header().objects[i];
      if (object.is_absent) {
        packer.add_absent();
        continue;
      }
      packer.add(object, scan.payload(i));
      ++change.objects;
    }
    packer.flush();
    return success();
  }

  PoolTaskContext& context_;
  CompactPool compact_;
  bool begun_ = false;
  bool extents_done_ = false;
  ObjectNumber next_ = 0;  // the first number that was not looked at
};

}  // namespace

std::unique_ptr<PoolTask> make_thaw_task(PoolTaskContext& context) { return std::make_unique<ThawTask>(context); }

}  // namespace vexor::maintenance
