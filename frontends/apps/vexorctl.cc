// vexorctl: administration, through a running server's socket or on a data directory at rest.
//
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such thing, 4 conflict, 5 problems were found,
// 6 done, on fewer servers than "copies = all" asks for.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "admin/cluster_commands.h"
#include "admin/ctl_client.h"
#include "admin/drill_command.h"
#include "admin/frame.h"
#include "admin/receipt_json.h"
#include "common/version.h"

namespace {

using namespace vexor;
using namespace vexor::frontend;

constexpr std::size_t kBundleHeaderBytesMax = 256U << 20U;
constexpr std::size_t kBundleLineBytesMax = 2048;

int fail(const Error& error) {
  std::fprintf(stderr, "vexorctl: %s\n", error.message().c_str());
  switch (error.code()) {
    case Errc::kInvalidArgument: return 2;
    case Errc::kNotFound: return 3;
    case Errc::kConflict: return 4;
    default: return 1;
  }
}

// One line on a terminal: how far, how fast, how long still.
class ProgressLine {
 public:
  ProgressLine(std::string what, bool bytes) : what_(std::move(what)), bytes_(bytes), shown_(isatty(STDERR_FILENO) == 1) {}
  ~ProgressLine() {
    if (shown_ && printed_) std::fprintf(stderr, "\n");
  }
  bool operator()(std::uint64_t done, std::uint64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (!shown_ || (done != total && now - last_ < std::chrono::milliseconds(100))) return true;
    last_ = now;
    printed_ = true;
    const double seconds = std::max(0.001, std::chrono::duration<double>(now - start_).count());
    const double rate = static_cast<double>(done) / seconds;
    std::string line = what_ + ": " + amount(static_cast<double>(done));
    if (total > 0) line += " of " + amount(static_cast<double>(total)) + " (" + std::to_string(done * 100 / total) + " %)";
    line += ", " + amount(rate) + "/s";
    if (total > done && rate > 0) line += ", " + std::to_string(static_cast<long>(static_cast<double>(total - done) / rate)) + " s left";
    std::fprintf(stderr, "\r%-78s", line.c_str());
    return true;
  }

 private:
  std::string amount(double value) const {
    char text[32];
    if (bytes_) std::snprintf(text, sizeof text, "%.1f MiB", value / 1048576);
    else std::snprintf(text, sizeof text, "%.0f", value);
    return text;
  }
  std::string what_;
  bool bytes_;
  bool shown_;
  bool printed_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_;
};

struct Arguments {
  std::string data, socket, name, other, user, permission, branch, format, description, policy, directory, at, copies;
  std::vector<std::string> only, bundles, what;
  std::uint64_t retention_seconds = 0, pack_bytes = 0, object_bytes = 0, refs_max = 0, after = 0, count = 0;
  bool json = false, is_public = false, is_private = false, deleted = false, from_stdin = false, remove = false;
  DrillArguments drill;
  struct {
    std::string reason, person;
    std::uint64_t approve = 0, withdraw = 0, refuse = 0, certificate = 0;
    bool request = false, list = false;
  } purge;
  bool no_password = false, allow_force = false, allow_delete = false, all = false, rebuild = false, force = false;
};

// From standard input, or from the terminal without echo.
std::string read_password(bool from_stdin) {
  std::string line;
  if (from_stdin || isatty(STDIN_FILENO) == 0) {
    std::getline(std::cin, line);
    return line;
  }
  termios before{};
  tcgetattr(STDIN_FILENO, &before);
  termios quiet = before;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
  std::fprintf(stderr, "Password: ");
  tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
  std::getline(std::cin, line);
  tcsetattr(STDIN_FILENO, TCSANOW, &before);
  std::fprintf(stderr, "\n");
  return line;
}

std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

// A bundle as a stream: a file, or "git bundle create" over a bare repository. The child is waited for.
class BundleSource {
 public:
  ~BundleSource() {
    fd_.reset();
    if (child_ > 0) ::waitpid(child_, nullptr, 0);
  }
  Result<void> open(const std::string& path) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored)) {
      fd_ = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      return fd_.get() >= 0 ? Result<void>(success()) : Error(Errc::kNotFound, path + ": cannot be read");
    }
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return Error(Errc::kIo, "pipe failed");
    fd_ = UniqueFd(ends[0]);
    const UniqueFd write_end(ends[1]);
    child_ = ::fork();
    if (child_ == 0) {
      ::dup2(write_end.get(), STDOUT_FILENO);
      ::execlp("git", "git", "-C", path.c_str(), "bundle", "create", "--quiet", "-", "--all", static_cast<char*>(nullptr));
      ::_exit(127);
    }
    return child_ > 0 ? Result<void>(success()) : Error(Errc::kIo, "fork failed");
  }
  int fd() const { return fd_.get(); }
  // After everything was read. Errors: kIo when git failed.
  Result<void> finish() {
    if (child_ <= 0) return success();
    int status = 0;
    ::waitpid(child_, &status, 0);
    child_ = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return success();
    return Error(Errc::kIo, WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "git is needed to import a directory and is not installed" : "git bundle failed");
  }

 private:
  UniqueFd fd_;
  pid_t child_ = 0;
};

