// Files and directories that must survive power loss. Threads: any; block on storage. Errors: kIo.
#pragma once

#include <filesystem>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::replication {

Result<void> sync_path(const std::filesystem::path& path);  // a file or a directory
// All or nothing: a crash leaves what was there before.
Result<void> write_file_durably(const std::filesystem::path& path, Bytes bytes);
// `a` and `b` change places in one step; `b` need not exist, and is `a` then. Both in one directory, which is synced.
Result<void> exchange_directories(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace vexor::replication
