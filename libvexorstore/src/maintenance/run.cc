// One pass of upkeep: which pool and which task come next. Spec: docs/operations/maintenance.md.
#include <algorithm>

#include "maintenance/pool_task.h"

namespace vexor {

using sys::Family;

namespace {

using maintenance::Budget;
using maintenance::PoolTask;
using maintenance::PoolTaskContext;

constexpr std::int64_t kStepMs = 200;
constexpr unsigned kConflictsMax = 8;      // of one task, one after the other
constexpr std::uint64_t kPoolsPerNote = 256;  // finished pools until the cursor is written anyway

class Pass final : public MaintenanceRun {
 public:
  // The slot must be taken.
  Pass(store::StoreCore& core, MaintenanceOptions options, std::optional<format::PoolId> only)
      : core_(core), options_(std::move(options)), policy_(options_.policy.value_or(core.options.maintenance)), only_(only) {}
  ~Pass() override { core_.maintenance.release(); }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  Result<bool> maintain_some(std::uint64_t bytes) override {
    Budget budget(core_.clock, bytes, kStepMs);
    std::uint64_t counted = 0;
    while (!done_) {
      if (!task_) {
        VEXOR_TRY(begin_task());
        continue;
      }
      const auto before = figures_;
      auto stepped = task_->step(budget);
      figures_.bytes += budget.used() - counted;
      counted = budget.used();
      if (stepped.has_error() && stepped.error().code() == Errc::kUnavailable) return std::move(stepped).error();
      if (stepped.has_error() && stepped.error().code() != Errc::kConflict) {  // other tasks, and other pools, go on
        if (!failed_) failed_ = std::move(stepped).error();
        end_task();
        if (budget.is_used_up()) break;
        continue;
      }
      conflicts_ = stepped.has_error() ? conflicts_ + 1 : 0;
      const bool ends = conflicts_ > kConflictsMax || (stepped.has_value() && stepped.value());
      if (ends && task_index_ + 1 == options_.tasks.size()) ++figures_.pools;
      tell(before);
      if (ends) end_task();
      if (budget.is_used_up()) break;
    }
    if (done_ && failed_) return std::move(*failed_);
    return done_;
  }
  const MaintenanceFigures& figures() const override { return figures_; }

 private:
  // Takes up the next task of the pool, or of the next pool.
  Result<void> begin_task() {
    if (!context_ || task_index_ == options_.tasks.size()) {
      VEXOR_TRY(next_pool());
      if (done_) return success();
    }
    context_->done = context_->total = 0;
    if (context_->pool == 0 && options_.tasks[task_index_] != MaintenanceTask::kScrub) {
      ++task_index_;
      return success();
    }
    switch (options_.tasks[task_index_]) {
      case MaintenanceTask::kMerge: task_ = make_merge_task(*context_); break;
      case MaintenanceTask::kSweep: task_ = make_sweep_task(*context_); break;
      case MaintenanceTask::kRedelta: task_ = make_redelta_task(*context_); break;
      case MaintenanceTask::kScrub: task_ = make_scrub_task(*context_); break;
      case MaintenanceTask::kFreeze: task_ = make_freeze_task(*context_); break;
      case MaintenanceTask::kThaw: task_ = make_thaw_task(*context_); break;
    }
    return success();
  }

  void end_task() {
    task_.reset();
    conflicts_ = 0;
    ++task_index_;
  }

  Result<void> next_pool() {
    context_.reset();
    if (!listed_) {
      VEXOR_TRY(list_pools());
    }
    const bool more = next_ < pools_.size() && !options_.tasks.empty();
    VEXOR_TRY(note(more ? std::optional<format::PoolId>(pools_[next_].first) : std::nullopt));
    done_ = !more;
    if (done_) return success();
    const auto& [pool, listed] = pools_[next_];
    context_.emplace(PoolTaskContext{core_, pool, listed.algorithm, policy_, figures_, journal_, listed.home, listed.users});
    ++next_;
    task_index_ = 0;
    return success();
  }

  Result<void> list_pools() {
    VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
    format::PoolId from = 0;
    VEXOR_TRY(const auto row, snapshot->get(Family::kMeta, format::upkeep_cursor_key()));
    if (row && !only_) {
      VEXOR_TRY(from, format::decode_upkeep_cursor_row(row->bytes()));
    }
    std::map<format::PoolId, Listed> pools;
    if (!only_ && from == 0 && has_task(MaintenanceTask::kScrub)) pools[0];
    const std::int64_t deleted_since = before(policy_.deleted_retention_seconds);
    const auto cursor = snapshot->cursor(Family::kRepositories);
    for (cursor->seek("r"); cursor->valid() && cursor->key()[0] == 'r'; cursor->next()) {
      VEXOR_TRY(const format::RepositoryRow repository, format::decode_repository_row(cursor->value()));
      if (repository.pool < from || (only_ && repository.pool != *only_)) continue;
      Listed& listed = pools[repository.pool];
      listed.algorithm = repository.algorithm;
      listed.home = repository.number;
      const bool is_past = repository.deleted_at_ms != 0 && repository.deleted_at_ms <= deleted_since;
      if (!is_past) listed.users.push_back(repository.number);  // one that is restored meanwhile is in the journal
    }
    VEXOR_TRY(cursor->status());
    pools_.assign(std::make_move_iterator(pools.begin()), std::make_move_iterator(pools.end()));
    // The same snapshot: a fork that is not listed is in the journal behind it.
    if (has_task(MaintenanceTask::kSweep) && looks_for_unreached()) {
      VEXOR_TRY(journal_.begin(*snapshot, before(policy_.sweep_retention_seconds)));
    }
    listed_ = true;
    return success();
  }