// Reads a bundle's header and makes the commands of a push from it. Spec: git's gitformat-bundle.
class BundleHeader {
 public:
  Result<std::string> read(int fd, const std::map<std::string, std::string>& now) {
    VEXOR_TRY(const std::string signature, line(fd));
    if (signature != "# v2 git bundle" && signature != "# v3 git bundle") return Error(Errc::kInvalidArgument, "not a git bundle");
    std::string out;
    for (;;) {
      VEXOR_TRY(const std::string text, line(fd));
      if (text.empty()) break;
      if (text.starts_with("@object-format=") || text.starts_with("-")) continue;  // prerequisites are checked with the push
      if (text.starts_with("@")) return Error(Errc::kInvalidArgument, "the bundle needs " + text.substr(1) + ", which is not known here");
      const std::size_t space = text.find(' ');
      if (space != 40 && space != 64) return Error(Errc::kInvalidArgument, "the bundle's header is damaged");
      const std::string name = text.substr(space + 1);
      if (!name.starts_with("refs/")) continue;  // HEAD
      const auto old = now.find(name);
      const std::string old_id = old != now.end() ? old->second : std::string(space, '0');
      if (old_id == text.substr(0, space)) continue;
      std::string command = old_id + " " + text.substr(0, space) + " " + name;
      if (out.empty()) command += std::string(1, '\0') + " report-status object-format=" + (space == 40 ? "sha1" : "sha256");
      char length[8];
      std::snprintf(length, sizeof length, "%04zx", command.size() + 4);
      out += length + command;
      ++refs_;
      if (out.size() > kBundleHeaderBytesMax) return Error(Errc::kLimitExceeded, "the bundle has too many refs");
    }
    return out + "0000";
  }
  std::size_t refs() const { return refs_; }

 private:
  // Byte by byte: what follows the header is the pack's.
  static Result<std::string> line(int fd) {
    std::string out;
    char c = 0;
    for (;;) {
      const ssize_t count = ::read(fd, &c, 1);
      if (count != 1) return Error(Errc::kInvalidArgument, "the bundle ends in its header");
      if (c == '\n') return out;
      out.push_back(c);
      if (out.size() > kBundleLineBytesMax) return Error(Errc::kInvalidArgument, "not a git bundle");
    }
  }
  std::size_t refs_ = 0;
};

Result<json::object> import(CtlClient& client, const Arguments& args) {
  VEXOR_TRY(const json::object listed, client.run({{"op", "refs"}, {"repository", args.name}}, nullptr));
  std::map<std::string, std::string> now;
  for (const json::value& row : listed.at("rows").as_array()) {
    now[std::string(row.as_object().at("name").as_string())] = std::string(row.as_object().at("id").as_string());
  }
  BundleSource source;
  VEXOR_TRY(source.open(args.other));
  BundleHeader header;
  auto commands = header.read(source.fd(), now);
  if (commands.has_error()) {
    VEXOR_TRY(source.finish());
    return std::move(commands).error();
  }
  if (header.refs() == 0) return json::object{{"message", "nothing to import: all refs are there already"}};
  ProgressLine line("importing", true);
  VEXOR_TRY(const ImportOutcome done, client.import(args.name, commands.value(), source.fd(), std::ref(line)));
  VEXOR_TRY(source.finish());
  json::object answer{{"message", "imported " + std::to_string(header.refs()) + " refs into " + args.name}};
  if (!done.receipt.empty()) answer["receipt"] = done.receipt;
  if (done.refused.empty()) return answer;
  const std::string others = receipt_text_of(answer);
  return Error(Errc::kRefused, "some refs were refused:\n" + done.refused + (others.empty() ? "" : "the others are " + others));
}

