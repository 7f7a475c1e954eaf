// Hash algorithms of pools whose records are read again, after the repository that a record names was purged: forks keep the pool, and no row
// leads from a pool to them. Who has it is looked for once, not for every record.
//
// Threads: any. Memory: up to kPoolsMax pools, some 50 octets each.
#pragma once

#include <mutex>
#include <unordered_map>

#include "format/journal_record.h"
#include "store/store_core.h"

namespace vexor::log {

class PoolAlgorithms {
 public:
  // Of the record's pool. Nullopt: nobody has the pool any more, or not yet. Errors: kIo, kCorrupt.
  Result<std::optional<HashAlgorithm>> of(const sys::StorageSnapshot& snapshot, const format::JournalRecord& record);

  static constexpr std::size_t kPoolsMax = 65'536;

 private:
  static constexpr format::RepositoryNumber kNobody = 0;  // is the number of no repository
  std::optional<format::RepositoryNumber> find(format::PoolId pool) const;
  void remember(format::PoolId pool, format::RepositoryNumber user);

  mutable std::mutex mutex_;
  std::unordered_map<format::PoolId, format::RepositoryNumber> users_;  // guarded by mutex_; one that had the pool
};

}  // namespace vexor::log
