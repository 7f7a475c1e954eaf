// PoolUses: when pools were last used and whether fetches read cold extents, as far as this process saw. Says which pools
// may be frozen and which are to be thawed; nothing is lost with it but some time until that happens.
//
// Times: milliseconds of the monotonic clock. Threads: any. Memory: some 100 octets for each pool that was used.
#pragma once

#include <mutex>
#include <unordered_map>

#include "format/keys.h"

namespace vexor::store {

class PoolUses {
 public:
  // Until something else is known, a pool was used when the store was opened.
  explicit PoolUses(std::int64_t opened_ms) : opened_ms_(opened_ms) {}
  void note(format::PoolId pool, std::int64_t now_ms);
  // Pushes show in the number behind the last object, also those that came from another server: when it moved, the pool
  // was used. Returns for how long it was not.
  std::int64_t idle_ms(format::PoolId pool, std::uint64_t numbers_end, std::int64_t now_ms);

  // A fetch that met cold extents.
  void note_cold_read(format::PoolId pool);
  std::uint64_t cold_reads(format::PoolId pool) const;
  void forget_cold_reads(format::PoolId pool);
  // Whether some pool had so many.
  bool any_cold_reads(std::uint64_t reads) const;

 private:
  struct Use {
    std::int64_t last_ms = 0;
    std::uint64_t numbers_end = 0;  // 0: not looked at
    std::uint64_t cold_reads = 0;
  };
  Use& use_of(format::PoolId pool);  // mutex_ held

  const std::int64_t opened_ms_;
  mutable std::mutex mutex_;
  std::unordered_map<format::PoolId, Use> uses_;  // guarded by mutex_
};

}  // namespace vexor::store