Result<json::object> export_to(CtlClient& client, const Arguments& args) {
  const std::string part = args.other + ".part";
  const UniqueFd output(::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (output.get() < 0) return Error(Errc::kIo, part + ": cannot be written");
  auto done = client.export_bundle(args.name, output.get());
  if (done.has_value() && ::fsync(output.get()) == 0 && ::rename(part.c_str(), args.other.c_str()) == 0) return json::object{{"message", "wrote " + args.other}};
  ::unlink(part.c_str());
  if (done.has_error()) return std::move(done).error();
  return Error(Errc::kIo, args.other + ": cannot be written");
}

// The subcommand that was given, as "repo create" or "fsck".
std::string chosen(const CLI::App& app) {
  const auto first = app.get_subcommands();
  if (first.empty()) return {};
  const auto second = first.front()->get_subcommands();
  return first.front()->get_name() + (second.empty() ? "" : "." + second.front()->get_name());
}

// What one may begin with where no server has been yet.
bool makes_store(const std::string& op) { return op == "user.add" || op == "repo.create"; }

json::object purge_request_of(const Arguments& a) {
  const auto& p = a.purge;
  if (p.list) return {{"op", "purge.list"}};
  if (p.certificate != 0) return {{"op", "purge.certificate"}, {"request", p.certificate}};
  json::object out{{"op", p.request ? "purge.request" : p.approve != 0 ? "purge.approve" : "purge.close"}};
  if (p.request) {
    out["name"] = a.name;
    out["reason"] = p.reason;
  } else {
    out["request"] = p.approve != 0 ? p.approve : p.withdraw != 0 ? p.withdraw : p.refuse;
  }
  out["user"] = p.person;
  out["password"] = read_password(a.from_stdin);
  return out;
}

json::object request_of(const std::string& op, const Arguments& a, const CLI::App& app) {
  if (op == "repo.purge") return purge_request_of(a);
  json::object out{{"op", op}};
  const auto given = [&](const char* option) {
    const CLI::App* at = &app;
    while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
    return at->count(option) > 0;
  };
  if (op == "user.add" && a.no_password) out["no_password"] = true;
  else if (op == "user.add" || op == "user.passwd") out["password"] = read_password(a.from_stdin);
  if (op.starts_with("user.") && op != "user.list") out["name"] = a.name;
  if (op == "key.add") out["key"] = first_line(a.other);
  if (op == "key.add" || op == "key.list") out["user"] = a.name;
  if (op == "key.remove") out["fingerprint"] = a.name;
  if (op.starts_with("repo.") && op != "repo.list") out["name"] = a.name;
  if (op == "repo.list") out["deleted"] = a.deleted;
  if (op == "repo.fork" || op == "repo.rename") out["new_name"] = a.other;
  if (op == "repo.restore") {
    if (given("--at")) out["at"] = a.at;
    if (given("--as")) out["new_name"] = a.other;
  }
  if (op == "ref.undo") out["repository"] = a.name;
  if (op == "repo.create") {
    out["public"] = a.is_public;
    if (given("--default-branch")) out["default_branch"] = a.branch;
    if (given("--object-format")) out["object_format"] = a.format;
    if (given("--description")) out["description"] = a.description;
  }
  if (op == "repo.set") {
    if (a.is_public || a.is_private) out["public"] = a.is_public;
    if (given("--default-branch")) out["default_branch"] = a.branch;
    if (given("--description")) out["description"] = a.description;
    if (given("--check-policy")) out["check_policy"] = a.policy;
    if (given("--pack-bytes-max")) out["pack_bytes_max"] = a.pack_bytes;
    if (given("--object-bytes-max")) out["object_bytes_max"] = a.object_bytes;
    if (given("--refs-max")) out["refs_max"] = a.refs_max;
    if (given("--bundle")) out["bundles"] = json::value_from(a.bundles);
    if (given("--copies")) out["copies"] = a.copies;
  }
  if (op == "grant" || op == "protect" || op == "hide" || op == "reflog" || op == "refs") out["repository"] = a.name;
  if (op == "grant") {
    out["user"] = a.user;
    out["permission"] = a.permission;
  }
  if (op == "protect" || op == "hide") {
    out["pattern"] = a.other;
    out["remove"] = a.remove;
  }
  if (op == "protect") {
    out["allow_force"] = a.allow_force;
    out["allow_delete"] = a.allow_delete;
    out["only"] = json::value_from(a.only);
  }
  if (op == "reflog" || op == "ref.undo") out["ref"] = a.other;
  if (op == "fsck" && !a.all) out["repository"] = a.name;
  if (op == "journal") {
    if (given("--after")) out["after"] = a.after;
    if (given("--count")) out["count"] = a.count;
  }
  if (op == "checkpoint") out["directory"] = std::filesystem::absolute(a.directory).string();  // the server may write it, from another directory
  if (op == "maintenance.run") {
    if (!a.name.empty()) out["repository"] = a.name;
    if (!a.what.empty()) out["what"] = json::value_from(a.what);
    if (given("--retention-seconds")) out["retention_seconds"] = a.retention_seconds;
  }
  return out;
}

int run_drill(CtlClient& client, const Arguments& args) {
  const auto report = archive_drill(client, args.drill, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  });
  if (report.has_error()) return fail(report.error());
  const DrillReport& r = report.value();
  std::printf("%llu whole, %llu past the retention, %llu failed; seed %llu\n", static_cast<unsigned long long>(r.whole), static_cast<unsigned long long>(r.past_retention),
              static_cast<unsigned long long>(r.damaged), static_cast<unsigned long long>(args.drill.options.seed));
  if (r.damaged > 0) return 5;
  if (r.whole > 0) return 0;
  return fail(Error(Errc::kRefused, r.past_retention > 0 ? "nothing was restored: all that was chosen is past the retention; try another --seed, or a smaller --past-percent"
                                                         : "nothing was restored: there is no repository in the store, or --repositories is 0"));
}

