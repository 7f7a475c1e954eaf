// What purges share: the erasures of one, and the rows of requests.
#pragma once

#include "format/purge_rows.h"
#include "store/repository_changes.h"

namespace vexor::store {

// All rows of a repository, and of its pool unless others use it. The repository's row must be what was read.
void erase_repository(Change& change, const RepositoryRow& row, bool keeps_objects);

// Whether another repository, deleted or not, has its objects in the same pool. True for as long as who asks holds the pool's gate alone.
Result<bool> is_pool_shared(const sys::StorageSnapshot& snapshot, const RepositoryRow& row);

// In order of requests. Errors: kCorrupt.
Result<std::vector<format::PurgeRow>> read_purges(const sys::StorageSnapshot& snapshot);
// Nullopt: none. Errors: kCorrupt.
Result<std::optional<format::PurgeReportRow>> read_purge_report(const sys::StorageSnapshot& snapshot, sys::Family family, const std::string& key);

}  // namespace vexor::store
