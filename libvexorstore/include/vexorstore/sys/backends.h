// The backends that come with the library. sys/storage_backend.h is their contract.
#pragma once

#include "vexorstore/sys/damage.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor::sys {

struct RocksdbOptions {
  std::size_t block_cache_bytes = 256U << 20U;  // of all families; a quarter of it for extents
  std::size_t write_buffer_bytes = 64U << 20U;  // all families together
  int background_jobs = 2;
  int open_files_max = 2000;  // descriptors of files that are kept open; more are opened when they are read
  // Is told what does not match its checksum, also by background work. Null: nobody is.
  std::shared_ptr<DamageLog> damage;
};

// Opens or creates a store in `directory`; one process at a time. Errors: kIo, kCorrupt.
Result<std::unique_ptr<StorageBackend>> open_rocksdb_backend(const std::filesystem::path& directory,
                                                             const RocksdbOptions& options = {});

// The reference implementation; nothing survives it.
std::unique_ptr<StorageBackend> make_memory_backend();

}  // namespace vexor::sys