int run(CtlClient& client, const CLI::App& app, const Arguments& args) {
  const std::string op = chosen(app);
  const auto print = [&](const json::object& answer) {
    std::printf("%s%s", args.json ? json::serialize(answer).c_str() : render(answer).c_str(), args.json ? "\n" : "");
  };
  if (op == "import" || op == "export") {
    const auto done = op == "import" ? import(client, args) : export_to(client, args);
    if (done.has_error()) return fail(done.error());
    print(done.value());
    return has_short_receipt(done.value()) ? 6 : 0;
  }
  if (op == "archive.drill") return run_drill(client, args);
  if (op == "fsck" && args.all == !args.name.empty()) return fail(Error(Errc::kInvalidArgument, "fsck takes a repository or --all"));
  Result<json::object> answer = json::object();
  {
    ProgressLine line(op == "fsck" ? "checked objects" : "objects", false);
    answer = client.run(request_of(op, args, app), std::ref(line));
  }
  if (answer.has_error()) return fail(answer.error());
  print(answer.value());
  if (has_short_receipt(answer.value())) return 6;
  const json::value* problems = answer.value().if_contains("problem_count");
  return problems != nullptr && problems->to_number<std::uint64_t>() > 0 ? 5 : 0;
}

void add_users_and_keys(CLI::App& app, Arguments& args) {
  CLI::App* user = app.add_subcommand("user", "accounts")->require_subcommand(1);
  const auto add = [&](const char* verb, const char* what) {
    CLI::App* sub = user->add_subcommand(verb, what);
    sub->add_option("NAME", args.name)->required();
    return sub;
  };
  CLI::App* user_add = add("add", "make an account");
  for (CLI::App* sub : {user_add, add("passwd", "set a password")}) {
    sub->add_flag("--password-stdin", args.from_stdin, "read the password from standard input instead of asking");
  }
  user_add->add_flag("--no-password", args.no_password, "it logs in with SSH keys only, until user passwd gives it one")->excludes("--password-stdin");
  add("disable", "refuse all logins of an account");
  add("enable", "allow them again");
  user->add_subcommand("list", "all accounts");
  CLI::App* key = app.add_subcommand("key", "SSH public keys")->require_subcommand(1);
  CLI::App* key_add = key->add_subcommand("add", "give an account a key");
  key_add->add_option("USER", args.name)->required();
  key_add->add_option("FILE", args.other, "a public key file")->required()->check(CLI::ExistingFile);
  key->add_subcommand("list", "the keys of an account")->add_option("USER", args.name)->required();
  key->add_subcommand("remove", "take a key away")->add_option("FINGERPRINT", args.name)->required();
}

