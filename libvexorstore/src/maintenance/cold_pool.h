// What freezing and thawing share: counting what is cold. Giving the disk back what they and re-delta replaced.
#pragma once

#include "maintenance/pool_task.h"

namespace vexor::maintenance {

// What a batch does to a pool's extents; added to the upkeep row in the same batch.
struct ColdChange {
  std::uint64_t cold_rows_gone = 0, cold_bytes_gone = 0;
  std::uint64_t cold_rows_come = 0, cold_bytes_come = 0;
  std::uint64_t replaced_bytes = 0;  // of rows in either form
  std::uint64_t objects = 0;         // that got the other form
  void apply(format::PoolUpkeepRow& row) const;
};

// Has the files of the pool's extents rewritten, once enough was replaced: a piece in each step. A crash between the
// replacement and its end is made good by the next pass, as the upkeep row still counts what was replaced.
class CompactPool {
 public:
  explicit CompactPool(PoolTaskContext& context) : context_(context) {}
  // True: done, or not due.
  Result<bool> step(Budget& budget);

 private:
  Result<bool> is_due() const;
  PoolTaskContext& context_;
  bool begun_ = false;
  std::string position_;
};

}  // namespace vexor::maintenance
