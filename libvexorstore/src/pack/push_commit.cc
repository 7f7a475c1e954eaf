// Checking the commands of a push and committing it.
#include <algorithm>
#include <limits>
#include <unordered_set>

#include "base/check.h"
#include "format/object_parse.h"
#include "format/ref_name.h"
#include "pack/kept_sets.h"
#include "pack/push.h"
#include "pack/range_in_quarantine.h"
#include "store/forgotten.h"
#include "store/ref_table.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr int kAttemptsMax = 4;
constexpr int kAttemptsTogether = 2;  // from then on a push runs alone on its pool

struct Attempt {
  store::StoreCore& core;
  store::RepositorySnapshot repository;
  std::vector<RefCommand>& commands;
  const Actor& actor;
  ObjectReader& reader;
  PushSource& source;
  ReachabilityWalker& walker;
  std::unordered_map<std::string, const RefCommand*> by_name;
  std::unordered_set<std::string> absent_parents{};  // of new names: no refs, and are to be none when this is committed
  std::uint64_t parent_bytes = 0;                   // of these
  std::optional<std::uint64_t> ref_count{};  // counted when the first new ref is asked for
  std::vector<format::RefPattern> protected_refs{};  // the patterns of the row's rules
};

const format::ProtectRule* protecting(const Attempt& attempt, const std::string& name) {
  const auto found = std::find_if(attempt.protected_refs.begin(), attempt.protected_refs.end(), [&](const format::RefPattern& pattern) { return pattern.matches(name); });
  if (found == attempt.protected_refs.end()) return nullptr;
  return &attempt.repository.row.protect[static_cast<std::size_t>(found - attempt.protected_refs.begin())];
}

// Whether `old_commit` is an ancestor of `commit` (or the same).
Result<bool> is_ancestor(PushSource& source, ObjectNumber old_commit, ObjectNumber commit) {
  VEXOR_TRY(const SetPtr set, source.stored_set(commit));
  if (set) return set->contains(old_commit);
  Roaring seen;
  std::vector<ObjectNumber> stack{commit};
  while (!stack.empty()) {
    const ObjectNumber at = stack.back();
    stack.pop_back();
    if (at == old_commit) return true;
    if (at == kNoObject || !seen.addChecked(at)) continue;
    VEXOR_TRY(const GraphRow row, source.graph(at));
    stack.insert(stack.end(), row.parents.begin(), row.parents.end());
  }
  return false;
}

// What one push does to each ref that it names.
enum class Fate : std::uint8_t { kUntouched, kCreated, kDeleted };
Fate fate_of(const Attempt& attempt, const std::string& name) {
  const auto found = attempt.by_name.find(name);
  if (found == attempt.by_name.end() || !found->second->refusal.empty()) return Fate::kUntouched;
  return found->second->new_id.is_null() ? Fate::kDeleted : Fate::kCreated;
}

// A client keeps refs as files: with "a" there can be no "a/b". A refusal text, or empty. Two pushes at the same
// moment, of which one makes "a/b" and the other "a" later in the group, are kept apart by the preconditions on
// the parents; the opposite order is not.
Result<std::string> check_new_name(Attempt& attempt, const std::string& name, store::Change& change) {
  const auto conflict = [&](const std::string& other) {
    return "directory/file conflict" + (store::is_hidden(attempt.repository.row, other) ? std::string() : " with " + other);
  };
  for (std::size_t slash = name.find('/', 5); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::string parent = name.substr(0, slash);
    const Fate fate = fate_of(attempt, parent);
    if (fate == Fate::kCreated) return conflict(parent);
    if (attempt.absent_parents.contains(parent)) continue;
    VEXOR_TRY(const auto there, store::read_ref(attempt.repository, parent));
    if (there && fate != Fate::kDeleted) return conflict(parent);
    if (there) continue;
    attempt.parent_bytes += parent.size();
    if (attempt.parent_bytes > attempt.core.options.limits.ref_parent_bytes_per_push_max) return std::string("the new refs of this push have too many directories");
    change.preconditions.push_back({Family::kRefs, format::ref_key(attempt.repository.row.number, parent), std::nullopt});
    attempt.absent_parents.insert(parent);
  }
  const std::string below = format::ref_key(attempt.repository.row.number, name + "/");
  const auto cursor = attempt.repository.snapshot->cursor(Family::kRefs);
  for (cursor->seek(below); cursor->valid() && cursor->key().starts_with(below); cursor->next()) {
    const std::string child(cursor->key().substr(8));
    if (fate_of(attempt, child) != Fate::kDeleted) return conflict(child);
  }
  VEXOR_TRY(cursor->status());
  return std::string();
}