void add_purge(CLI::App& repo, Arguments& args) {
  CLI::App* purge = repo.add_subcommand("purge", "have a deleted repository leave every file of every server; takes two persons");
  auto* what = purge->add_option_group("what")->require_option(1);
  CLI::Option* name = purge->add_option("NAME", args.name, "OWNER/NAME, with --request: the last deleted repository of that name");
  CLI::Option* reason = purge->add_option("--reason", args.purge.reason, "why, for the journal and the certificate");
  CLI::Option* person = purge->add_option("--as", args.purge.person, "the person's account; its password is asked for");
  purge->add_flag("--password-stdin", args.from_stdin, "read the password from standard input instead of asking");
  what->add_flag("--request", args.purge.request, "ask for it")->needs(name)->needs(reason)->needs(person);
  what->add_option("--approve", args.purge.approve, "number of a request of another person: erases the repository")->needs(person)->check(CLI::PositiveNumber);
  what->add_option("--withdraw", args.purge.withdraw, "number of a request of one's own")->needs(person)->check(CLI::PositiveNumber);
  what->add_option("--refuse", args.purge.refuse, "number of a request of another person")->needs(person)->check(CLI::PositiveNumber);
  what->add_option("--certificate", args.purge.certificate, "number of a request: who, when, and what every server did")->check(CLI::PositiveNumber);
  what->add_flag("--list", args.purge.list, "all requests");
}

void add_repositories(CLI::App& app, Arguments& args) {
  CLI::App* repo = app.add_subcommand("repo", "repositories")->require_subcommand(1);
  const auto add = [&](const char* verb, const char* what) {
    CLI::App* sub = repo->add_subcommand(verb, what);
    sub->add_option("NAME", args.name, "OWNER/NAME")->required();
    return sub;
  };
  const auto settings = [&](CLI::App* sub) {
    CLI::Option* is_public = sub->add_flag("--public", args.is_public, "everybody may read it");
    sub->add_flag("--private", args.is_private, "only those with a grant may read it")->excludes(is_public);
    sub->add_option("--default-branch", args.branch);
    sub->add_option("--description", args.description);
  };
  CLI::App* create = add("create", "make an empty repository");
  settings(create);
  create->add_option("--object-format", args.format)->check(CLI::IsMember({"sha1", "sha256"}));
  CLI::App* set = add("set", "change settings");
  settings(set);
  set->add_option("--check-policy", args.policy, "MSG-ID=error|warn|ignore,...: severities of object checks");
  set->add_option("--pack-bytes-max", args.pack_bytes, "largest push in bytes; 0: the server's limit");
  set->add_option("--object-bytes-max", args.object_bytes, "largest object in bytes; 0: the server's limit");
  set->add_option("--refs-max", args.refs_max, "most refs; 0: the server's limit");
  set->add_option("--bundle", args.bundles, "ID.uri=URL lines told by bundle-uri; one empty: none");
  set->add_option("--copies", args.copies, "servers of a replica set that must have a push before it is acknowledged; cluster: as the set's record says")
      ->check(CLI::IsMember({"two", "all", "local", "cluster"}));
  add("delete", "take it away; it can be restored");
  CLI::App* restore = add("restore", "bring back the last deleted repository of that name; with --at, all refs as they were");
  restore->add_option("--at", args.at, "a time (2026-11-27T00:25:00Z, or seconds since 1970), or a journal sequence");
  restore->add_option("--as", args.other, "OWNER/NEW: restore into a new repository instead")->needs("--at");
  add_purge(*repo, args);
  add("describe", "settings and figures");
  for (CLI::App* sub : {add("fork", "a copy that shares storage"), add("rename", "give it another name")}) {
    sub->add_option("NEW_NAME", args.other)->required();
  }
  repo->add_subcommand("list", "all repositories")->add_flag("--deleted", args.deleted, "those that can be restored");
}

