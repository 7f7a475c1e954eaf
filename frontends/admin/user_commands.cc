// "ssh git@host COMMAND": what a user may do with the own account.
#include <algorithm>

#include "admin/commands.h"

namespace vexor::frontend {

namespace {

constexpr std::size_t kWordsMax = 32;

constexpr const char* kHelp =
    "Commands:\n"
    "  whoami                                  the account you are logged in with\n"
    "  repo list                               repositories you can reach\n"
    "  repo create NAME [--public] [--sha256]  NAME is yours: OWNER/NAME with OWNER your user name\n"
    "  repo describe NAME\n"
    "  repo fork NAME NEW_NAME\n"
    "  repo rename NAME NEW_NAME\n"
    "  repo delete NAME                        'repo restore NAME' brings it back\n"
    "  repo restore NAME\n"
    "  repo restore NAME --at MOMENT [--as NEW_NAME]   all refs as they were: a time, or a journal sequence\n"
    "  repo set NAME public|private\n"
    "  repo set NAME default-branch BRANCH\n"
    "  grant NAME USER read|write|none\n"
    "  protect NAME PATTERN [remove]           no force push, no deletion\n"
    "  reflog NAME REF                         where a ref was before\n"
    "  ref undo NAME REF                       puts it back to before its last update\n"
    "  key list\n"
    "  key add < FILE.pub\n"
    "  key remove FINGERPRINT\n";

// Words as a shell would split them: 'single', "double" quotes and backslashes.
std::optional<std::vector<std::string>> split_words(std::string_view line) {
  std::vector<std::string> words;
  std::string word;
  bool open = false;
  char quote = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quote == 0 && (c == ' ' || c == '\t')) {
      if (open) words.push_back(std::move(word));
      word.clear();
      open = false;
      continue;
    }
    open = true;
    if (quote == 0 && (c == '\'' || c == '"')) quote = c;
    else if (c == quote) quote = 0;
    else if (c == '\\' && quote != '\'') {
      if (++i == line.size()) return std::nullopt;
      word += line[i];
    } else {
      word += c;
    }
    if (words.size() > kWordsMax) return std::nullopt;
  }
  if (quote != 0) return std::nullopt;
  if (open) words.push_back(std::move(word));
  return words;
}

class UserCommands {
 public:
  UserCommands(Store& store, const AccountInfo& account, std::vector<std::string> words, const std::string& input)
      : store_(store), account_(account), actor_{account.id, account.name}, words_(std::move(words)), input_(input) {}

  Result<std::string> run() {
    const std::string first = word(0);
    if (first.empty() || first == "help") return std::string(kHelp);
    if (first == "whoami") return account_.name + "\n";
    if (first == "repo") return repo();
    if (first == "key") return key();
    if (first == "grant" && words_.size() == 4) {
      VEXOR_TRY(must_own(word(1)));
      if (word(3) == "owner") return Error(Errc::kInvalidArgument, "a permission is read, write or none");
      return command({{"op", "grant"}, {"repository", word(1)}, {"user", word(2)}, {"permission", word(3)}});
    }
    if (first == "protect" && (words_.size() == 3 || (words_.size() == 4 && word(3) == "remove"))) {
      VEXOR_TRY(must_own(word(1)));
      return command({{"op", "protect"}, {"repository", word(1)}, {"pattern", word(2)}, {"remove", words_.size() == 4}});
    }
    if (first == "ref" && word(1) == "undo" && words_.size() == 4) {
      VEXOR_TRY(must_own(word(2)));
      return command({{"op", "ref.undo"}, {"repository", word(2)}, {"ref", word(3)}});
    }
    if (first == "reflog" && words_.size() == 3) {  // it shows what was taken back
      VEXOR_TRY(must_own(word(1)));
      return command({{"op", "reflog"}, {"repository", word(1)}, {"ref", full_ref_name(word(2))}});
    }
    return usage();
  }

 private:
  std::string word(std::size_t index) const { return index < words_.size() ? words_[index] : std::string(); }
  static Error usage() { return Error(Errc::kInvalidArgument, "unknown command or wrong number of words; 'help' lists the commands"); }

  Result<std::string> command(const json::object& request) {
    VEXOR_TRY(const json::object answer, run_command(store_, request, actor_, nullptr));
    return render(answer);
  }

  // Missing and forbidden are told alike.
  Result<void> must_reach(const std::string& name, Permission needed) {
    VEXOR_TRY(const auto info, store_.find_repository(name));
    Permission permission = Permission::kNone;
    if (info) {
      VEXOR_TRY(permission, store_.permission_of(*info, account_.id));
    }
    if (permission == Permission::kNone) return Error(Errc::kNotFound, "repository not found");
    if (permission < needed) return Error(Errc::kRefused, "only the owner may do that");
    return success();
  }
  Result<bool> owns(const RepositoryInfo& info) const {
    VEXOR_TRY(const Permission permission, store_.permission_of(info, account_.id));
    return permission == Permission::kOwner;
  }
  Result<void> must_own(const std::string& name) { return must_reach(name, Permission::kOwner); }
  Result<void> must_be_mine(const std::string& name) const {
    if (name.starts_with(account_.name + "/")) return success();
    return Error(Errc::kRefused, "your repositories are named " + account_.name + "/NAME");
  }

