// Restoring: refs become what they were, in one record, once it is known that their objects are there.
//
// Who restores holds a pass of the pool's gate from before its snapshot until its commit, as pushes do, so that no
// sweep erases in between what was found (maintenance/sweep.h).
#include <algorithm>

#include "pack/past.h"
#include "pack/push.h"
#include "store/forgotten.h"
#include "store/repository_changes.h"
#include "vexorstore/history.h"

namespace vexor {

using format::OperationKind;
using pack::ObjectNumber;
using store::Change;
using store::RepositoryRow;
using sys::Family;

namespace {

constexpr int kAttemptsMax = 4;
constexpr int kAttemptsTogether = 2;  // from then on no push runs beside

using RefRows = std::map<std::string, format::RefRow>;

bool is_same(const format::RefRow& a, const format::RefRow& b) {
  return a.symref_target == b.symref_target && a.id == b.id && a.number == b.number && a.peeled == b.peeled && a.peeled_number == b.peeled_number;
}

// The bitmaps that the tips lack, as a push would write them; `reached` holds all that they reach.
Result<void> add_bitmaps(store::StoreCore& core, const store::RepositorySnapshot& repository, pack::ObjectReader& reader, pack::SetPtr reached,
                         const std::vector<ObjectNumber>& tips, Change& change) {
  pack::PushSource source(core, repository, reader, nullptr, std::move(reached));
  pack::ReachabilityWalker walker(source, repository.row.algorithm, core.options.limits, [&source](ObjectNumber n) { return source.allowed(n); });
  for (const ObjectNumber tip : tips) {
    VEXOR_TRY(pack::add_tip_bitmap(source, walker, tip));
  }
  VEXOR_TRY(const auto bitmaps, source.settled_bitmaps());
  for (const auto& [tip, row] : bitmaps) {
    const std::string key = format::number_key(repository.row.pool, tip);
    change.record.changes.push_back({Family::kBitmaps, key, pack::encode_bitmap_row(row)});
    change.preconditions.push_back({Family::kBitmaps, key, std::nullopt});  // rows are never replaced
  }
  return success();
}

// What tags peel to goes before them: bitmaps build on those below.
std::vector<ObjectNumber> tips_of(const RefRows& rows) {
  std::vector<ObjectNumber> out;
  for (const auto& [name, row] : rows) {
    if (row.symref_target.empty() && row.peeled) out.push_back(row.peeled_number);
  }
  for (const auto& [name, row] : rows) {
    if (row.symref_target.empty()) out.push_back(row.number);
  }
  return out;
}

// No ref may have changed since the snapshot was taken.
void expect_refs(Change& change, const store::RepositorySnapshot& now) {
  std::optional<std::string> generation;
  if (now.ref_generation != 0) generation = format::pool_key(now.ref_generation);
  change.preconditions.push_back({Family::kRepositories, "g" + format::pool_key(now.row.number), generation});
}

format::RefChange to_row(const std::string& name, const std::string& now, const format::RefRow* then) {
  format::RefChange out{name, now, {}};
  if (then == nullptr) return out;
  format::RefRow row = *then;
  row.sequence = 0;
  out.new_row = format::encode_ref_row(row);
  return out;
}

// Changes that make the refs of `now` those of `then`.
Result<void> replace_refs(const store::RepositorySnapshot& now, const RefRows& then, Change& change) {
  VEXOR_TRY(const auto refs, store::read_refs(now));
  RefRows rest = then;
  for (const store::NamedRef& ref : refs) {
    const auto found = rest.find(ref.name);
    const format::RefRow* row = found == rest.end() ? nullptr : &found->second;
    if (row == nullptr || !is_same(*row, ref.row)) change.record.refs.push_back(to_row(ref.name, ref.encoded, row));
    if (found != rest.end()) rest.erase(found);
  }
  for (const auto& [name, row] : rest) change.record.refs.push_back(to_row(name, {}, &row));
  return success();
}

RepositoryRow new_row_of(store::StoreCore& core, const RepositoryRow& source, const std::string& name) {
  RepositoryRow row = source;
  row.fork_of = source.number;
  row.number = core.next_id();
  row.name = name;
  row.deleted_at_ms = 0;
  row.deleted_name.clear();
  row.protect.clear();
  row.bundles.clear();
  row.is_public = false;
  row.copies = CopyPolicy::kCluster;  // as of a fork
  return row;
}

class Restoration {
 public:
  Restoration(store::StoreCore& core, const std::string& name, std::uint64_t sequence, const std::string& new_name, const Actor& actor)
      : core_(core), name_(name), sequence_(sequence), new_name_(new_name), actor_(actor) {}

