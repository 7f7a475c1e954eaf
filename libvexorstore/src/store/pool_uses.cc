#include "store/pool_uses.h"

#include <algorithm>

namespace vexor::store {

PoolUses::Use& PoolUses::use_of(format::PoolId pool) { return uses_.try_emplace(pool, Use{opened_ms_, 0, 0}).first->second; }

void PoolUses::note(format::PoolId pool, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  Use& use = use_of(pool);
  use.last_ms = std::max(use.last_ms, now_ms);
}

std::int64_t PoolUses::idle_ms(format::PoolId pool, std::uint64_t numbers_end, std::int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  Use& use = use_of(pool);
  if (use.numbers_end != 0 && use.numbers_end != numbers_end) use.last_ms = std::max(use.last_ms, now_ms);
  use.numbers_end = numbers_end;
  return now_ms - use.last_ms;
}

void PoolUses::note_cold_read(format::PoolId pool) {
  const std::lock_guard lock(mutex_);
  ++use_of(pool).cold_reads;
}

std::uint64_t PoolUses::cold_reads(format::PoolId pool) const {
  const std::lock_guard lock(mutex_);
  const auto found = uses_.find(pool);
  return found == uses_.end() ? 0 : found->second.cold_reads;
}

void PoolUses::forget_cold_reads(format::PoolId pool) {
  const std::lock_guard lock(mutex_);
  const auto found = uses_.find(pool);
  if (found != uses_.end()) found->second.cold_reads = 0;
}

bool PoolUses::any_cold_reads(std::uint64_t reads) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(uses_.begin(), uses_.end(), [&](const auto& use) { return use.second.cold_reads >= reads; });
}

}  // namespace vexor::store