  Result<std::string> repo() {
    const std::string verb = word(1);
    const std::string name = word(2);
    const std::size_t count = words_.size();
    if (verb == "list" && count == 2) return list();
    if (verb == "create" && count >= 3) {
      VEXOR_TRY(must_be_mine(name));
      json::object request{{"op", "repo.create"}, {"name", name}};
      for (std::size_t i = 3; i < count; ++i) {
        if (words_[i] == "--public") request["public"] = true;
        else if (words_[i] == "--sha256") request["object_format"] = "sha256";
        else return usage();
      }
      return command(request);
    }
    if (verb == "describe" && count == 3) {
      return describe();
    }
    if (verb == "fork" && count == 4) {
      VEXOR_TRY(must_reach(name, Permission::kRead));
      VEXOR_TRY(must_be_mine(word(3)));
      return command({{"op", "repo.fork"}, {"name", name}, {"new_name", word(3)}});
    }
    if (verb == "rename" && count == 4) {
      VEXOR_TRY(must_own(name));
      VEXOR_TRY(must_be_mine(word(3)));
      return command({{"op", "repo.rename"}, {"name", name}, {"new_name", word(3)}});
    }
    if (verb == "delete" && count == 3) {
      VEXOR_TRY(must_own(name));
      return command({{"op", "repo.delete"}, {"name", name}});
    }
    if (verb == "restore" && count == 3) {
      VEXOR_TRY(must_be_mine(name));
      return command({{"op", "repo.restore"}, {"name", name}});
    }
    if (verb == "restore" && (count == 5 || count == 7) && word(3) == "--at") return restore_at();
    if (verb == "set" && count == 4 && (word(3) == "public" || word(3) == "private")) {
      VEXOR_TRY(must_own(name));
      return command({{"op", "repo.set"}, {"name", name}, {"public", word(3) == "public"}});
    }
    if (verb == "set" && count == 5 && word(3) == "default-branch") {
      VEXOR_TRY(must_own(name));
      return command({{"op", "repo.set"}, {"name", name}, {"default_branch", word(4)}});
    }
    return usage();
  }

  // Deleted repositories are restored by whose name they have, as without a moment.
  Result<std::string> restore_at() {
    const std::string name = word(2);
    VEXOR_TRY(const auto alive, store_.find_repository(name));
    if (alive) {
      VEXOR_TRY(must_own(name));
    } else {
      VEXOR_TRY(must_be_mine(name));
    }
    json::object request{{"op", "repo.restore"}, {"name", name}, {"at", word(4)}};
    if (words_.size() == 7) {
      if (word(5) != "--as") return usage();
      VEXOR_TRY(must_be_mine(word(6)));
      request["new_name"] = word(6);
    }
    return command(request);
  }

  Result<std::string> describe() {
    const std::string name = word(2);
    VEXOR_TRY(must_reach(name, Permission::kRead));
    VEXOR_TRY(const auto info, store_.find_repository(name));
    if (!info) return Error(Errc::kNotFound, "repository not found");
    VEXOR_TRY(const bool is_owner, owns(*info));
    VEXOR_TRY(json::object answer, run_command(store_, {{"op", "repo.describe"}, {"name", name}}, actor_, nullptr));
    if (!is_owner) answer["fields"].as_object().erase("hidden_refs");
    return render(answer);
  }

  Result<std::string> list() {
    VEXOR_TRY(const auto all, store_.list_repositories());
    json::array rows;
    for (const RepositoryInfo& info : all) {
      VEXOR_TRY(const Permission permission, store_.permission_of(info, account_.id));
      if (permission == Permission::kNone) continue;
      const char* text = permission == Permission::kOwner ? "owner" : permission == Permission::kWrite ? "write" : "read";
      rows.push_back(json::object{{"name", info.name}, {"permission", text}, {"access", info.is_public ? "public" : "private"}});
    }
    return render(json::object{{"rows", std::move(rows)}});
  }

  Result<std::string> key() {
    if (word(1) == "list" && words_.size() == 2) return command({{"op", "key.list"}, {"user", account_.name}});
    if (word(1) == "add" && words_.size() == 2) {
      const std::string line = input_.substr(0, input_.find('\n'));
      if (line.empty()) return Error(Errc::kInvalidArgument, "give the public key on standard input: ssh git@HOST key add < FILE.pub");
      return command({{"op", "key.add"}, {"user", account_.name}, {"key", line}});
    }
    if (word(1) == "remove" && words_.size() == 3) {
      VEXOR_TRY(const auto keys, store_.list_keys(account_.name));
      const bool mine = std::any_of(keys.begin(), keys.end(), [this](const KeyInfo& info) { return info.fingerprint == word(2); });
      if (!mine) return Error(Errc::kNotFound, "you have no key with that fingerprint");
      return command({{"op", "key.remove"}, {"fingerprint", word(2)}});
    }
    return usage();
  }

  Store& store_;
  const AccountInfo& account_;
  Actor actor_;
  std::vector<std::string> words_;
  const std::string& input_;
};

}  // namespace

Result<std::string> run_user_command(Store& store, const AccountInfo& account, std::string_view line, const std::string& input) {
  auto words = split_words(line);
  if (!words) return Error(Errc::kInvalidArgument, "unfinished quotes, or too many words");
  return UserCommands(store, account, std::move(*words), input).run();
}

}  // namespace vexor::frontend