// A refusal text, or empty.
Result<std::string> check_policy(Attempt& attempt, const RefCommand& command, const std::optional<store::NamedRef>& now, const format::ProtectRule* rule) {
  const store::RepositoryRow& row = attempt.repository.row;
  if (!format::is_valid_ref_name(command.name) || !command.name.starts_with("refs/")) return std::string("funny refname");
  if (store::is_hidden(row, command.name)) return std::string("deny updating a hidden ref");
  const bool is_delete = command.new_id.is_null();
  if (now && now->row.symref_target.empty() ? now->row.id != command.old_id : !command.old_id.is_null()) {
    if (!(is_delete && !now)) return std::string("the ref changed since you fetched; fetch first");
  }
  if (rule != nullptr) {
    if (!rule->only_users.empty() &&
        std::find(rule->only_users.begin(), rule->only_users.end(), attempt.actor.name) == rule->only_users.end()) {
      return std::string("protected ref: you are not among those who may update it");
    }
    if (is_delete && rule->no_delete) return std::string("protected ref: may not be deleted");
  }
  return std::string();
}

// Fills the ref change of one command; an error with kProtocol or kRefused refuses the command.
Result<format::RefChange> make_change(Attempt& attempt, const RefCommand& command, const std::optional<store::NamedRef>& now, const format::ProtectRule* rule) {
  format::RefChange change;
  change.name = command.name;
  if (now) {
    change.old_row = now->encoded;
  }
  if (command.new_id.is_null()) return change;
  VEXOR_TRY(const auto number, attempt.source.find(command.new_id));
  if (!number || !attempt.source.allowed(*number)) return Error(Errc::kProtocol, "missing necessary objects");
  VEXOR_TRY(const ObjectType type, attempt.source.type(*number));
  if (command.name.starts_with("refs/heads/") && type != ObjectType::kCommit) {
    return Error(Errc::kRefused, "a branch must point at a commit");
  }
  // The bitmap of a tag builds on that of what it names, so that goes first.
  format::RefRow row;
  row.id = command.new_id;
  row.number = *number;
  ObjectNumber peeled = *number;
  ObjectType peeled_type = type;
  while (peeled_type == ObjectType::kTag) {
    VEXOR_TRY(const auto content, attempt.source.read(peeled));
    VEXOR_TRY(const format::TagView view, format::parse_tag(*content, attempt.repository.row.algorithm));
    VEXOR_TRY(const auto target, attempt.source.find(view.target));
    if (!target || !attempt.source.allowed(*target)) return Error(Errc::kProtocol, "missing necessary objects");
    peeled = *target;
    VEXOR_TRY(peeled_type, attempt.source.type(peeled));
    row.peeled = view.target;
    row.peeled_number = peeled;
  }
  for (const ObjectNumber tip : {peeled, *number}) {
    VEXOR_TRY(add_tip_bitmap(attempt.source, attempt.walker, tip));
  }
  if (rule != nullptr && rule->no_force && now) {
    VEXOR_TRY(const bool forward, is_ancestor(attempt.source, now->row.number, *number));
    if (!forward) return Error(Errc::kRefused, "protected ref: only fast-forward updates are allowed");
  }
  change.new_row = format::encode_ref_row(row);
  return change;
}