  Result<RestoreOutcome> run() {
    if (!new_name_.empty()) {
      VEXOR_TRY(store::check_repository_name(new_name_));
    }
    for (int attempt = 0;; ++attempt) {
      auto done = attempt_once(attempt >= kAttemptsTogether);
      if (done.has_value() || done.error().code() != Errc::kConflict || attempt + 1 == kAttemptsMax) return done;
      (void)core_.committer->wait_applied();  // if not, the preconditions refuse the next try too
    }
  }

 private:
  Result<RepositoryRow> find() const {
    VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
    VEXOR_TRY(auto row, store::find_repository_row(*snapshot, name_));
    if (row) return std::move(*row);
    auto deleted = store::find_deleted(*snapshot, name_);
    if (deleted.has_error()) return Error(Errc::kNotFound, name_ + ": no such repository, nor a deleted one");
    return deleted;
  }

  Result<RestoreOutcome> attempt_once(bool alone) {
    VEXOR_TRY(const RepositoryRow found, find());
    const store::PoolGate::Pass pass(core_.gate(found.pool), alone);
    VEXOR_TRY(const store::RepositorySnapshot now, store::open_repository_snapshot(core_, found.number));
    pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, core_.options.limits, &core_.extents);
    VEXOR_TRY(store::PastRefs then, store::read_past_refs(now, sequence_));
    if (then.generation == 0) return Error(Errc::kNotFound, name_ + " did not exist at journal sequence " + std::to_string(sequence_));
    for (auto& [name, row] : then.rows) {
      VEXOR_TRY(pack::renumber(reader, row));
    }
    const std::vector<ObjectNumber> tips = tips_of(then.rows);
    VEXOR_TRY(const pack::SetPtr reached, pack::reach_past(core_, reader, tips));
    const std::string subject = name_ + (new_name_.empty() ? "" : " as " + new_name_) + ", as of journal sequence " + std::to_string(sequence_);
    Change change = store::begin_change(OperationKind::kRepositoryRestore, actor_, now.row.number, subject);
    VEXOR_TRY(store::expect_nothing_forgotten_since(*now.snapshot, now.row.pool, change));
    RepositoryRow after = now.row;
    if (!new_name_.empty()) {
      store::expect_row(change, now.row);  // neither deleted nor purged meanwhile: its objects are there
      after = new_row_of(core_, now.row, new_name_);
      change.record.repository = after.number;
      store::new_rows(change, after);
      for (const auto& [name, row] : then.rows) change.record.refs.push_back(to_row(name, {}, &row));
    } else {
      if (now.row.deleted_at_ms != 0) after = store::undelete(change, now.row);
      else store::expect_row(change, now.row);
      expect_refs(change, now);
      VEXOR_TRY(replace_refs(now, then.rows, change));
    }
    RestoreOutcome out;
    out.changed_refs = change.record.refs.size();
    if (change.record.refs.empty() && change.record.changes.empty()) {
      out.repository = store::to_info(*now.snapshot, after);
      return out;
    }
    VEXOR_TRY(add_bitmaps(core_, now, reader, reached, tips, change));
    VEXOR_TRY(out.receipt, store::submit_named(core_, std::move(change), new_name_.empty() ? name_ : new_name_));
    out.sequence = out.receipt.sequence;
    VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
    out.repository = store::to_info(*snapshot, after);
    return out;
  }

