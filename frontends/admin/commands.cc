#include "admin/commands.h"

#include <algorithm>
#include <limits>
#include <map>

#include "admin/history_commands.h"
#include "admin/purge_commands.h"
#include "admin/receipt_json.h"
#include "admin/time_text.h"

#include "vexorstore/settings.h"
#include "vexorstore/snapshot.h"

namespace vexor::frontend {

namespace {

constexpr std::size_t kLogEntriesMax = 1000;
constexpr std::uint64_t kMaintenanceStepBytes = 64U << 20U;

// ---- accounts and keys

Result<json::object> user_add(Call& call) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(const auto password, call.args.optional_text("password"));
  VEXOR_TRY(const auto no_password, call.args.flag("no_password"));
  VEXOR_TRY(call.args.end());
  const bool has_password = password && !password->empty();
  if (has_password == no_password.value_or(false)) {  // an empty line is a mistake more often than an account of keys only
    return Error(Errc::kInvalidArgument, has_password ? "either a password or none" : "a password has 8 to 72 bytes; --no-password makes an account that logs in with keys only");
  }
  VEXOR_TRY(call.store.create_account(name, password.value_or(std::string()), call.actor, &call.receipt));
  return message("added " + name);
}

Result<json::object> user_passwd(Call& call) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(const std::string password, call.args.text("password"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(call.store.set_password(name, password, call.actor, &call.receipt));
  return message("changed the password of " + name);
}

Result<json::object> user_set_disabled(Call& call, bool disabled) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(call.store.set_disabled(name, disabled, call.actor, &call.receipt));
  return message((disabled ? "disabled " : "enabled ") + name);
}
Result<json::object> user_disable(Call& call) { return user_set_disabled(call, true); }
Result<json::object> user_enable(Call& call) { return user_set_disabled(call, false); }

Result<json::object> user_list(Call& call) {
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const auto accounts, call.store.list_accounts());
  json::array rows;
  for (const AccountInfo& account : accounts) {
    rows.push_back(json::object{{"name", account.name}, {"state", account.disabled ? "disabled" : "active"}});
  }
  return json::object{{"rows", std::move(rows)}};
}

