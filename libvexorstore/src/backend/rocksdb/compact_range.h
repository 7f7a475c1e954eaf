// Rewriting the sorted files of a range of keys, so that what was erased or replaced leaves the disk.
#pragma once

#include <rocksdb/db.h>

#include "vexorstore/sys/storage_backend.h"

namespace vexor::sys {

// As StorageBackend::compact. `position`: the key where the last piece ended.
Result<bool> compact_range(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, Bytes first, Bytes end, std::string& position,
                           std::uint64_t& bytes);

}  // namespace vexor::sys
