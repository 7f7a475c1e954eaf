// Objects without refs: what was recalled from another server goes in as a push's do, in a record of its own (vexorstore/recall.h).
#include "pack/push.h"
#include "pack/range_in_quarantine.h"
#include "store/forgotten.h"

namespace vexor::pack {

namespace {

constexpr int kAttemptsMax = 4;
constexpr int kAttemptsTogether = 2;  // from then on it runs alone on its pool

// Everything in the pool that is not forgotten: whoever recalls is an operator, and nothing is shown by it.
Result<SetPtr> all_of_pool(store::StoreCore& core, const ObjectReader& reader) {
  VEXOR_TRY(const std::uint64_t end, store::end_of_numbers(*reader.snapshot(), reader.pool()));
  VEXOR_TRY(const SetPtr forgotten, store::forgotten_numbers(core, *reader.snapshot(), reader.pool()));
  auto out = std::make_shared<Roaring>();
  out->addRange(0, end);
  if (forgotten) *out -= *forgotten;
  return SetPtr(std::move(out));
}

struct Kept {
  store::Change change;
  std::uint64_t objects = 0;
};

Result<void> make_change(store::StoreCore& core, const store::RepositorySnapshot& now, PackReceiver& receiver, PushSource& source, RangeInQuarantine& range, Kept& out) {
  VEXOR_TRY(source.number_entries());
  out.objects = source.new_entries().size();
  ReachabilityWalker walker(source, now.row.algorithm, core.options.limits, [&source](ObjectNumber n) { return source.allowed(n); });
  VEXOR_TRY(const auto commits, source.commits_parents_first());
  ObjectRows rows(core, now.row.pool, receiver, source);
  VEXOR_TRY(rows.write());
  if (rows.is_large()) range.begin(now.row.pool, source.first(), static_cast<std::uint32_t>(out.objects));
  VEXOR_TRY(rows.move_to(out.change));
  // Commits that were there may have lost their rows.
  const Roaring all(commits.size(), commits.data());
  return write_graph(core, now.row.pool, source, walker, commits, all, rows.is_large(), out.change);
}

}  // namespace

Result<std::uint64_t> keep_objects(store::StoreCore& core, RepositoryId repository, PackReceiver& receiver, const Actor& actor) {
  if (receiver.object_count() == 0) return std::uint64_t{0};
  for (int attempt = 0;; ++attempt) {
    VEXOR_TRY(auto now, store::open_repository_snapshot(core, repository));
    const store::PoolGate::Pass pass(core.gate(now.row.pool), attempt >= kAttemptsTogether);
    const std::uint64_t generation = core.committer->index_generation(now.row.pool);
    const std::uint64_t reign = core.committer->reign();
    const std::uint64_t withdrawals = core.committer->withdrawals();
    VEXOR_TRY(now, store::open_repository_snapshot(core, repository));
    ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, core.options.limits, &core.extents);
    VEXOR_TRY(const SetPtr known, all_of_pool(core, reader));
    PushSource source(core, now, reader, &receiver, known);
    RangeInQuarantine range(core, reign);
    Kept kept;
    store::Change& change = kept.change;
    change.reign = reign;
    change.withdrawals = withdrawals;
    VEXOR_TRY(make_change(core, now, receiver, source, range, kept));
    if (kept.objects == 0 && change.record.changes.empty()) return std::uint64_t{0};
    change.record.kind = format::OperationKind::kRefTransaction;
    change.record.actor = actor.account;
    change.record.actor_name = actor.name;
    change.record.repository = repository;
    change.record.subject = std::to_string(kept.objects) + " objects recalled";
    change.preconditions.push_back({sys::Family::kRepositories, "r" + format::pool_key(repository), format::encode_repository_row(now.row)});
    VEXOR_TRY(store::expect_nothing_forgotten_since(*now.snapshot, now.row.pool, change));
    if (!change.bulk.empty()) change.expected_generation = generation;
    std::unique_ptr<StagedCopies> staged;  // until the outcome is known
    if (range.is_there()) {
      VEXOR_TRY(staged, core.committer->stage(change));
    }
    auto done = core.committer->submit(std::move(change));
    if (done.has_value()) {
      range.keep();
      return kept.objects;
    }
    range.settle(done.error());
    if (done.error().code() != Errc::kConflict || attempt + 1 == kAttemptsMax) return std::move(done).error();
    (void)core.committer->wait_applied();  // if not, the preconditions refuse the next try too
  }
}

}  // namespace vexor::pack
