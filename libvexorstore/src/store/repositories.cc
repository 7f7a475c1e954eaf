// Store: repositories and refs.
#include <algorithm>

#include "format/log_rows.h"
#include "format/ref_name.h"
#include "store/forgotten.h"
#include "store/purges.h"
#include "vexorstore/limits.h"
#include "vexorstore/settings.h"

namespace vexor {

using format::OperationKind;
using store::RepositoryRow;
using sys::Family;

namespace store {

bool is_hidden(const RepositoryRow& row, Bytes ref_name) {
  for (const std::string& pattern : row.hidden) {
    if (format::ref_pattern_matches(pattern, ref_name)) return true;
  }
  return false;
}

namespace {

bool is_name_part(std::string_view part) {
  constexpr std::size_t kPartCharsMax = 100;
  if (part.empty() || part.size() > kPartCharsMax || part[0] == '.' || part[0] == '-') return false;
  for (const char c : part) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
    if (!ok) return false;
  }
  return !part.ends_with(".git") && !part.ends_with(".");
}

std::string id_value(std::uint64_t id) { return format::pool_key(id); }

std::string head_row(const std::string& target) {
  format::RefRow head;
  head.symref_target = target;
  return format::encode_ref_row(head);
}

Result<RepositoryRow> must_find(StoreCore& core, const std::string& name) {
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  VEXOR_TRY(auto row, find_repository_row(*snapshot, name));
  if (!row) return Error(Errc::kNotFound, name + ": no such repository");
  return std::move(*row);
}

Result<void> submit_done(StoreCore& core, Change change, const std::string& name, Receipt* receipt) {
  VEXOR_TRY(submit_named(core, std::move(change), name, receipt));
  return success();
}

}  // namespace

Result<void> check_repository_name(const std::string& name) {
  const std::size_t slash = name.find('/');
  if (slash == std::string::npos || !is_name_part(std::string_view(name).substr(0, slash)) ||
      !is_name_part(std::string_view(name).substr(slash + 1))) {
    return Error(Errc::kInvalidArgument, "a repository is named OWNER/NAME, of letters, digits, '.', '_' and '-'");
  }
  return success();
}

void put_row(Change& change, Family family, std::string key, std::string value) {
  change.record.changes.push_back({family, std::move(key), std::move(value)});
}

Change begin_change(OperationKind kind, const Actor& actor, RepositoryId repository, const std::string& subject) {
  Change change;
  change.record.kind = kind;
  change.record.actor = actor.account;
  change.record.actor_name = actor.name;
  change.record.repository = repository;
  change.record.subject = subject;
  return change;
}

Result<Receipt> submit_named(StoreCore& core, Change change, const std::string& name, Receipt* told) {
  auto done = core.committer->submit(std::move(change), told);
  if (done.has_value()) return done;
  if (done.error().code() == Errc::kConflict) {
    return Error(Errc::kConflict, name + ": the name is taken or was changed meanwhile");
  }
  return std::move(done).error();
}

void expect_row(Change& change, const RepositoryRow& row) {
  change.preconditions.push_back({Family::kRepositories, "r" + id_value(row.number), format::encode_repository_row(row)});
}

void replace_row(Change& change, const RepositoryRow& before, const RepositoryRow& after) {
  expect_row(change, before);
  put_row(change, Family::kRepositories, "r" + id_value(before.number), format::encode_repository_row(after));
}

void new_rows(Change& change, const RepositoryRow& row) {
  change.preconditions.push_back({Family::kRepositories, "n" + row.name, std::nullopt});
  change.preconditions.push_back({Family::kRepositories, "r" + id_value(row.number), std::nullopt});  // an id is given out once
  put_row(change, Family::kRepositories, "r" + id_value(row.number), format::encode_repository_row(row));
  put_row(change, Family::kRepositories, "n" + row.name, id_value(row.number));
  put_row(change, Family::kRepositories, "i", id_value(row.number + 1));
}

RepositoryRow undelete(Change& change, const RepositoryRow& before) {
  RepositoryRow after = before;
  after.deleted_at_ms = 0;
  after.name = before.deleted_name;
  after.deleted_name.clear();
  change.preconditions.push_back({Family::kRepositories, "n" + after.name, std::nullopt});
  replace_row(change, before, after);
  put_row(change, Family::kRepositories, "n" + after.name, id_value(after.number));
  return after;
}

void erase_repository(Change& change, const RepositoryRow& row, bool keeps_objects) {
  expect_row(change, row);
  change.record.changes.push_back({Family::kRepositories, "r" + id_value(row.number), std::nullopt});
  change.record.changes.push_back({Family::kRepositories, "g" + id_value(row.number), std::nullopt});
  for (const Family family : {Family::kRefs, Family::kReflog, Family::kGrants}) {
    change.record.erasures.push_back({family, id_value(row.number), id_value(row.number + 1)});
  }
  change.record.erasures.push_back({Family::kMeta, "v" + id_value(row.number), "v" + id_value(row.number + 1)});  // kept sets
  if (keeps_objects) return;
  for (const Family family : {Family::kExtents, Family::kIndex, Family::kGraph, Family::kBitmaps, Family::kShapes, Family::kQuarantine}) {
    change.record.erasures.push_back({family, id_value(row.pool), id_value(row.pool + 1)});
  }
  change.record.erasures.push_back({Family::kMeta, format::late_prefix(row.pool), format::late_prefix(row.pool + 1)});
  change.record.erasures.push_back({Family::kMeta, dropped_key(row.pool), dropped_key(row.pool + 1)});
  change.record.erasures.push_back({Family::kRepositories, forgetting_key(row.pool), forgetting_key(row.pool + 1)});
  change.record.changes.push_back({Family::kMeta, format::pool_upkeep_key(row.pool), std::nullopt});
  change.record.changes.push_back({Family::kMeta, format::scrub_key(row.pool), std::nullopt});
}

Result<RepositoryRow> find_deleted(const sys::StorageSnapshot& snapshot, const std::string& name) {
  std::optional<RepositoryRow> best;
  const auto cursor = snapshot.cursor(Family::kRepositories);
  for (cursor->seek("r"); cursor->valid() && cursor->key()[0] == 'r'; cursor->next()) {
    VEXOR_TRY(RepositoryRow row, format::decode_repository_row(cursor->value()));
    if (row.deleted_at_ms == 0 || row.deleted_name != name) continue;
    if (!best || row.deleted_at_ms >= best->deleted_at_ms) best = std::move(row);
  }
  VEXOR_TRY(cursor->status());
  if (!best) return Error(Errc::kNotFound, name + ": no deleted repository of that name");
  return std::move(*best);
}

Result<bool> is_pool_shared(const sys::StorageSnapshot& snapshot, const RepositoryRow& row) {
  const auto cursor = snapshot.cursor(Family::kRepositories);
  for (cursor->seek("r"); cursor->valid() && cursor->key()[0] == 'r'; cursor->next()) {
    VEXOR_TRY(const RepositoryRow other, format::decode_repository_row(cursor->value()));
    if (other.pool == row.pool && other.number != row.number) return true;
  }
  VEXOR_TRY(cursor->status());
  return false;
}

}  // namespace store

