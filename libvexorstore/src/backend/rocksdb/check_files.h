// Reading the sorted files of a database against their checksums, from the disk.
#pragma once

#include <rocksdb/db.h>

#include "vexorstore/sys/storage_backend.h"

namespace vexor::sys {

// As StorageBackend::check_some. `position`: number of the last file that was read, as text.
Result<bool> check_files(rocksdb::DB& db, std::string& position, std::uint64_t& bytes,
                         std::vector<DamagedRows>& damaged);

}  // namespace vexor::sys
