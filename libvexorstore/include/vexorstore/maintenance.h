// Maintenance: verifying, scrubbing, rebuilding, exporting, counting, and the upkeep of a store in use (merging,
// sweeping, better deltas, the cold form). All block, for minutes on large stores; call them on a worker. Threads: any;
// verify, export, stats and upkeep work while the store is in use.
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
struct StoreMemory {
  sys::MemoryUse backend;
  std::uint64_t cached_sets = 0;  // sets of objects that refs reach, tables of refs, objects deflated anew: bounded (docs/limits.md)
};
// What is kept in memory to be fast, in bytes, roughly; cheap.
StoreMemory memory_use(Store& store);

struct RepositoryStats {
  std::uint64_t refs = 0;
  std::uint64_t commits = 0, trees = 0, blobs = 0, tags = 0;  // visible
  std::uint64_t stored_bytes = 0;                              // their entries as stored
  std::uint64_t cold_extents = 0;                              // of the pool, which forks share
};
Result<RepositoryStats> repository_stats(Store& store, RepositoryId repository);

// Upkeep of a store in use. Docs: docs/operations/maintenance.md.
enum class MaintenanceTask : std::uint8_t {
  kMerge,    // small extents that follow each other become one
  kSweep,    // objects that nothing reaches any more are erased; in a replica set the primary has them forgotten, and each member drops their bytes
  kRedelta,  // deltas are made anew where that is shorter
  kScrub,    // every object is hashed, every file read against its checksums, objects and refs against the journal; nothing is changed
  kFreeze,   // extents of pools that nobody uses go over into the cold form
  kThaw,     // and those of pools that are used come back
};
std::optional<MaintenanceTask> parse_maintenance_task(std::string_view name);
std::string_view maintenance_task_name(MaintenanceTask task);  // "merge", "sweep", "redelta", "scrub", "freeze", "thaw"

struct MaintenanceOptions {
  std::vector<MaintenanceTask> tasks{MaintenanceTask::kSweep, MaintenanceTask::kRedelta, MaintenanceTask::kMerge};
  std::optional<RepositoryId> repository;  // only its pool; else all pools
  std::optional<MaintenancePolicy> policy;  // null: the store's
};

struct MaintenanceFigures {
  std::uint64_t pools = 0;             // pools finished
  std::uint64_t bytes = 0;             // read and written
  std::uint64_t extents_merged = 0;    // rows that went into others
  std::uint64_t objects_forgotten = 0; // by records of a replica set, of which this store was the primary
  std::uint64_t objects_swept = 0;     // whose bytes went
  std::uint64_t objects_redeltaed = 0; // that got another form
  std::uint64_t bytes_saved = 0;       // payload bytes, by sweep, re-delta and freeze
  std::uint64_t objects_scrubbed = 0;  // read and hashed
  std::uint64_t records_scrubbed = 0;  // of the journal, compared with objects and refs
  std::uint64_t damage_found = 0;      // by scrub: objects, files, and what the journal tells otherwise
  std::uint64_t objects_frozen = 0;
  std::uint64_t objects_thawed = 0;
};
struct MaintenanceStatus {
  bool is_running = false;
  MaintenanceTask task = MaintenanceTask::kMerge;  // of the step at hand or done last
  std::uint64_t pool = 0;
  std::uint64_t done = 0, total = 0;               // of that task, in objects; total 0: not known
  MaintenanceFigures figures;                      // since the store was opened
};
MaintenanceStatus maintenance_status(Store& store);
// Whether fetches of late would have a pool thawed. Cheap: nothing is read.
bool thaw_wanted(Store& store);

// What scrubbing knows of a repository: of the objects of its pool, which forks share, and of the files of the store.
// Times: Unix, in milliseconds; 0: never.
struct ScrubState {
  std::int64_t verified_at_ms = 0;         // when all of it was last found whole
  JournalSequence verified_sequence = 0;   // all that was applied up to this was read
  std::int64_t round_began_ms = 0;         // of the round at hand
  std::uint64_t damaged = 0;               // found in the round at hand, or in the last one
};
Result<ScrubState> scrub_state(Store& store, RepositoryId repository);
// Pools by what their last round said, for monitoring. Reads a row for each pool.
struct ScrubSummary {
  std::uint64_t verified_pools = 0;
  std::uint64_t damaged_pools = 0;
  std::int64_t oldest_verified_at_ms = 0;  // of the pools that were verified
};
Result<ScrubSummary> scrub_summary(Store& store);
// Findings of reads and of scrubbing since the store was opened.
const sys::DamageLog& damage_log(Store& store);

// One pass over a store or a pool, in steps. The caller decides when the next one is. Destruction
// between two steps stops the pass and leaves the store whole; the next pass over the store goes on
// with the pool where this one was. Threads: one at a time; the store outlives it.
class MaintenanceRun {
 public:
  virtual ~MaintenanceRun() = default;
  // Works until about `bytes` were read or written, or some tenths of a second have passed. True: the
  // pass is over. Errors: kIo, kCorrupt, kUnavailable (the store must be reopened).
  virtual Result<bool> maintain_some(std::uint64_t bytes) = 0;
  virtual const MaintenanceFigures& figures() const = 0;
};
// kConflict: another pass is running in this store. kNotFound: no such repository.
Result<std::unique_ptr<MaintenanceRun>> begin_maintenance(Store& store, const MaintenanceOptions& options);

}  // namespace vexor