// Deletes go first: whether a new ref has a place depends on which of them are refused. Of the others, tips with many
// ancestors among the other tips go last, so that theirs are built upon.
Result<std::vector<std::size_t>> command_order(Attempt& attempt) {
  std::vector<std::pair<std::int64_t, std::size_t>> order;
  for (std::size_t i = 0; i < attempt.commands.size(); ++i) {
    std::int64_t time = std::numeric_limits<std::int64_t>::min();
    const RefCommand& command = attempt.commands[i];
    if (!command.new_id.is_null()) {
      time = 0;
      VEXOR_TRY(auto number, attempt.source.find(command.new_id));
      for (int steps = 0; number && attempt.source.allowed(*number) && steps < 8; ++steps) {
        VEXOR_TRY(const ObjectType type, attempt.source.type(*number));
        if (type == ObjectType::kCommit) {
          VEXOR_TRY(const GraphRow row, attempt.source.graph(*number));
          time = row.commit_time;
        }
        if (type != ObjectType::kTag) break;
        VEXOR_TRY(const auto content, attempt.source.read(*number));
        VEXOR_TRY(const format::TagView view, format::parse_tag(*content, attempt.repository.row.algorithm));
        VEXOR_TRY(number, attempt.source.find(view.target));
      }
    }
    order.emplace_back(time, i);
  }
  std::sort(order.begin(), order.end());
  std::vector<std::size_t> out;
  for (const auto& [time, index] : order) out.push_back(index);
  return out;
}

// A new ref needs a place. Refs that the same push deletes free none. Pushes that run side by side may
// each take the last one.
Result<std::string> take_place(Attempt& attempt) {
  const std::uint64_t refs_max = store::limits_of(attempt.core.options.limits, attempt.repository.row).refs_per_repository_max;
  if (!attempt.ref_count) {
    VEXOR_TRY(const auto table, store::ref_table(attempt.core, attempt.repository));
    attempt.ref_count = table->stored;
  }
  if (*attempt.ref_count >= refs_max) return "the repository has as many refs as it may: " + std::to_string(refs_max);
  ++*attempt.ref_count;
  return std::string();
}

Result<void> check_commands(Attempt& attempt, store::Change& change, bool atomic) {
  VEXOR_TRY(const auto order, command_order(attempt));
  bool refused = false;
  for (const std::size_t index : order) {
    RefCommand& command = attempt.commands[index];
    if (command.refusal.empty()) {
      VEXOR_TRY(const auto now, store::read_ref(attempt.repository, command.name));
      const format::ProtectRule* rule = protecting(attempt, command.name);
      VEXOR_TRY(command.refusal, check_policy(attempt, command, now, rule));
      if (command.refusal.empty() && !now && !command.new_id.is_null()) {
        VEXOR_TRY(command.refusal, check_new_name(attempt, command.name, change));
      }
      if (command.refusal.empty() && !now && !command.new_id.is_null()) {
        VEXOR_TRY(command.refusal, take_place(attempt));
      }
      if (command.refusal.empty()) {
        auto made = make_change(attempt, command, now, rule);
        if (made.has_value()) {
          std::optional<std::string> expected;
          if (now) expected = now->encoded;
          change.preconditions.push_back({Family::kRefs, format::ref_key(attempt.repository.row.number, command.name), expected});
          if (now || !made.value().new_row.empty()) change.record.refs.push_back(std::move(made).value());
        } else if (made.error().code() == Errc::kProtocol || made.error().code() == Errc::kRefused ||
                   made.error().code() == Errc::kLimitExceeded) {
          command.refusal = made.error().message();
        } else {
          return std::move(made).error();
        }
      }
    }
    refused = refused || !command.refusal.empty();
  }
  if (atomic && refused) {
    for (RefCommand& command : attempt.commands) {
      if (command.refusal.empty()) command.refusal = "atomic push failed: another ref was refused";
    }
    change.record.refs.clear();
  }
  return success();
}

