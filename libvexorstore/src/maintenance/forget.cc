#include "maintenance/forget.h"

#include <algorithm>

#include "base/check.h"
#include "maintenance/drop.h"
#include "maintenance/sweep.h"
#include "store/forgotten.h"
#include "store/repository_changes.h"

namespace vexor::maintenance {

using sys::Family;

// What one record is made of.
struct ForgetTask::Step {
  std::uint64_t withdrawals = 0;
  store::SnapshotPtr snapshot;
  store::Change change;
  Roaring numbers;
  Roaring loose_commits;     // that were looked at
  bool has_all_rows = true;  // that go before objects do
  ObjectNumber next = 0;     // behind the last candidate that was looked at
  bool is_last = false;
};

Result<bool> ForgetTask::step(Budget& budget) {
  if (context_.core.committer->role() != store::Committer::Role::kPrimary) return true;  // the next one goes on
  switch (phase_) {
    case Phase::kMark: {
      VEXOR_TRY(context_.core.committer->admit_forgetting());
      VEXOR_TRY(const bool may_be_some, unreached_.mark());
      phase_ = may_be_some ? Phase::kScan : Phase::kDone;
      break;
    }
    case Phase::kScan: {
      VEXOR_TRY(const bool is_over, unreached_.scan(budget));
      if (is_over) phase_ = unreached_.candidates().isEmpty() ? Phase::kDone : Phase::kBitmaps;
      break;
    }
    case Phase::kBitmaps:
    case Phase::kObjects: {
      VEXOR_TRY(act(budget));
      break;
    }
    case Phase::kDone: break;
  }
  return phase_ == Phase::kDone;
}

Result<void> ForgetTask::act(Budget& budget) {
  const Unreached::Pass pass = unreached_.enter_gate();
  if (!pass) {
    budget.give_up();
    return success();
  }
  VEXOR_TRY(context_.core.committer->admit_forgetting());
  Step step;
  step.withdrawals = context_.core.committer->withdrawals();
  if (!context_.core.committer->wait_applied()) {  // the set has other worries
    phase_ = Phase::kDone;
    return success();
  }
  VEXOR_TRY(step.snapshot, context_.core.backend->snapshot());
  VEXOR_TRY(unreached_.catch_up(step.snapshot));
  step.next = next_;
  if (phase_ == Phase::kBitmaps) {
    VEXOR_TRY(add_bitmaps(step));
  }
  VEXOR_TRY(add_graph_rows(step));
  if (phase_ == Phase::kObjects && step.has_all_rows) {
    VEXOR_TRY(add_objects(step, budget));
  }
  if (!step.change.record.changes.empty() || !step.numbers.isEmpty()) {
    auto done = submit(step);
    if (done.has_error() && done.error().code() == Errc::kUnavailable) {  // not the primary any more
      phase_ = Phase::kDone;
      return success();
    }
    VEXOR_TRY(std::move(done));
  }
  unreached_.done_with_loose_commits(step.loose_commits);
  next_ = step.next;
  context_.figures.objects_forgotten += step.numbers.cardinality();
  context_.done += step.numbers.cardinality();
  if (!step.has_all_rows) return success();
  if (phase_ == Phase::kBitmaps) phase_ = Phase::kObjects;
  else if (step.is_last) phase_ = Phase::kDone;
  return success();
}

Result<void> ForgetTask::add_bitmaps(Step& step) {
  std::vector<std::pair<std::uint32_t, ObjectNumber>> rows;  // by how many are below
  const std::string prefix = format::pool_key(context_.pool);
  const auto cursor = step.snapshot->cursor(Family::kBitmaps);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const ObjectNumber number, format::number_of_key(cursor->key()));
    if (unreached_.is_reached(number)) continue;
    VEXOR_TRY(const std::uint32_t depth, pack::decode_bitmap_depth(cursor->value()));
    rows.emplace_back(depth, number);
  }
  VEXOR_TRY(cursor->status());
  std::sort(rows.begin(), rows.end(), std::greater<>());
  step.has_all_rows = rows.size() <= context_.core.forgetting_rows_max;
  rows.resize(std::min(rows.size(), context_.core.forgetting_rows_max));
  for (const auto& [depth, number] : rows) step.change.record.changes.push_back({Family::kBitmaps, format::number_key(context_.pool, number), std::nullopt});
  return success();
}

Result<void> ForgetTask::add_graph_rows(Step& step) {
  std::vector<format::RowChange>& changes = step.change.record.changes;
  const auto cursor = step.snapshot->cursor(Family::kGraph);
  bool is_placed = false;
  for (const ObjectNumber number : unreached_.loose_commits()) {
    if (changes.size() >= context_.core.forgetting_rows_max) {
      step.has_all_rows = false;
      break;
    }
    std::string key = format::number_key(context_.pool, number);
    if (!is_placed || (cursor->valid() && cursor->key() < Bytes(key))) cursor->seek(key);
    is_placed = true;
    step.loose_commits.add(number);
    if (cursor->valid() && cursor->key() == Bytes(key)) changes.push_back({Family::kGraph, std::move(key), std::nullopt});
  }
  return cursor->status();
}

