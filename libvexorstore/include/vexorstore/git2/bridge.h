// A stored repository as a libgit2 git_repository: object and reference database backends.
// Part of the optional target vexor::git2; SHA-1 repositories only, as libgit2 itself.
//
// Objects written through the bridge wait in memory (at most limits.ingest_memory_bytes) until a
// reference is written; the two become visible together, after the checks of a push. Reads see the
// repository as of the opening or the last write; git_odb_refresh() moves it on. Reflogs are kept
// by the store (Snapshot::ref_log) and not shown to libgit2; the only symbolic reference is HEAD;
// references cannot be renamed. Must not outlive the Store.
// Threads: as libgit2's own objects, one at a time. Source: libgit2's sys/odb_backend.h and
// sys/refdb_backend.h.
#pragma once

#include <git2.h>

#include "vexorstore/store.h"

namespace vexor::git2 {

struct RepositoryDeleter {
  void operator()(git_repository* repository) const { git_repository_free(repository); }
};
using RepositoryPtr = std::unique_ptr<git_repository, RepositoryDeleter>;

// Requires git_libgit2_init(). Errors: kNotFound, kInvalidArgument (not SHA-1), kIo.
Result<RepositoryPtr> open_repository(Store& store, RepositoryId repository, const Actor& actor);

}  // namespace vexor::git2
