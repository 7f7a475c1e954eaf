#include "maintenance/cold_pool.h"

#include <algorithm>

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kPieceBytes = 64U << 20U;   // that the backend rewrites in a step
constexpr std::uint64_t kStaleShare = 4;            // of what is cold: one part in so many makes it worth while

}  // namespace

void ColdChange::apply(format::PoolUpkeepRow& row) const {
  ++row.rewrites;
  row.cold_extents += cold_rows_come;
  row.cold_extents -= std::min(row.cold_extents, cold_rows_gone);
  row.cold_bytes += cold_bytes_come;
  row.cold_bytes -= std::min(row.cold_bytes, cold_bytes_gone);
  row.stale_bytes += replaced_bytes;
}

// A small pool is left to the backend's own compactions: the files that hold it hold others too.
Result<bool> CompactPool::is_due() const {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*snapshot, context_.pool));
  return upkeep.stale_bytes > 0 && upkeep.stale_bytes >= context_.policy.compact_bytes_min && upkeep.stale_bytes >= upkeep.cold_bytes / kStaleShare;
}

Result<bool> CompactPool::step(Budget& budget) {
  if (!begun_) {
    VEXOR_TRY(const bool due, is_due());
    if (!due) return true;
    begun_ = true;
  }
  std::uint64_t bytes = kPieceBytes;
  VEXOR_TRY(const bool more, context_.core.backend->compact(Family::kExtents, format::pool_key(context_.pool), format::pool_key(context_.pool + 1), position_, bytes));
  budget.use(bytes);
  if (more) return false;
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  Replacement out;
  VEXOR_TRY(change_upkeep(*snapshot, context_.pool, out, [](format::PoolUpkeepRow& row) { row.stale_bytes = 0; }));
  VEXOR_TRY(out.submit(context_.core));
  return true;
}

}  // namespace vexor::maintenance