Result<void> ForgetTask::add_objects(Step& step, Budget& budget) {
  while (step.numbers.cardinality() < store::kForgottenPerRecordMax && !budget.is_used_up()) {
    Roaring::const_iterator at = unreached_.candidates().begin();
    at.equalorlarger(step.next);
    step.is_last = at == unreached_.candidates().end();
    if (step.is_last) break;
    VEXOR_TRY(ExtentScan scan, ExtentScan::begin(*step.snapshot, context_.pool, context_.algorithm, *at));
    VEXOR_TRY(const bool more, scan.next());
    step.is_last = !more;
    if (!more) break;
    budget.use(scan.value().size());
    VEXOR_TRY(add_extent(step, scan));
  }
  return success();
}

Result<void> ForgetTask::add_extent(Step& step, const ExtentScan& extent) {
  for (ObjectNumber number = std::max(extent.first(), step.next); number < extent.end(); ++number) {
    if (step.numbers.cardinality() == store::kForgottenPerRecordMax) return success();
    step.next = number + 1;
    const format::ExtentObject& object = extent.header().objects[number - extent.first()];
    if (object.is_absent || !unreached_.candidates().contains(number)) continue;
    VEXOR_CHECK(!unreached_.stays(number));
    step.numbers.add(number);
    std::string key = format::index_key(context_.pool, object.id);
    VEXOR_TRY(const auto indexed, step.snapshot->get(Family::kIndex, key));
    if (indexed && indexed->bytes() == Bytes(format::encode_index_row(number))) step.change.record.changes.push_back({Family::kIndex, std::move(key), std::nullopt});
    if (object.type == ObjectType::kCommit) step.change.record.changes.push_back({Family::kGraph, format::number_key(context_.pool, number), std::nullopt});
  }
  return success();
}

Result<void> ForgetTask::submit(Step& step) {
  store::StoreCore& core = context_.core;
  VEXOR_TRY(store::ForgettingRow row, store::read_forgetting(*step.snapshot, context_.pool));
  if (row.records == store::kForgettingRecordsMax) return Error(Errc::kLimitExceeded, "no more records can forget objects of pool " + std::to_string(context_.pool));
  VEXOR_TRY(store::expect_nothing_forgotten_since(*step.snapshot, context_.pool, step.change));
  const std::string home = "r" + format::pool_key(context_.home);
  VEXOR_TRY(const auto repository, step.snapshot->get(Family::kRepositories, home));
  if (!repository) return Error(Errc::kConflict, "the repository was purged meanwhile");
  step.change.preconditions.push_back({Family::kRepositories, home, std::string(repository->bytes())});
  ++row.records;
  row.objects += step.numbers.cardinality();
  if (!step.numbers.isEmpty()) row.end = std::max(row.end, std::uint64_t{step.numbers.maximum()} + 1);
  if (row.objects > row.end) return Error(Errc::kCorrupt, "more objects would be forgotten than pool " + std::to_string(context_.pool) + " has numbers");
  step.numbers.runOptimize();
  store::put_row(step.change, Family::kRepositories, store::forgetting_key(context_.pool), store::encode_forgetting_row(row));
  store::put_row(step.change, Family::kRepositories, store::forgotten_key(context_.pool, row.records), store::encode_forgotten_row({core.clock.wall_time_ms(), step.numbers}));
  format::JournalRecord& record = step.change.record;
  record.kind = format::OperationKind::kForget;
  record.actor_name = Actor().name;
  record.repository = context_.home;
  record.pool = context_.pool;
  record.subject = std::to_string(step.numbers.cardinality()) + " objects past the retention";
  step.change.withdrawals = step.withdrawals;
  VEXOR_TRY(core.committer->submit(std::move(step.change)));
  return success();
}

namespace {

// In a member of a replica set: the primary forgets, if it is to, and everybody drops the bytes of what was forgotten.
class MemberSweepTask final : public PoolTask {
 public:
  explicit MemberSweepTask(PoolTaskContext& context) : forget_(context), drop_(context), forgets_(context.policy.forgets_in_set && context.journal.has_begun()) {}
  Result<bool> step(Budget& budget) override {
    if (!forgets_) {
      VEXOR_TRY(const bool is_over, drop_.step(budget));
      if (is_over && refused_) return std::move(*refused_);
      return is_over;
    }
    auto is_over = forget_.step(budget);
    if (is_over.has_error() && is_over.error().code() != Errc::kRefused) return is_over;
    if (is_over.has_error()) refused_ = std::move(is_over).error();  // what was forgotten before can be dropped
    forgets_ = !refused_ && !is_over.value();
    return false;
  }

 private:
  ForgetTask forget_;
  DropTask drop_;
  bool forgets_;
  std::optional<Error> refused_;
};

}  // namespace

std::unique_ptr<PoolTask> make_sweep_task(PoolTaskContext& context) {
  if (context.core.committer->role() == store::Committer::Role::kAlone) return std::make_unique<SweepTask>(context);
  return std::make_unique<MemberSweepTask>(context);
}

}  // namespace vexor::maintenance