// Bitmaps and commands. A large push's rows are written meanwhile, if there is a thread for it: true.
Result<bool> check_and_write(Attempt& attempt, const std::vector<ObjectNumber>& commits, store::Change& change, bool atomic,
                             std::optional<ObjectRows>& rows) {
  const auto check = [&]() -> Result<void> {
    VEXOR_TRY(add_interval_bitmaps(attempt.source, attempt.walker, commits));
    return check_commands(attempt, change, atomic);
  };
  sys::WorkerPool& workers = attempt.core.workers();
  if (!rows || !rows->is_large() || workers.width() < 2) {
    VEXOR_TRY(check());
    return false;
  }
  std::optional<Error> unchecked, unwritten;
  workers.run(2, [&](unsigned task) {
    auto done = task == 0 ? check() : rows->write();
    if (done.has_error()) (task == 0 ? unchecked : unwritten).emplace(std::move(done).error());
  });
  if (unchecked) return std::move(*unchecked);
  if (unwritten) return std::move(*unwritten);
  return true;
}

// What the accepted refs reach of the commits in the pack, and these refs' values themselves.
Result<Roaring> reached_by(const std::vector<format::RefChange>& refs, HashAlgorithm algorithm, const std::vector<ObjectNumber>& commits, PushSource& source) {
  Roaring pushed, out;
  pushed.addMany(commits.size(), commits.data());
  std::vector<ObjectNumber> stack;
  for (const format::RefChange& change : refs) {
    if (change.new_row.empty()) continue;
    VEXOR_TRY(const format::RefRow row, format::decode_ref_row(algorithm, change.new_row));
    out.add(row.number);
    if (row.peeled) out.add(row.peeled_number);
    stack.push_back(row.peeled ? row.peeled_number : row.number);
  }
  Roaring seen;
  while (!stack.empty()) {
    const ObjectNumber at = stack.back();
    stack.pop_back();
    if (!pushed.contains(at) || !seen.addChecked(at)) continue;
    out.add(at);
    VEXOR_TRY(const GraphRow row, source.graph(at));
    stack.insert(stack.end(), row.parents.begin(), row.parents.end());
  }
  return out;
}

// Of the bitmap rows those of what is reached, and what they build on. The others would outlive what they name: only what
// a ref reaches is kept by sweeps.
Roaring bitmaps_to_keep(const std::map<ObjectNumber, BitmapRow>& bitmaps, const Roaring& reached) {
  Roaring out;
  for (const auto& [tip, row] : bitmaps) {
    if (!reached.contains(tip)) continue;
    for (auto at = bitmaps.find(tip); at != bitmaps.end() && out.addChecked(at->first);) at = bitmaps.find(at->second.base);
  }
  return out;
}

// After a large push. A failure costs the first clone some time.
void prepare_clones(store::StoreCore& core, RepositoryId repository) {
  const auto now = store::open_repository_snapshot(core, repository);
  if (now.has_error()) return;
  ObjectReader reader(now.value().snapshot, now.value().row.pool, now.value().row.algorithm, core.options.limits);
  (void)keep_clone_sets(core, now.value(), reader);
}

}  // namespace

