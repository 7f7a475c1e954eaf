// vexorctl: administration of a store that no server has open.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "vexorstore/store.h"
#include "vexorstore/sys/backends.h"

namespace {

using namespace vexor;

// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such thing, 4 conflict.
int fail(const Error& error) {
  std::fprintf(stderr, "vexorctl: %s\n", error.message().c_str());
  return error.code() == Errc::kNotFound ? 3 : error.code() == Errc::kConflict ? 4 : 1;
}

template <class T>
int finish(const Result<T>& result, const std::string& text) {
  if (result.has_error()) return fail(result.error());
  if (!text.empty()) std::printf("%s\n", text.c_str());
  return 0;
}

struct Arguments {
  std::string data, name, other, user, permission, branch = "main", format = "sha1";
  bool is_public = false, is_private = false, deleted = false, password_stdin = false;
};

std::string read_password() {
  std::string line;
  std::getline(std::cin, line);
  return line;
}

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

int list_repositories(Store& store, bool deleted) {
  const auto list = store.list_repositories(deleted);
  if (list.has_error()) return fail(list.error());
  for (const RepositoryInfo& info : list.value()) {
    std::printf("%-40s %-7s %-6s %s\n", info.name.c_str(), info.is_public ? "public" : "private",
                std::string(hash_name(info.algorithm)).c_str(), info.default_branch.c_str());
  }
  return 0;
}

int run(CLI::App& app, Store& store, const Arguments& args) {
  const Actor actor;
  const auto is = [&app](const char* group, const char* verb) {
    CLI::App* outer = app.get_subcommand(group);
    return outer->parsed() && outer->get_subcommand(verb)->parsed();
  };
  if (is("user", "add")) return finish(store.create_account(args.name, read_password(), actor), "added " + args.name);
  if (is("user", "passwd")) return finish(store.set_password(args.name, read_password(), actor), "changed");
  if (is("user", "disable")) return finish(store.set_disabled(args.name, true, actor), "disabled " + args.name);
  if (is("user", "enable")) return finish(store.set_disabled(args.name, false, actor), "enabled " + args.name);
  if (is("user", "list")) {
    const auto list = store.list_accounts();
    if (list.has_error()) return fail(list.error());
    for (const AccountInfo& info : list.value()) std::printf("%-30s %s\n", info.name.c_str(), info.disabled ? "disabled" : "active");
    return 0;
  }
  if (is("repo", "create")) {
    CreateOptions options;
    options.is_public = args.is_public;
    options.default_branch = args.branch;
    options.algorithm = args.format == "sha256" ? HashAlgorithm::kSha256 : HashAlgorithm::kSha1;
    return finish(store.create_repository(args.name, options, actor), "created " + args.name);
  }
  if (is("repo", "fork")) return finish(store.fork_repository(args.name, args.other, actor), "forked to " + args.other);
  if (is("repo", "rename")) return finish(store.rename_repository(args.name, args.other, actor), "renamed to " + args.other);
  if (is("repo", "delete")) return finish(store.delete_repository(args.name, actor), "deleted " + args.name + "; 'repo restore' brings it back");
  if (is("repo", "restore")) return finish(store.restore_repository(args.name, actor), "restored " + args.name);
  if (is("repo", "list")) return list_repositories(store, args.deleted);
  if (is("key", "add")) {
    const auto key = store.add_key(args.name, read_file(args.other), actor);
    return finish(key, key.has_value() ? "added " + key.value().fingerprint : "");
  }
  if (is("key", "remove")) return finish(store.remove_key(args.name, actor), "removed " + args.name);
  if (is("key", "list")) {
    const auto list = store.list_keys(args.name);
    if (list.has_error()) return fail(list.error());
    for (const KeyInfo& key : list.value()) std::printf("%s %s %s\n", key.fingerprint.c_str(), key.type.c_str(), key.comment.c_str());
    return 0;
  }
  if (app.get_subcommand("grant")->parsed()) {
    const Permission permission = args.permission == "write"  ? Permission::kWrite
                                  : args.permission == "read" ? Permission::kRead
                                                              : Permission::kNone;
    return finish(store.grant(args.name, args.user, permission, actor), "granted");
  }
  std::printf("%s", app.help().c_str());
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"vexorctl: administer a vexorstore data directory"};
  app.require_subcommand(1);
  Arguments args;
  app.add_option("--data", args.data, "the server's data directory; the server must not be running")->required();
  CLI::App* user = app.add_subcommand("user", "accounts")->require_subcommand(1);
  for (const char* verb : {"add", "passwd", "disable", "enable"}) {
    CLI::App* sub = user->add_subcommand(verb);
    sub->add_option("NAME", args.name)->required();
    if (std::string(verb) == "add" || std::string(verb) == "passwd") {
      sub->add_flag("--password-stdin", args.password_stdin, "read the password from standard input")->required();
    }
  }
  user->add_subcommand("list");
  CLI::App* key = app.add_subcommand("key", "SSH public keys")->require_subcommand(1);
  CLI::App* key_add = key->add_subcommand("add");
  key_add->add_option("USER", args.name)->required();
  key_add->add_option("FILE", args.other, "a public key file")->required()->check(CLI::ExistingFile);
  key->add_subcommand("list")->add_option("USER", args.name)->required();
  key->add_subcommand("remove")->add_option("FINGERPRINT", args.name)->required();
  CLI::App* repo = app.add_subcommand("repo", "repositories")->require_subcommand(1);
  CLI::App* create = repo->add_subcommand("create");
  create->add_option("NAME", args.name, "OWNER/NAME")->required();
  create->add_flag("--public", args.is_public);
  create->add_flag("--private", args.is_private);
  create->add_option("--default-branch", args.branch);
  create->add_option("--object-format", args.format)->check(CLI::IsMember({"sha1", "sha256"}));
  for (const char* verb : {"delete", "restore"}) repo->add_subcommand(verb)->add_option("NAME", args.name)->required();
  for (const char* verb : {"fork", "rename"}) {
    CLI::App* sub = repo->add_subcommand(verb);
    sub->add_option("NAME", args.name)->required();
    sub->add_option("NEW_NAME", args.other)->required();
  }
  repo->add_subcommand("list")->add_flag("--deleted", args.deleted);
  CLI::App* grant = app.add_subcommand("grant", "give or take access");
  grant->add_option("REPOSITORY", args.name)->required();
  grant->add_option("USER", args.user)->required();
  grant->add_option("PERMISSION", args.permission)->required()->check(CLI::IsMember({"read", "write", "none"}));
  CLI11_PARSE(app, argc, argv);

  auto backend = sys::open_rocksdb_backend(std::filesystem::path(args.data) / "store");
  if (backend.has_error()) return fail(backend.error());
  auto store = Store::open(std::move(backend).value(), StoreOptions{});
  if (store.has_error()) return fail(store.error());
  return run(app, *store.value(), args);
}
