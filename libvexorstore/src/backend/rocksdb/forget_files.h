// How RocksDB is brought to begin its log and its manifest anew, and to remove what it has no use for.
#pragma once

#include <filesystem>
#include <rocksdb/db.h>
#include <vector>

#include "vexorstore/result.h"

namespace vexor::sys {

// RocksDB begins a new manifest when the old one is larger than this: 40000 files or so.
constexpr std::uint64_t kManifestBytesMax = 8U << 20U;

// See Forgetting::forget. `filler`: a family without rows, of which nothing is left either.
Result<bool> forget_files(rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families, rocksdb::ColumnFamilyHandle* filler,
                          const std::filesystem::path& directory, std::uint64_t& moment);

}  // namespace vexor::sys
