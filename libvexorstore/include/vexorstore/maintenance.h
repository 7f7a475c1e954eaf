// Maintenance: verifying, rebuilding, exporting, counting. All block, for minutes on large stores;
// call them on a worker. Threads: any; verify, export and stats work while the store is in use.
#pragma once

#include <functional>

#include "vexorstore/store.h"

namespace vexor {

// Told now and then: `done` of `total` objects. False: stop (the call ends with kCancelled).
using ProgressSink = std::function<bool(std::uint64_t done, std::uint64_t total)>;

struct VerifyReport {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;  // inflated
  std::uint64_t refs = 0;
  std::uint64_t problem_count = 0;
  std::vector<std::string> problems;  // the first hundred, one line each
};
// Reads and re-hashes every object the repository sees; checks that each link of each object leads to
// a visible object of the right type, that index, graph and bitmaps agree with the objects, and that
// refs name objects that are there. Findings are in the report; an error means it could not go on.
Result<VerifyReport> verify_repository(Store& store, RepositoryId repository, const ProgressSink& progress = nullptr);

struct RebuildReport {
  std::uint64_t pools = 0;
  std::uint64_t objects = 0;
  std::uint64_t commits = 0;
  std::uint64_t bitmaps = 0;
};
// Makes index, graph, shapes and bitmaps anew from extents and refs. The store must have no other
// user meanwhile. Safe to repeat after it was cut off.
Result<RebuildReport> rebuild_derived(Store& store, const ProgressSink& progress = nullptr);

// Writes a bundle (v2; v3 for SHA-256) with every ref that is not hidden. Spec: git's
// gitformat-bundle. kInvalidArgument: the repository has no refs.
Result<void> export_bundle(Store& store, RepositoryId repository, const std::function<Result<void>(Bytes)>& sink);

struct StoreStats {
  std::uint64_t repositories = 0;
  std::uint64_t deleted_repositories = 0;
  std::uint64_t accounts = 0;
  JournalSequence last_sequence = 0;
  std::vector<std::pair<std::string, std::uint64_t>> family_bytes;  // on disk, roughly
};
Result<StoreStats> store_stats(Store& store);
// On disk, roughly; cheap.
std::uint64_t approximate_bytes(Store& store, sys::Family family);

struct RepositoryStats {
  std::uint64_t refs = 0;
  std::uint64_t commits = 0, trees = 0, blobs = 0, tags = 0;  // visible
  std::uint64_t stored_bytes = 0;                              // their entries as stored
};
Result<RepositoryStats> repository_stats(Store& store, RepositoryId repository);

}  // namespace vexor