Result<json::object> key_add(Call& call) {
  VEXOR_TRY(const std::string user, call.args.text("user"));
  VEXOR_TRY(const std::string line, call.args.text("key"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const KeyInfo key, call.store.add_key(user, line, call.actor, &call.receipt));
  return message("added " + key.fingerprint + " for " + user);
}

Result<json::object> key_list(Call& call) {
  VEXOR_TRY(const std::string user, call.args.text("user"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const auto keys, call.store.list_keys(user));
  json::array rows;
  for (const KeyInfo& key : keys) rows.push_back(json::object{{"fingerprint", key.fingerprint}, {"type", key.type}, {"comment", key.comment}});
  return json::object{{"rows", std::move(rows)}};
}

Result<json::object> key_remove(Call& call) {
  VEXOR_TRY(const std::string fingerprint, call.args.text("fingerprint"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(call.store.remove_key(fingerprint, call.actor, &call.receipt));
  return message("removed " + fingerprint);
}

// ---- repositories

Result<json::object> repo_create(Call& call) {
  CreateOptions options;
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(const auto is_public, call.args.flag("public"));
  VEXOR_TRY(const auto object_format, call.args.optional_text("object_format"));
  VEXOR_TRY(const auto branch, call.args.optional_text("default_branch"));
  VEXOR_TRY(const auto description, call.args.optional_text("description"));
  VEXOR_TRY(call.args.end());
  options.is_public = is_public.value_or(false);
  if (object_format) {
    VEXOR_TRY(options.algorithm, parse_hash_name(*object_format));
  }
  options.default_branch = branch.value_or("main");
  options.description = description.value_or("");
  VEXOR_TRY(call.store.create_repository(name, options, call.actor, &call.receipt));
  return message("created " + name);
}

Result<json::object> repo_fork(Call& call) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(const std::string new_name, call.args.text("new_name"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(call.store.fork_repository(name, new_name, call.actor, &call.receipt));
  return message("forked " + name + " to " + new_name);
}

Result<json::object> repo_rename(Call& call) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(const std::string new_name, call.args.text("new_name"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(call.store.rename_repository(name, new_name, call.actor, &call.receipt));
  return message("renamed " + name + " to " + new_name);
}

Result<json::object> repo_delete(Call& call) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(call.store.delete_repository(name, call.actor, &call.receipt));
  return message("deleted " + name + "; 'repo restore' brings it back");
}

constexpr std::pair<const char*, CopyPolicy> kCopies[] = {
    {"cluster", CopyPolicy::kCluster}, {"two", CopyPolicy::kTwo}, {"all", CopyPolicy::kAll}, {"local", CopyPolicy::kLocal}};

const char* copies_name(CopyPolicy copies) {
  for (const auto& [name, policy] : kCopies) {
    if (policy == copies) return name;
  }
  return "";
}

Result<CopyPolicy> parse_copies(const std::string& text) {
  for (const auto& [name, policy] : kCopies) {
    if (text == name) return policy;
  }
  return Error(Errc::kInvalidArgument, "copies are two, all, local or cluster");
}

Result<json::object> repo_list(Call& call) {
  VEXOR_TRY(const auto deleted, call.args.flag("deleted"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const auto list, call.store.list_repositories(deleted.value_or(false)));
  json::array rows;
  for (const RepositoryInfo& info : list) {
    rows.push_back(json::object{{"name", info.name}, {"access", info.is_public ? "public" : "private"},
                                {"object_format", hash_name(info.algorithm)}, {"default_branch", info.default_branch},
                                {"description", info.description}});
    if (info.deleted_at_ms != 0) rows.back().as_object()["deleted"] = time_text(info.deleted_at_ms);
  }
  return json::object{{"rows", std::move(rows)}};
}

json::object describe(const RepositoryInfo& info) {
  json::array protect;
  for (const RefProtection& rule : info.protect) {
    std::string text = rule.pattern;
    text += rule.no_force ? " no-force" : "";
    text += rule.no_delete ? " no-delete" : "";
    for (std::size_t i = 0; i < rule.only_users.size(); ++i) text += (i == 0 ? " only:" : ",") + rule.only_users[i];
    protect.emplace_back(std::move(text));
  }
  return json::object{{"name", info.name}, {"description", info.description}, {"access", info.is_public ? "public" : "private"},
                      {"object_format", hash_name(info.algorithm)}, {"default_branch", info.default_branch},
                      {"protect", std::move(protect)}, {"hidden_refs", json::value_from(info.hidden_refs)},
                      {"check_policy", info.check_policy}, {"pack_bytes_max", info.pack_bytes_max},
                      {"object_bytes_max", info.object_bytes_max}, {"refs_max", info.refs_max},
                      {"bundles", json::value_from(info.bundle_lines)}, {"copies", copies_name(info.copies)}};
}

Result<json::object> repo_describe(Call& call) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const RepositoryInfo info, find(call, name));
  VEXOR_TRY(const RepositoryStats stats, repository_stats(call.store, info.id));
  json::object fields = describe(info);
  fields["refs"] = stats.refs;
  fields["commits"] = stats.commits;
  fields["trees"] = stats.trees;
  fields["blobs"] = stats.blobs;
  fields["tags"] = stats.tags;
  fields["stored_bytes"] = stats.stored_bytes;
  fields["cold_extents"] = stats.cold_extents;
  VEXOR_TRY(const ScrubState scrub, scrub_state(call.store, info.id));
  fields["verified_at_ms"] = scrub.verified_at_ms;
  fields["verified_sequence"] = scrub.verified_sequence;
  fields["damaged"] = scrub.damaged;
  return json::object{{"fields", std::move(fields)}};
}

Result<json::object> repo_set(Call& call) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(const auto description, call.args.optional_text("description"));
  VEXOR_TRY(const auto is_public, call.args.flag("public"));
  VEXOR_TRY(const auto branch, call.args.optional_text("default_branch"));
  VEXOR_TRY(const auto policy, call.args.optional_text("check_policy"));
  VEXOR_TRY(const auto pack_bytes, call.args.number("pack_bytes_max"));
  VEXOR_TRY(const auto object_bytes, call.args.number("object_bytes_max"));
  VEXOR_TRY(const auto refs_max, call.args.number("refs_max"));
  VEXOR_TRY(const auto bundles, call.args.list("bundles"));
  VEXOR_TRY(const auto copies_text, call.args.optional_text("copies"));
  VEXOR_TRY(call.args.end());
  std::optional<CopyPolicy> copies;
  if (copies_text) {
    VEXOR_TRY(copies, parse_copies(*copies_text));
  }
  if (refs_max && *refs_max > std::numeric_limits<std::uint32_t>::max()) return Error(Errc::kInvalidArgument, "refs_max is too large");
  VEXOR_TRY(find(call, name));
  const auto set = [&](RepositoryInfo& info) -> Result<void> {
    if (description) info.description = *description;
    if (is_public) info.is_public = *is_public;
    if (branch) info.default_branch = branch->starts_with("refs/") ? *branch : "refs/heads/" + *branch;
    if (policy) info.check_policy = *policy;
    if (pack_bytes) info.pack_bytes_max = *pack_bytes;
    if (object_bytes) info.object_bytes_max = *object_bytes;
    if (refs_max) info.refs_max = static_cast<std::uint32_t>(*refs_max);
    if (bundles) info.bundle_lines = *bundles;
    if (copies) info.copies = *copies;
    return success();
  };
  VEXOR_TRY(change_repository(call.store, name, set, call.actor, &call.receipt));
  return message("changed " + name);
}

Result<json::object> grant(Call& call) {
  VEXOR_TRY(const std::string repository, call.args.text("repository"));
  VEXOR_TRY(const std::string user, call.args.text("user"));
  VEXOR_TRY(const std::string permission, call.args.text("permission"));
  VEXOR_TRY(call.args.end());
  static const std::map<std::string, Permission> kNames = {
      {"none", Permission::kNone}, {"read", Permission::kRead}, {"write", Permission::kWrite}, {"owner", Permission::kOwner}};
  const auto found = kNames.find(permission);
  if (found == kNames.end()) return Error(Errc::kInvalidArgument, "a permission is none, read, write or owner");
  VEXOR_TRY(call.store.grant(repository, user, found->second, call.actor, &call.receipt));
  return message(user + " has " + permission + " on " + repository);
}

Result<json::object> protect(Call& call) {
  VEXOR_TRY(const std::string repository, call.args.text("repository"));
  VEXOR_TRY(const std::string pattern, call.args.text("pattern"));
  VEXOR_TRY(const auto remove, call.args.flag("remove"));
  VEXOR_TRY(const auto allow_force, call.args.flag("allow_force"));
  VEXOR_TRY(const auto allow_delete, call.args.flag("allow_delete"));
  VEXOR_TRY(const auto only, call.args.list("only"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(find(call, repository));
  const std::string full = pattern.starts_with("refs/") ? pattern : "refs/heads/" + pattern;
  const auto set = [&](RepositoryInfo& info) -> Result<void> {
    const auto erased = std::erase_if(info.protect, [&](const RefProtection& rule) { return rule.pattern == full; });
    if (remove.value_or(false) && erased == 0) return Error(Errc::kNotFound, full + " is not protected");
    if (!remove.value_or(false)) info.protect.push_back({full, !allow_force.value_or(false), !allow_delete.value_or(false), only.value_or(std::vector<std::string>())});
    return success();
  };
  VEXOR_TRY(change_repository(call.store, repository, set, call.actor, &call.receipt));
  return message(full + (remove.value_or(false) ? " is not protected any more" : " is protected"));
}

Result<json::object> hide(Call& call) {
  VEXOR_TRY(const std::string repository, call.args.text("repository"));
  VEXOR_TRY(const std::string pattern, call.args.text("pattern"));
  VEXOR_TRY(const auto remove, call.args.flag("remove"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(find(call, repository));
  if (!pattern.starts_with("refs/")) return Error(Errc::kInvalidArgument, "a pattern of refs to hide begins with refs/");
  const auto set = [&](RepositoryInfo& info) -> Result<void> {
    const auto erased = std::erase(info.hidden_refs, pattern);
    if (remove.value_or(false) && erased == 0) return Error(Errc::kNotFound, pattern + " is not hidden");
    if (!remove.value_or(false)) info.hidden_refs.push_back(pattern);
    return success();
  };
  VEXOR_TRY(change_repository(call.store, repository, set, call.actor, &call.receipt));
  return message(pattern + (remove.value_or(false) ? " is shown again" : " is hidden"));
}

Result<json::object> ref_log(Call& call) {
  VEXOR_TRY(const std::string repository, call.args.text("repository"));
  VEXOR_TRY(const std::string ref, call.args.text("ref"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const RepositoryInfo info, find(call, repository));
  VEXOR_TRY(const auto snapshot, open_snapshot(call.store, info.id));
  VEXOR_TRY(const auto entries, snapshot->ref_log(full_ref_name(ref), kLogEntriesMax));
  json::array rows;
  for (const RefLogEntry& entry : entries) {
    rows.push_back(json::object{{"sequence", entry.sequence}, {"time", time_text(entry.time_ms)}, {"time_ms", entry.time_ms},
                                {"user", entry.account_name.empty() ? "(operator)" : entry.account_name},
                                {"old", entry.old_id.hex()}, {"new", entry.new_id.hex()}});
  }
  return json::object{{"rows", std::move(rows)}};
}

Result<json::object> refs(Call& call) {
  VEXOR_TRY(const std::string repository, call.args.text("repository"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const RepositoryInfo info, find(call, repository));
  VEXOR_TRY(const auto list, call.store.list_refs(info.id));
  json::array rows;
  for (const RefInfo& ref : list) rows.push_back(json::object{{"name", ref.name}, {"id", ref.id.hex()}});
  return json::object{{"rows", std::move(rows)}};
}

// ---- the store

Result<json::object> fsck(Call& call) {
  VEXOR_TRY(const auto name, call.args.optional_text("repository"));
  VEXOR_TRY(call.args.end());
  std::vector<RepositoryInfo> list;
  if (name) {
    VEXOR_TRY(RepositoryInfo info, find(call, *name));
    list.push_back(std::move(info));
  } else {
    VEXOR_TRY(list, call.store.list_repositories());
  }
  json::array rows;
  json::array problems;
  std::uint64_t count = 0;
  for (const RepositoryInfo& info : list) {
    VEXOR_TRY(const VerifyReport report, verify_repository(call.store, info.id, call.progress));
    rows.push_back(json::object{{"name", info.name}, {"objects", report.objects}, {"bytes", report.bytes},
                                {"refs", report.refs}, {"problems", report.problem_count}});
    count += report.problem_count;
    for (const std::string& line : report.problems) problems.emplace_back(info.name + ": " + line);
  }
  return json::object{{"rows", std::move(rows)}, {"problems", std::move(problems)}, {"problem_count", count}};
}

Result<json::object> stats(Call& call) {
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const StoreStats stats, store_stats(call.store));
  json::object fields{{"repositories", stats.repositories}, {"deleted_repositories", stats.deleted_repositories},
                      {"accounts", stats.accounts}, {"last_sequence", stats.last_sequence}};
  for (const auto& [family, bytes] : stats.family_bytes) fields[family + "_bytes"] = bytes;
  return json::object{{"fields", std::move(fields)}};
}

Result<json::object> repair(Call& call) {
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(const RebuildReport report, rebuild_derived(call.store, call.progress));
  return message("rebuilt " + std::to_string(report.objects) + " index rows, " + std::to_string(report.commits) + " graph rows and " +
                 std::to_string(report.bitmaps) + " bitmaps in " + std::to_string(report.pools) + " pools");
}

json::object fields_of(const MaintenanceFigures& figures) {
  return {{"pools", figures.pools}, {"bytes", figures.bytes}, {"extents_merged", figures.extents_merged},
          {"objects_forgotten", figures.objects_forgotten}, {"objects_swept", figures.objects_swept}, {"objects_redeltaed", figures.objects_redeltaed}, {"bytes_saved", figures.bytes_saved},
          {"objects_scrubbed", figures.objects_scrubbed}, {"records_scrubbed", figures.records_scrubbed}, {"damage_found", figures.damage_found},
          {"objects_frozen", figures.objects_frozen}, {"objects_thawed", figures.objects_thawed}};
}

Result<json::object> maintenance_status_of(Call& call) {
  VEXOR_TRY(call.args.end());
  const MaintenanceStatus status = maintenance_status(call.store);
  json::object fields{{"running", status.is_running}};
  if (status.is_running) {
    fields["task"] = maintenance_task_name(status.task);
    fields["pool"] = status.pool;
    fields["done"] = status.done;
    fields["total"] = status.total;
  }
  for (const auto& field : fields_of(status.figures)) fields[field.key()] = field.value();
  json::array damage;
  for (const std::string& line : damage_log(call.store).latest()) damage.emplace_back(line);
  fields["damage"] = std::move(damage);
  return json::object{{"fields", std::move(fields)}};
}

// Without a brake: somebody waits for it.
Result<json::object> maintenance_run(Call& call) {
  VEXOR_TRY(const auto name, call.args.optional_text("repository"));
  VEXOR_TRY(const auto what, call.args.list("what"));
  VEXOR_TRY(const auto retention, call.args.number("retention_seconds"));
  VEXOR_TRY(call.args.end());
  MaintenanceOptions options;
  if (name) {
    VEXOR_TRY(const RepositoryInfo info, find(call, *name));
    options.repository = info.id;
  }
  if (what) options.tasks.clear();
  for (const std::string& text : what.value_or(std::vector<std::string>())) {
    const auto task = parse_maintenance_task(text);
    if (!task) return Error(Errc::kInvalidArgument, "unknown task: " + text);
    options.tasks.push_back(*task);
  }
  if (what || retention) {
    // Who asks for re-delta, scrub, freeze or thaw by name gets it, however little the pool has grown, aged or been used.
    options.policy = call.store.maintenance_policy();
    if (what) options.policy->redelta_growth_percent = 0;
    if (what) options.policy->scrub_interval_seconds = 0;
    if (what) options.policy->freeze_idle_seconds = options.policy->thaw_fetches = 0;
    if (retention) options.policy->sweep_retention_seconds = *retention;
  }
  VEXOR_TRY(const auto pass, begin_maintenance(call.store, options));
  for (;;) {
    VEXOR_TRY(const bool done, pass->maintain_some(kMaintenanceStepBytes));
    if (done) return json::object{{"fields", fields_of(pass->figures())}};
    const MaintenanceStatus status = maintenance_status(call.store);
    if (call.progress && !call.progress(status.done, std::max(status.total, status.done + 1))) return Error(Errc::kCancelled, "stopped");
  }
}

Result<json::object> checkpoint(Call& call) {
  VEXOR_TRY(const std::string directory, call.args.text("directory"));
  VEXOR_TRY(call.args.end());
  VEXOR_TRY(call.store.checkpoint(directory));
  return message("wrote a copy of the store to " + directory);
}

using Handler = Result<json::object> (*)(Call&);
const std::map<std::string, Handler, std::less<>>& handlers() {
  static const std::map<std::string, Handler, std::less<>> kHandlers = {
      {"user.add", user_add}, {"user.passwd", user_passwd}, {"user.disable", user_disable}, {"user.enable", user_enable},
      {"user.list", user_list}, {"key.add", key_add}, {"key.list", key_list}, {"key.remove", key_remove},
      {"repo.create", repo_create}, {"repo.fork", repo_fork}, {"repo.rename", repo_rename}, {"repo.delete", repo_delete},
      {"repo.restore", repo_restore}, {"repo.list", repo_list}, {"repo.describe", repo_describe},
      {"repo.set", repo_set}, {"grant", grant}, {"protect", protect}, {"ref.undo", ref_undo}, {"hide", hide}, {"reflog", ref_log}, {"refs", refs}, {"journal", journal}, {"fsck", fsck},
      {"stats", stats}, {"maintenance.status", maintenance_status_of}, {"maintenance.run", maintenance_run}, {"repair", repair}, {"checkpoint", checkpoint}};
  return kHandlers;
}

std::string cell(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_array()) {
    std::string out;
    for (const json::value& item : value.get_array()) out += (out.empty() ? "" : "; ") + cell(item);
    return out;
  }
  return json::serialize(value);
}

}  // namespace

std::string full_ref_name(const std::string& name) {
  return name.starts_with("refs/") || name == "HEAD" ? name : "refs/heads/" + name;
}

bool is_forwarded_to_primary(std::string_view op) {
  static constexpr std::string_view kChanges[] = {"user.add",    "user.passwd", "user.disable", "user.enable", "key.add", "key.remove", "repo.create", "repo.fork", "repo.rename",
                                                  "repo.delete", "repo.restore", "repo.set",     "grant",       "protect", "ref.undo",   "hide"};
  return std::find(std::begin(kChanges), std::end(kChanges), op) != std::end(kChanges);
}

Result<json::object> run_command(Store& store, const json::object& request, const Actor& actor, const ProgressSink& progress) {
  const json::value* op = request.if_contains("op");
  if (op == nullptr || !op->is_string()) return Error(Errc::kInvalidArgument, "'op' is missing");
  // Without a server there is no configuration that names persons: what was asked and done can be looked at.
  if (op->get_string().starts_with("purge.")) return run_purge_command(store, {}, request);
  const auto found = handlers().find(std::string_view(op->get_string()));
  if (found == handlers().end()) return Error(Errc::kInvalidArgument, "unknown operation");
  Arguments args(request);
  Call call{store, args, actor, progress};
  VEXOR_TRY(json::object answer, found->second(call));
  add_receipt(answer, call.receipt);
  return answer;
}

std::string render(const json::object& answer) {
  std::string out;
  if (const json::value* text = answer.if_contains("message")) out += cell(*text) + "\n";
  if (const std::string receipt = receipt_text_of(answer); !receipt.empty()) out += receipt + "\n";
  if (const json::value* fields = answer.if_contains("fields")) {
    std::size_t width = 0;
    for (const auto& field : fields->as_object()) width = std::max(width, field.key().size());
    for (const auto& field : fields->as_object()) {
      out += std::string(field.key()) + std::string(width - field.key().size() + 2, ' ') + cell(field.value()) + "\n";
    }
  }
  if (const json::value* rows = answer.if_contains("rows")) {
    std::vector<std::vector<std::string>> table;
    for (const json::value& row : rows->as_array()) {
      if (table.empty()) {
        table.emplace_back();
        for (const auto& field : row.as_object()) table.back().emplace_back(field.key());
        for (std::string& name : table.back()) std::transform(name.begin(), name.end(), name.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
      }
      table.emplace_back();
      for (const auto& field : row.as_object()) table.back().push_back(cell(field.value()));
    }
    std::vector<std::size_t> widths;
    for (const auto& row : table) {
      widths.resize(std::max(widths.size(), row.size()));
      for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    }
    for (const auto& row : table) {
      std::string line;
      for (std::size_t i = 0; i < row.size(); ++i) line += row[i] + std::string(widths[i] - row[i].size() + 2, ' ');
      line.erase(line.find_last_not_of(' ') + 1);
      out += line + "\n";
    }
  }
  if (const json::value* problems = answer.if_contains("problems")) {
    for (const json::value& line : problems->as_array()) out += "problem: " + cell(line) + "\n";
  }
  return out;
}

}  // namespace vexor::frontend