Result<PushOutcome> commit_push(store::StoreCore& core, RepositoryId repository, PackReceiver* receiver,
                                std::vector<RefCommand>& commands, bool atomic, const Actor& actor) {
  for (int attempt_index = 0;; ++attempt_index) {
    VEXOR_TRY(auto now, store::open_repository_snapshot(core, repository));
    if (now.row.deleted_at_ms != 0) return Error(Errc::kNotFound, "the repository was deleted");
    const store::PoolGate::Pass pass(core.gate(now.row.pool), attempt_index >= kAttemptsTogether);
    const std::uint64_t generation = core.committer->index_generation(now.row.pool);
    const std::uint64_t reign = core.committer->reign();
    const std::uint64_t withdrawals = core.committer->withdrawals();
    VEXOR_TRY(now, store::open_repository_snapshot(core, repository));
    ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, core.options.limits, &core.extents);
    VEXOR_TRY(const SetPtr visible, visible_set(core, now, reader));
    PushSource source(core, now, reader, receiver, visible);
    VEXOR_TRY(source.number_entries());
    std::vector<RefCommand> tried = commands;
    ReachabilityWalker walker(source, now.row.algorithm, core.options.limits, [&source](ObjectNumber n) { return source.allowed(n); });
    walker.keep_additions();
    VEXOR_TRY(const auto commits, source.commits_parents_first());
    std::vector<ObjectNumber> new_commits;
    std::copy_if(commits.begin(), commits.end(), std::back_inserter(new_commits), [&](ObjectNumber n) { return source.is_new(n); });
    walker.find_all_additions(new_commits, core.workers(), [&] { return source.view(core.options.limits.ingest_memory_bytes / 4 / core.workers().width()); });
    Attempt attempt{core, now, tried, actor, reader, source, walker, {}};
    for (const RefCommand& command : tried) attempt.by_name.emplace(command.name, &command);
    for (const format::ProtectRule& rule : attempt.repository.row.protect) attempt.protected_refs.emplace_back(rule.pattern);
    store::Change change;
    change.reign = reign;
    change.withdrawals = withdrawals;  // objects that others brought, and that this push leans on
    change.record.kind = format::OperationKind::kRefTransaction;
    change.record.actor = actor.account;
    change.record.actor_name = actor.name;
    change.record.repository = repository;
    // Not deleted, purged or set otherwise since: the checks were made against this row.
    change.preconditions.push_back({Family::kRepositories, "r" + format::pool_key(repository), format::encode_repository_row(now.row)});
    VEXOR_TRY(store::expect_nothing_forgotten_since(*now.snapshot, now.row.pool, change));
    std::optional<ObjectRows> rows;
    if (receiver != nullptr) rows.emplace(core, now.row.pool, *receiver, source);
    VEXOR_TRY(const bool are_written, check_and_write(attempt, commits, change, atomic, rows));
    PushOutcome outcome;
    if (change.record.refs.empty()) {  // nothing to do; the objects are dropped with the push
      commands = std::move(tried);
      outcome.receipt = {.sequence = core.committer->last_sequence(), .copies = 0, .servers = 0};
      return outcome;
    }
    VEXOR_TRY(const Roaring reached, reached_by(change.record.refs, now.row.algorithm, commits, source));
    RangeInQuarantine range(core, reign);
    if (rows) {
      if (!are_written) {
        VEXOR_TRY(rows->write());
      }
      if (rows->is_large()) range.begin(now.row.pool, source.first(), static_cast<std::uint32_t>(source.new_entries().size()));
      VEXOR_TRY(rows->move_to(change));
      VEXOR_TRY(write_graph(core, now.row.pool, source, walker, commits, reached, rows->is_large(), change));
      if (!change.bulk.empty()) change.expected_generation = generation;
    }
    VEXOR_TRY(const auto bitmaps, source.settled_bitmaps());
    const Roaring kept = bitmaps_to_keep(bitmaps, reached);
    for (const auto& [tip, row] : bitmaps) {
      if (!kept.contains(tip)) continue;
      const std::string key = format::number_key(now.row.pool, tip);
      const bool is_new = tip >= change.record.first_object && tip - change.record.first_object < change.record.object_count;
      if (is_new) change.rows.put(Family::kBitmaps, key, encode_bitmap_row(row));
      else change.record.changes.push_back({Family::kBitmaps, key, encode_bitmap_row(row)});
      if (!is_new) change.preconditions.push_back({Family::kBitmaps, key, std::nullopt});  // rows are never replaced
    }
    outcome.new_objects = change.record.object_count;
    const bool is_large = range.is_there();
    std::unique_ptr<StagedCopies> staged;  // until the outcome is known
    if (is_large) {
      VEXOR_TRY(staged, core.committer->stage(change));
    }
    auto done = core.committer->submit(std::move(change));
    if (done.has_value()) {
      range.keep();
      source.publish_sets(kept);
      if (is_large) prepare_clones(core, repository);
      commands = std::move(tried);
      outcome.receipt = done.value();
      return outcome;
    }
    range.settle(done.error());
    if (done.error().code() != Errc::kConflict || attempt_index + 1 == kAttemptsMax) return std::move(done).error();
    (void)core.committer->wait_applied();  // if not, the preconditions refuse the next try too
  }
}

}  // namespace vexor::pack