  // Members of a replica set forget by record, and only the primary makes those.
  bool looks_for_unreached() const {
    const store::Committer::Role role = core_.committer->role();
    return role == store::Committer::Role::kAlone || (role == store::Committer::Role::kPrimary && policy_.forgets_in_set);
  }
  // The moment so long ago; a retention longer than time itself is for ever.
  std::int64_t before(std::uint64_t seconds) const {
    const std::int64_t now = core_.clock.wall_time_ms();
    return seconds > static_cast<std::uint64_t>(now) / 1000 ? -1 : now - static_cast<std::int64_t>(seconds) * 1000;
  }
  bool has_task(MaintenanceTask task) const { return std::find(options_.tasks.begin(), options_.tasks.end(), task) != options_.tasks.end(); }

  // Writes down where a later pass goes on; nullopt: from the first pool.
  Result<void> note(std::optional<format::PoolId> pool) {
    const bool is_news = figures_.bytes != noted_bytes_ || figures_.pools >= noted_pools_ + kPoolsPerNote;
    if (only_ || (pool && !is_news) || (!pool && !noted_)) return success();
    noted_ = pool.has_value();
    noted_bytes_ = figures_.bytes;
    noted_pools_ = figures_.pools;
    store::Change change;
    change.is_recorded = false;
    if (pool) change.rows.put(Family::kMeta, format::upkeep_cursor_key(), format::encode_upkeep_cursor_row(*pool));
    else change.rows.erase(Family::kMeta, format::upkeep_cursor_key());
    VEXOR_TRY(core_.committer->submit(std::move(change)));
    return success();
  }

  void tell(const MaintenanceFigures& before) {
    core_.maintenance.update([&](MaintenanceStatus& status) {
      status.task = options_.tasks[task_index_];
      status.pool = context_->pool;
      status.done = context_->done;
      status.total = context_->total;
      status.figures.pools += figures_.pools - before.pools;
      status.figures.bytes += figures_.bytes - before.bytes;
      status.figures.extents_merged += figures_.extents_merged - before.extents_merged;
      status.figures.objects_forgotten += figures_.objects_forgotten - before.objects_forgotten;
      status.figures.objects_swept += figures_.objects_swept - before.objects_swept;
      status.figures.objects_redeltaed += figures_.objects_redeltaed - before.objects_redeltaed;
      status.figures.bytes_saved += figures_.bytes_saved - before.bytes_saved;
      status.figures.objects_scrubbed += figures_.objects_scrubbed - before.objects_scrubbed;
      status.figures.records_scrubbed += figures_.records_scrubbed - before.records_scrubbed;
      status.figures.damage_found += figures_.damage_found - before.damage_found;
      status.figures.objects_frozen += figures_.objects_frozen - before.objects_frozen;
      status.figures.objects_thawed += figures_.objects_thawed - before.objects_thawed;
    });
  }

  store::StoreCore& core_;
  MaintenanceOptions options_;
  MaintenancePolicy policy_;
  std::optional<format::PoolId> only_;
  MaintenanceFigures figures_;
  bool listed_ = false;
  struct Listed {
    HashAlgorithm algorithm = HashAlgorithm::kSha1;
    RepositoryId home = 0;
    std::vector<RepositoryId> users;
  };
  std::vector<std::pair<format::PoolId, Listed>> pools_;  // from the cursor on
  maintenance::JournalWindow journal_;
  std::size_t next_ = 0;  // in pools_
  std::optional<PoolTaskContext> context_;
  std::unique_ptr<PoolTask> task_;
  std::size_t task_index_ = 0;
  std::optional<Error> failed_;  // the first task that failed
  unsigned conflicts_ = 0;
  bool noted_ = true;  // a cursor may be there
  std::uint64_t noted_bytes_ = 0;
  std::uint64_t noted_pools_ = 0;
  bool done_ = false;
};

}  // namespace

std::string_view maintenance_task_name(MaintenanceTask task) {
  switch (task) {
    case MaintenanceTask::kMerge: return "merge";
    case MaintenanceTask::kSweep: return "sweep";
    case MaintenanceTask::kRedelta: return "redelta";
    case MaintenanceTask::kScrub: return "scrub";
    case MaintenanceTask::kFreeze: return "freeze";
    case MaintenanceTask::kThaw: return "thaw";
  }
  return "";
}

std::optional<MaintenanceTask> parse_maintenance_task(std::string_view name) {
  for (const MaintenanceTask task : {MaintenanceTask::kMerge, MaintenanceTask::kSweep, MaintenanceTask::kRedelta, MaintenanceTask::kScrub, MaintenanceTask::kFreeze,
                                     MaintenanceTask::kThaw}) {
    if (maintenance_task_name(task) == name) return task;
  }
  return std::nullopt;
}

MaintenanceStatus maintenance_status(Store& store) { return store.core().maintenance.status(); }

bool thaw_wanted(Store& store) {
  store::StoreCore& core = store.core();
  return core.pool_uses.any_cold_reads(std::max<std::uint64_t>(core.options.maintenance.thaw_fetches, 1));
}

Result<std::unique_ptr<MaintenanceRun>> begin_maintenance(Store& store, const MaintenanceOptions& options) {
  std::optional<format::PoolId> only;
  if (options.repository) {
    VEXOR_TRY(const auto repository, store::open_repository_snapshot(store.core(), *options.repository));
    only = repository.row.pool;
  }
  if (!store.core().maintenance.try_take()) return Error(Errc::kConflict, "maintenance is running in this store already");
  return std::unique_ptr<MaintenanceRun>(std::make_unique<Pass>(store.core(), options, only));
}

}  // namespace vexor