void add_rest(CLI::App& app, Arguments& args) {
  const auto add = [&](const char* verb, const char* what) {
    CLI::App* sub = app.add_subcommand(verb, what);
    sub->add_option("REPOSITORY", args.name)->required();
    return sub;
  };
  CLI::App* grant = add("grant", "give or take access");
  grant->add_option("USER", args.user)->required();
  grant->add_option("PERMISSION", args.permission)->required()->check(CLI::IsMember({"owner", "read", "write", "none"}));
  CLI::App* protect = add("protect", "refs that nobody may force-push or delete");
  protect->add_option("PATTERN", args.other, "a branch, or refs/... with *")->required();
  protect->add_flag("--allow-force", args.allow_force);
  protect->add_flag("--allow-delete", args.allow_delete);
  protect->add_option("--only", args.only, "users who may update them at all");
  protect->add_flag("--remove", args.remove);
  CLI::App* hide = add("hide", "refs that are neither shown nor served");
  hide->add_option("PATTERN", args.other, "refs/... with *")->required();
  hide->add_flag("--remove", args.remove);
  add("refs", "all refs");
  add("reflog", "where a ref was")->add_option("REF", args.other)->required();
  CLI::App* ref = app.add_subcommand("ref", "single refs")->require_subcommand(1);
  CLI::App* undo = ref->add_subcommand("undo", "put a ref back to what it was before its last update");
  undo->add_option("REPOSITORY", args.name)->required();
  undo->add_option("REF", args.other)->required();
  add("import", "push a bare repository or a bundle into a repository")->add_option("PATH", args.other)->required()->check(CLI::ExistingPath);
  add("export", "write a repository as a bundle")->add_option("FILE", args.other)->required();
  CLI::App* fsck = app.add_subcommand("fsck", "read, re-hash and check every object");
  fsck->add_option("REPOSITORY", args.name);
  fsck->add_flag("--all", args.all);
  app.add_subcommand("stats", "figures of the store");
  CLI::App* journal = app.add_subcommand("journal", "what was changed, by whom; the last records, or those behind one");
  journal->add_option("--after", args.after, "journal sequence");
  journal->add_option("--count", args.count, "how many at most; 1000");
  app.add_subcommand("checkpoint", "write a complete copy of the store")->add_option("DIRECTORY", args.directory, "must not exist yet")->required();
  CLI::App* maintenance = app.add_subcommand("maintenance", "keep storage in shape")->require_subcommand(1);
  maintenance->add_subcommand("status", "what runs now, and what was done since the start");
  CLI::App* run = maintenance->add_subcommand("run", "one pass over all repositories, or over one and its forks");
  run->add_option("REPOSITORY", args.name);
  run->add_option("--what", args.what, "tasks, in this order; without it sweep, redelta, merge")->delimiter(',')->check(CLI::IsMember({"sweep", "redelta", "merge", "scrub", "freeze", "thaw"}));
  run->add_option("--retention-seconds", args.retention_seconds, "how long unreached objects stay; the server's setting without it");
  CLI::App* archive = app.add_subcommand("archive", "whether what is kept can be had back")->require_subcommand(1);
  CLI::App* drill = archive->add_subcommand("drill", "restore a random sample of repositories from a checkpoint, some as of random moments, and compare");
  drill->add_option("--scratch", args.drill.scratch, "directory for the checkpoint and the copies; must not exist, and is removed")->required();
  drill->add_option("--repositories", args.drill.options.repositories, "how many, at most");
  drill->add_option("--seed", args.drill.options.seed, "another seed, another sample");
  drill->add_option("--past-percent", args.drill.options.past_percent, "how many of them as of a random moment")->check(CLI::Range(0, 100));
  CLI::App* repair = app.add_subcommand("repair", "make derived rows anew; needs --data, the server stopped");
  repair->add_flag("--rebuild-derived", args.rebuild, "index, graph, shapes and bitmaps from extents and refs")->required();
}

constexpr std::uint64_t kEpochMax = std::uint64_t{1} << 48U;  // far from where it would wrap

using ClusterCommand = Result<std::string> (*)(const ClusterArguments&);