  store::StoreCore& core_;
  const std::string& name_;
  std::uint64_t sequence_;
  const std::string& new_name_;
  const Actor& actor_;
};

// With "a" there can be no "a/b": clients keep refs as files.
Result<void> check_place(const store::RepositorySnapshot& now, const std::string& name) {
  const auto in_the_way = [](const std::string& other) { return Error(Errc::kConflict, other + " is in the way: there can be no such ref beside it"); };
  for (std::size_t slash = name.find('/', 5); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    VEXOR_TRY(const auto there, store::read_ref(now, name.substr(0, slash)));
    if (there) return in_the_way(there->name);
  }
  VEXOR_TRY(const auto below, store::read_refs(now, name + "/"));
  if (!below.empty()) return in_the_way(below.front().name);
  return success();
}

Result<ObjectId> id_of(HashAlgorithm algorithm, const std::string& row) {
  if (row.empty()) return ObjectId::null(algorithm);
  VEXOR_TRY(const format::RefRow decoded, format::decode_ref_row(algorithm, row));
  return decoded.symref_target.empty() ? decoded.id : ObjectId::null(algorithm);
}

Result<UndoOutcome> undo_once(store::StoreCore& core, const std::string& repository, const std::string& ref, const Actor& actor, bool alone) {
  VEXOR_TRY(const auto first, core.backend->snapshot());
  VEXOR_TRY(const auto found, store::find_repository_row(*first, repository));
  if (!found) return Error(Errc::kNotFound, repository + ": no such repository");
  const store::PoolGate::Pass pass(core.gate(found->pool), alone);
  VEXOR_TRY(const store::RepositorySnapshot now, store::open_repository_snapshot(core, found->number));
  if (now.row.deleted_at_ms != 0) return Error(Errc::kNotFound, repository + ": no such repository");
  VEXOR_TRY(const auto event, store::last_ref_event(now, ref));
  if (!event) return Error(Errc::kNotFound, ref + ": there never was such a ref");
  if (event->old_row.empty()) return Error(Errc::kRefused, ref + ": its last update made it; to undo that, delete it");
  VEXOR_TRY(const auto current, store::read_ref(now, ref));
  if (!current) {
    VEXOR_TRY(check_place(now, ref));
  }
  RefRows then;
  VEXOR_TRY(format::RefRow row, format::decode_ref_row(now.row.algorithm, event->old_row));
  pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, core.options.limits, &core.extents);
  VEXOR_TRY(pack::renumber(reader, row));
  then.emplace(ref, std::move(row));
  const std::vector<ObjectNumber> tips = tips_of(then);
  VEXOR_TRY(const pack::SetPtr reached, pack::reach_past(core, reader, tips));
  Change change = store::begin_change(OperationKind::kRefTransaction, actor, now.row.number, "undo " + ref);
  VEXOR_TRY(store::expect_nothing_forgotten_since(*now.snapshot, now.row.pool, change));
  store::expect_row(change, now.row);
  expect_refs(change, now);
  change.record.refs.push_back(to_row(ref, current ? current->encoded : std::string(), &then.begin()->second));
  VEXOR_TRY(add_bitmaps(core, now, reader, reached, tips, change));
  UndoOutcome out;
  VEXOR_TRY(out.from, id_of(now.row.algorithm, event->new_row));
  VEXOR_TRY(out.to, id_of(now.row.algorithm, event->old_row));
  VEXOR_TRY(out.receipt, core.committer->submit(std::move(change)));
  out.sequence = out.receipt.sequence;
  return out;
}

}  // namespace

Result<RestoreOutcome> restore_repository_at(Store& store, const std::string& name, JournalSequence sequence, const std::string& new_name,
                                             const Actor& actor) {
  return Restoration(store.core(), name, sequence, new_name, actor).run();
}

Result<bool> existed_at(Store& store, RepositoryId repository, JournalSequence sequence) {
  VEXOR_TRY(const auto now, store::open_repository_snapshot(store.core(), repository));
  VEXOR_TRY(const store::PastRefs then, store::read_past_refs(now, sequence));
  return then.generation != 0;
}

Result<UndoOutcome> undo_ref(Store& store, const std::string& repository, const std::string& ref, const Actor& actor) {
  for (int attempt = 0;; ++attempt) {
    auto done = undo_once(store.core(), repository, ref, actor, attempt >= kAttemptsTogether);
    if (done.has_value() || done.error().code() != Errc::kConflict || attempt + 1 == kAttemptsMax) return done;
    (void)store.core().committer->wait_applied();  // if not, the preconditions refuse the next try too
  }
}

Result<RepositoryInfo> Store::restore_repository(const std::string& name, const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(const auto first, core_->backend->snapshot());
  VEXOR_TRY(const auto found, store::find_deleted(*first, name));
  const store::PoolGate::Pass pass(core_->gate(found.pool), false);
  VEXOR_TRY(const store::RepositorySnapshot now, store::open_repository_snapshot(*core_, found.number));
  if (now.row.deleted_at_ms == 0) return Error(Errc::kConflict, name + ": it was restored meanwhile");
  // Deleted for longer than the retention, it may have lost objects.
  VEXOR_TRY(const auto refs, store::read_refs(now));
  std::vector<ObjectNumber> tips;
  for (const store::NamedRef& ref : refs) {
    if (ref.row.symref_target.empty()) tips.push_back(ref.row.number);
  }
  pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, core_->options.limits, &core_->extents);
  for (const store::NamedRef& ref : refs) {
    format::RefRow row = ref.row;
    VEXOR_TRY(pack::renumber(reader, row));
    if (!is_same(row, ref.row)) return Error(Errc::kNotFound, name + ": objects went with the retention and some came again; give --at " + std::to_string(now.ref_generation));
  }
  VEXOR_TRY(pack::reach_past(*core_, reader, tips));
  Change change = store::begin_change(OperationKind::kRepositoryRestore, actor, now.row.number, name);
  VEXOR_TRY(store::expect_nothing_forgotten_since(*now.snapshot, now.row.pool, change));
  const RepositoryRow after = store::undelete(change, now.row);
  VEXOR_TRY(store::submit_named(*core_, std::move(change), name, receipt));
  return store::to_info(*now.snapshot, after);
}

}  // namespace vexor