using namespace store;  // NOLINT: this file is the store's

bool is_hidden_ref(const RepositoryInfo& info, const std::string& name) {
  return std::any_of(info.hidden_refs.begin(), info.hidden_refs.end(),
                     [&](const std::string& pattern) { return format::ref_pattern_matches(pattern, name); });
}

Store::Store(std::unique_ptr<StoreCore> core) : core_(std::move(core)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(std::unique_ptr<sys::StorageBackend> backend,
                                           StoreOptions options) {
  auto core = std::make_unique<StoreCore>(std::move(backend), std::move(options));
  VEXOR_TRY(core->committer, Committer::open(*core->backend, core->clock));
  VEXOR_TRY(core->sweep_quarantine());
  VEXOR_TRY(const auto snapshot, core->backend->snapshot());
  VEXOR_TRY(core->load_ids(*snapshot));
  return std::unique_ptr<Store>(new Store(std::move(core)));
}

Result<RepositoryInfo> Store::create_repository(const std::string& name, const CreateOptions& options,
                                                const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(check_repository_name(name));
  const std::string branch = "refs/heads/" + options.default_branch;
  if (!format::is_valid_ref_name(branch)) {
    return Error(Errc::kInvalidArgument, "the default branch is not a valid ref name");
  }
  RepositoryRow row;
  row.number = core_->next_id();
  row.pool = row.number;
  row.algorithm = options.algorithm;
  row.name = name;
  row.description = options.description;
  row.is_public = options.is_public;
  Change change = begin_change(OperationKind::kRepositoryCreate, actor, row.number, name);
  new_rows(change, row);
  change.record.refs.push_back({"HEAD", {}, head_row(branch)});
  VEXOR_TRY(submit_named(*core_, std::move(change), name, receipt));
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  return to_info(*snapshot, row);
}

Result<RepositoryInfo> Store::fork_repository(const std::string& source, const std::string& name,
                                              const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(check_repository_name(name));
  VEXOR_TRY(RepositoryRow row, must_find(*core_, source));
  // No sweep between reading the refs and the commit: see maintenance/sweep.h.
  const PoolGate::Pass pass(core_->gate(row.pool), false);
  VEXOR_TRY(const RepositorySnapshot from, open_repository_snapshot(*core_, row.number));
  VEXOR_TRY(const auto refs, read_refs(from));
  // The source is neither deleted nor purged meanwhile: its objects are there.
  const RepositoryRow source_row = row;
  row.fork_of = row.number;
  row.number = core_->next_id();
  row.name = name;
  row.protect.clear();
  row.copies = CopyPolicy::kCluster;  // an operator's to set, and who forks need not be one
  Change change = begin_change(OperationKind::kRepositoryFork, actor, row.number, source + " to " + name);
  expect_row(change, source_row);
  VEXOR_TRY(expect_nothing_forgotten_since(*from.snapshot, row.pool, change));
  new_rows(change, row);
  for (const NamedRef& ref : refs) {
    if (is_hidden(from.row, ref.name)) continue;
    format::RefRow copy = ref.row;
    copy.sequence = 0;
    change.record.refs.push_back({ref.name, {}, format::encode_ref_row(copy)});
  }
  VEXOR_TRY(submit_named(*core_, std::move(change), name, receipt));
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  return to_info(*snapshot, row);
}

Result<void> Store::rename_repository(const std::string& name, const std::string& new_name,
                                      const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(check_repository_name(new_name));
  VEXOR_TRY(const RepositoryRow before, must_find(*core_, name));
  RepositoryRow after = before;
  after.name = new_name;
  Change change = begin_change(OperationKind::kRepositoryRename, actor, before.number, name + " to " + new_name);
  change.preconditions.push_back({Family::kRepositories, "n" + new_name, std::nullopt});
  replace_row(change, before, after);
  change.record.changes.push_back({Family::kRepositories, "n" + name, std::nullopt});
  put_row(change, Family::kRepositories, "n" + new_name, id_value(before.number));
  return submit_done(*core_, std::move(change), new_name, receipt);
}

Result<void> Store::delete_repository(const std::string& name, const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(const RepositoryRow before, must_find(*core_, name));
  RepositoryRow after = before;
  after.deleted_at_ms = core_->clock.wall_time_ms();
  after.deleted_name = before.name;
  after.name.clear();
  Change change = begin_change(OperationKind::kRepositoryDelete, actor, before.number, name);
  replace_row(change, before, after);
  change.record.changes.push_back({Family::kRepositories, "n" + name, std::nullopt});
  return submit_done(*core_, std::move(change), name, receipt);
}

Result<void> Store::purge_repository(const std::string& name, const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(const auto first_look, core_->backend->snapshot());
  VEXOR_TRY(const RepositoryRow asked, find_deleted(*first_look, name));
  // Nobody restores it as another one, which shares its pool, between the look at who uses the pool and the commit.
  const PoolGate::Pass pass(core_->gate(asked.pool), true);
  if (!core_->committer->wait_applied()) {  // such a restoration may be appended, and not known to be committed
    return Error(Errc::kUnavailable, name + ": changes that came before are not committed yet, and one of them may need the objects; try again");
  }
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  VEXOR_TRY(const RepositoryRow found, find_deleted(*snapshot, name));
  if (found.pool != asked.pool) return Error(Errc::kConflict, name + ": another repository of that name was deleted meanwhile");
  VEXOR_TRY(const bool keeps_objects, is_pool_shared(*snapshot, found));
  Change change = begin_change(OperationKind::kRepositoryPurge, actor, found.number, name);
  erase_repository(change, found, keeps_objects);
  return submit_done(*core_, std::move(change), name, receipt);
}

Result<std::optional<RepositoryInfo>> Store::find_repository(const std::string& name) const {
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  VEXOR_TRY(const auto row, find_repository_row(*snapshot, name));
  if (!row) return std::optional<RepositoryInfo>();
  return std::optional<RepositoryInfo>(to_info(*snapshot, *row));
}

Result<std::vector<RepositoryInfo>> Store::list_repositories(bool deleted) const {
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  std::vector<RepositoryInfo> out;
  const auto cursor = snapshot->cursor(Family::kRepositories);
  for (cursor->seek("r"); cursor->valid() && cursor->key()[0] == 'r'; cursor->next()) {
    VEXOR_TRY(const RepositoryRow row, format::decode_repository_row(cursor->value()));
    if ((row.deleted_at_ms != 0) == deleted) out.push_back(to_info(*snapshot, row));
  }
  VEXOR_TRY(cursor->status());
  return out;
}

namespace {

std::uint64_t bytes_of(const std::vector<format::ProtectRule>& rules) {
  std::uint64_t out = 0;
  for (const format::ProtectRule& rule : rules) {
    out += rule.pattern.size();
    for (const std::string& user : rule.only_users) out += user.size();
  }
  return out;
}

// What was there before the limits, or with others, stays, and may become less.
Result<void> check_patterns(const Limits& limits, const RepositoryRow& before, const RepositoryRow& after) {
  const auto check_length = [](const std::string& pattern, bool is_there) -> Result<void> {
    if (is_there || pattern.size() <= kRefNameBytesMax) return success();
    return Error(Errc::kLimitExceeded, "bytes of a pattern " + std::to_string(pattern.size()) + " over " + std::to_string(kRefNameBytesMax));
  };
  for (const format::ProtectRule& rule : after.protect) {
    const bool is_there = rule.pattern.size() > kRefNameBytesMax && std::any_of(before.protect.begin(), before.protect.end(), [&](const format::ProtectRule& old) { return old.pattern == rule.pattern; });
    VEXOR_TRY(check_length(rule.pattern, is_there));
  }
  for (const std::string& pattern : after.hidden) {
    VEXOR_TRY(check_length(pattern, pattern.size() > kRefNameBytesMax && std::find(before.hidden.begin(), before.hidden.end(), pattern) != before.hidden.end()));
  }
  if (after.protect.size() > std::max<std::size_t>(limits.protect_rules_max, before.protect.size())) {
    return Error(Errc::kLimitExceeded, "protect rules of a repository " + std::to_string(after.protect.size()) + " over " + std::to_string(limits.protect_rules_max));
  }
  const std::uint64_t bytes = bytes_of(after.protect);
  if (bytes > std::max(limits.protect_bytes_max, bytes_of(before.protect))) {
    return Error(Errc::kLimitExceeded, "bytes of a repository's protect rules " + std::to_string(bytes) + " over " + std::to_string(limits.protect_bytes_max));
  }
  return success();
}

// `before`: the row that the settings take the place of. Errors: kConflict (it is another by now).
Result<void> replace_settings(store::StoreCore& core, const RepositoryRow& before, const RepositoryInfo& info, const Actor& actor, Receipt* receipt) {
  std::size_t longest = std::max({info.hidden_refs.size(), info.bundle_lines.size(), info.protect.size()});
  for (const RefProtection& rule : info.protect) longest = std::max(longest, rule.only_users.size());
  if (longest > format::kRowListMax) {
    return Error(Errc::kLimitExceeded, "a list of " + std::to_string(longest) + " over " + std::to_string(format::kRowListMax));
  }
  VEXOR_TRY(const RepositorySnapshot now, open_repository_snapshot(core, before.number));
  RepositoryRow after = before;
  after.description = info.description;
  after.is_public = info.is_public;
  after.hidden = info.hidden_refs;
  after.check_policy = info.check_policy;
  after.pack_bytes_max = info.pack_bytes_max;
  after.object_bytes_max = info.object_bytes_max;
  after.refs_max = info.refs_max;
  after.bundles = info.bundle_lines;
  after.copies = info.copies;
  after.protect.clear();
  for (const RefProtection& rule : info.protect) {
    after.protect.push_back({rule.pattern, rule.no_force, rule.no_delete, rule.only_users});
  }
  VEXOR_TRY(check_patterns(core.options.limits, before, after));
  Change change = begin_change(OperationKind::kRepositorySettings, actor, before.number, before.name);
  replace_row(change, before, after);
  VEXOR_TRY(const auto head, read_ref(now, "HEAD"));
  if (head && !info.default_branch.empty() && head->row.symref_target != info.default_branch) {
    if (!format::is_valid_ref_name(info.default_branch) || !info.default_branch.starts_with("refs/heads/")) {
      return Error(Errc::kInvalidArgument, "the default branch is not a valid branch name");
    }
    change.record.refs.push_back({"HEAD", head->encoded, head_row(info.default_branch)});
    change.preconditions.push_back({Family::kRefs, format::ref_key(before.number, "HEAD"), head->encoded});
  }
  return submit_done(core, std::move(change), before.name, receipt);
}

}  // namespace

Result<void> Store::update_repository(const RepositoryInfo& info, const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(const RepositoryRow before, must_find(*core_, info.name));
  return replace_settings(*core_, before, info, actor, receipt);
}

Result<void> change_repository(Store& store, const std::string& name, const std::function<Result<void>(RepositoryInfo&)>& change, const Actor& actor, Receipt* receipt) {
  for (int tries = 1;; ++tries) {
    VEXOR_TRY(const RepositoryRow before, must_find(store.core(), name));
    RepositoryInfo info;
    {
      VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
      info = to_info(*snapshot, before);
    }
    VEXOR_TRY(change(info));
    auto done = replace_settings(store.core(), before, info, actor, receipt);
    const bool was_overtaken = done.has_error() && done.error().code() == Errc::kConflict;
    if (!was_overtaken || tries == kSettingsTriesMax) return done;
  }
}

Result<std::vector<RefInfo>> Store::list_refs(RepositoryId repository) const {
  VEXOR_TRY(const RepositorySnapshot now, open_repository_snapshot(*core_, repository));
  VEXOR_TRY(const auto refs, read_refs(now));
  std::vector<RefInfo> out;
  for (const NamedRef& ref : refs) {
    RefInfo info{ref.name, ref.row.id, ref.row.symref_target, ref.row.peeled};
    if (!info.symref_target.empty()) {
      VEXOR_TRY(const auto target, read_ref(now, info.symref_target));
      if (!target) continue;
      info.id = target->row.id;
    }
    out.push_back(std::move(info));
  }
  return out;
}

JournalSequence Store::last_sequence() const { return core_->committer->last_sequence(); }
const MaintenancePolicy& Store::maintenance_policy() const { return core_->options.maintenance; }

Result<void> Store::checkpoint(const std::filesystem::path& directory) {
  return core_->backend->checkpoint(directory);
}

}  // namespace vexor