void add_cluster(CLI::App& app, ClusterArguments& args, ClusterCommand& chosen_command) {
  CLI::App* cluster = app.add_subcommand("cluster", "the replica set, by its record in etcd")->require_subcommand(1);
  cluster->add_option("--etcd", args.etcd, "HOST:PORT,... of its servers; required but for certs");
  cluster->add_option("--etcd-key", args.etcd_key, "key of the record");
  cluster->add_option("--etcd-ca-file", args.etcd_ca_file, "PEM file of the authority that signed etcd's certificate; without it only loopback addresses");
  cluster->add_option("--etcd-certificate-file", args.etcd_certificate_file, "PEM file of the certificate that etcd is shown");
  cluster->add_option("--etcd-key-file", args.etcd_key_file, "PEM file of its key");
  const auto add = [&](const char* verb, const char* what, ClusterCommand command) {
    CLI::App* sub = cluster->add_subcommand(verb, what);
    sub->callback([&chosen_command, command] { chosen_command = command; });
    return sub;
  };
  CLI::App* init = add("init", "make the record; the first member is the primary", cluster_init);
  init->add_option("MEMBER", args.members, "ID=HOST:PORT, or ID=HOST:PORT,off-site")->required();
  init->add_option("--copies", args.copies, "servers that must have a push before it is acknowledged; two")->check(CLI::IsMember({"two", "all", "local"}));
  init->add_option("--epoch", args.epoch, "when the record was lost: more than the epoch of any member")->check(CLI::Range(std::uint64_t{0}, kEpochMax));
  CLI::App* certs = add("certs", "make the certificates by which members know each other", cluster_certs);
  certs->add_option("DIRECTORY", args.certificates.directory, "for ca.pem and ca.key, made on first use, and nodeID.pem and nodeID.key")->required();
  certs->add_option("ID", args.certificates.members, "numbers of members")->check(CLI::PositiveNumber);
  certs->add_option("--server", args.certificates.servers, "NAME=HOST[,HOST...]: of another server, as etcd's: NAME.pem and NAME.key");
  certs->add_option("--days", args.certificates.days, "how long they hold; 825")->check(CLI::Range(1U, 36500U));
  certs->add_flag("--renew", args.certificates.renew, "those that are there as well; not the authority");
  add("status", "print the record", cluster_status);
  add("join", "add a member", cluster_join)->add_option("MEMBER", args.members, "ID=HOST:PORT, or ID=HOST:PORT,off-site")->required();
  add("remove", "take a member out", cluster_remove)->add_option("ID", args.node)->required();
  add("handover", "make a standby the primary, without a failed request", cluster_handover)->add_option("ID", args.node)->required();
  add("copies", "change how many servers must have a push", cluster_copies)->add_option("COPIES", args.copies, "two, all or local")->required()->check(CLI::IsMember({"two", "all", "local"}));
  CLI::App* promote = add("promote", "make any member the primary, when those in sync are gone for good", cluster_promote);
  CLI::Option* id = promote->add_option("ID", args.node);
  promote->add_flag("--off-site", args.off_site, "the off-site member, in place of an ID")->excludes(id);
  promote->add_flag("--accept-loss", args.accept_loss, "what this member has not is lost; those in sync are stopped and stay so");
  CLI::Option* health = promote->add_option("--health", args.monitor, "HOST:PORT of its monitor, which tells what may be lost");
  promote->add_flag("--accept-loss-report", args.accept_loss, "as --accept-loss, of what the report says")->needs(health);
  promote->add_flag("--no-report", args.no_report, "its monitor cannot be asked")->excludes(health);
  promote->add_option("--copies", args.copies, "servers that must have a push from now on; as before")->check(CLI::IsMember({"two", "all", "local"}));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"vexorctl: administer a vexorstore"};
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", std::string("vexorctl ") + version());
  Arguments args;
  CLI::Option* data = app.add_option("--data", args.data, "data directory; through its server's socket when one runs");
  app.add_option("--socket", args.socket, "admin socket of a running server")->excludes(data);
  app.add_flag("--json", args.json, "answers as JSON");
  add_users_and_keys(app, args);
  add_repositories(app, args);
  add_rest(app, args);
  ClusterArguments cluster;
  ClusterCommand cluster_command = nullptr;
  add_cluster(app, cluster, cluster_command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (cluster_command != nullptr) {
    cluster.json = args.json;
    const auto done = cluster_command(cluster);
    if (done.has_error()) return fail(done.error());
    const bool is_json = args.json && cluster_command != cluster_status;  // that is JSON by itself
    std::printf("%s\n", is_json ? json::serialize(json::object{{"message", done.value()}}).c_str() : done.value().c_str());
    return 0;
  }
  if (args.socket.empty() && args.data.empty()) return fail(Error(Errc::kInvalidArgument, "give --socket PATH or --data DIR"));
  Result<std::unique_ptr<CtlClient>> client = Error(Errc::kUnavailable, "");
  if (args.socket.empty() && chosen(app) != "repair") client = open_socket_client(std::filesystem::path(args.data) / "vexord.sock");
  if (client.has_error()) client = args.socket.empty() ? open_offline_client(args.data, makes_store(chosen(app))) : open_socket_client(args.socket);
  if (client.has_error()) return fail(client.error());
  return run(*client.value(), app, args);
}
