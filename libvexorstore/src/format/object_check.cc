#include "format/object_check.h"

#include <algorithm>
#include <cctype>

#include "format/gitmodules_check.h"
#include "format/object_parse.h"

namespace vexor::format {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Names that some file system takes for ".git".
bool is_dot_git(Bytes name) {
  if (name.size() < 4 || (name[0] != '.' && (name[0] | 0x20) != 'g' && octet(name, 0) != 0xE2 && octet(name, 0) != 0xEF)) return false;
  std::string plain;
  for (std::size_t i = 0; i < name.size(); ++i) {  // HFS+ ignores U+200C..F, U+202A..E, U+206A..F, U+FEFF
    const unsigned third = i + 2 < name.size() ? octet(name, i + 2) : 0U;
    const bool in_80 = octet(name, i) == 0xE2 && third != 0 && octet(name, i + 1) == 0x80;
    const bool in_81 = octet(name, i) == 0xE2 && third != 0 && octet(name, i + 1) == 0x81;
    if ((in_80 && ((third >= 0x8C && third <= 0x8F) || (third >= 0xAA && third <= 0xAE))) || (in_81 && third >= 0xAA && third <= 0xAF)) {
      i += 2;
      continue;
    }
    if (octet(name, i) == 0xEF && i + 2 < name.size() && octet(name, i + 1) == 0xBB && octet(name, i + 2) == 0xBF) {
      i += 2;
      continue;
    }
    plain.push_back(name[i]);
  }
  plain = lower(plain);
  if (const std::size_t stream = plain.find(':'); stream != std::string::npos) plain.resize(stream);  // NTFS streams
  if (const std::size_t back = plain.find('\\'); back != std::string::npos) plain.resize(back);
  while (!plain.empty() && (plain.back() == ' ' || plain.back() == '.')) plain.pop_back();
  return plain == ".git" || plain == "git~1";
}

// Trees order as if directory names ended in '/'.
int compare_entries(const TreeEntry& a, const TreeEntry& b) {
  const std::size_t common = std::min(a.name.size(), b.name.size());
  if (const int order = a.name.substr(0, common).compare(b.name.substr(0, common)); order != 0) return order;
  const auto behind = [common](const TreeEntry& e) -> int {
    if (e.name.size() > common) return octet(e.name, common);
    return (e.mode & 0170000U) == 0040000U ? '/' : 0;
  };
  return behind(a) - behind(b);
}

bool has_duplicates(Bytes tree, HashAlgorithm algorithm) {
  std::vector<Bytes> names;
  TreeReader reader(tree, algorithm);
  TreeEntry entry;
  for (;;) {
    const auto more = reader.next(entry);
    if (more.has_error() || !more.value()) break;
    names.push_back(entry.name);
  }
  std::sort(names.begin(), names.end());
  return std::adjacent_find(names.begin(), names.end()) != names.end();
}

std::optional<Bytes> take_line(Bytes& rest, Bytes key) {
  if (!rest.starts_with(key)) return std::nullopt;
  const std::size_t end = rest.find('\n');
  if (end == Bytes::npos) return std::nullopt;
  const Bytes line = rest.substr(key.size(), end - key.size());
  rest.remove_prefix(end + 1);
  return line;
}

constexpr auto kError = CheckSeverity::kError;
constexpr auto kWarn = CheckSeverity::kWarn;
constexpr auto kInfo = CheckSeverity::kInfo;

}  // namespace

Result<CheckPolicy> parse_check_policy(std::string_view text) {
  CheckPolicy policy;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    const std::string_view item = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const std::size_t equals = item.find('=');
    const std::string value = equals == std::string_view::npos ? "" : lower(item.substr(equals + 1));
    CheckSeverity severity{};
    if (value == "ignore") severity = CheckSeverity::kIgnore;
    else if (value == "warn") severity = kWarn;
    else if (value == "error") severity = kError;
    else return Error(Errc::kInvalidArgument, "object checks are written MESSAGE=ignore|warn|error");
    policy.overrides[lower(item.substr(0, equals))] = severity;
  }
  return policy;
}

void ObjectChecker::report(std::vector<CheckFinding>& out, std::string_view id, CheckSeverity severity, std::string detail) const {
  const auto found = policy_.overrides.find(lower(id));
  if (found != policy_.overrides.end() && severity != CheckSeverity::kFatal) severity = found->second;
  if (severity != CheckSeverity::kIgnore) out.push_back({id, severity, std::move(detail)});
}

void ObjectChecker::check(ObjectType type, Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const {
  switch (type) {
    case ObjectType::kTree: return check_tree(content, out, modules);
    case ObjectType::kCommit: return check_commit(content, out);
    case ObjectType::kTag: return check_tag(content, out);
    case ObjectType::kBlob: return;
  }
}

// Almost all entries of almost all trees are plain: each question begins with the octet that could
// make the answer interesting.
void ObjectChecker::check_tree(Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const {
  TreeReader reader(content, algorithm_);
  TreeEntry entry;
  TreeEntry previous;
  bool first = true;
  bool is_sorted = true;
  std::vector<Bytes> files;  // names that a later directory may repeat ("a", "a.b", "a/"): each begins the next
  std::size_t offset = 0;
  while (true) {
    const auto more = reader.next(entry);
    if (more.has_error()) return report(out, "badTree", CheckSeverity::kFatal, more.error().message());
    if (!more.value()) break;
    if (content[offset] == '0') report(out, "zeroPaddedFilemode", kWarn);
    offset = static_cast<std::size_t>(entry.id_raw.data() - content.data()) + entry.id_raw.size();
    check_entry_name(entry, out, modules);
    if (entry.id_raw[0] == 0 && entry.id_raw.find_first_not_of('\0') == Bytes::npos) report(out, "nullSha1", kWarn);
    switch (entry.mode) {
      case 0100755: case 0100644: case 0120000: case 0040000: case 0160000: break;
      default: report(out, "badFilemode", kInfo); break;
    }
    if (!first) {
      const int order = compare_entries(previous, entry);
      if (order > 0) {
        report(out, "treeNotSorted", kError);
        is_sorted = false;
      }
      if (order == 0) report(out, "duplicateEntries", kError);
    }
    while (!files.empty() && !entry.name.starts_with(files.back())) files.pop_back();
    if ((entry.mode & 0170000U) == 0040000U) {
      if (!files.empty() && files.back() == entry.name) report(out, "duplicateEntries", kError);
    } else {
      files.push_back(entry.name);
    }
    previous = entry;
    first = false;
  }
  if (!is_sorted && has_duplicates(content, algorithm_)) report(out, "duplicateEntries", kError);
}

void ObjectChecker::check_entry_name(const TreeEntry& entry, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const {
  const Bytes name = entry.name;
  if (name.empty()) return report(out, "emptyName", kError);
  if (name.size() > 4096) report(out, "largePathname", kWarn);
  if (name.find('/') != Bytes::npos) report(out, "fullPathname", kError);
  const unsigned octet0 = octet(name, 0);
  if (octet0 != '.' && (octet0 | 0x20U) != 'g' && octet0 != 0xE2 && octet0 != 0xEF) return;
  if (name == ".") report(out, "hasDot", kError);
  if (name == "..") report(out, "hasDotdot", kError);
  if (is_dot_git(name)) report(out, "hasDotgit", kError, "an entry named like .git");
  if (!is_dot_gitmodules(name)) return;
  if ((entry.mode & 0170000U) == 0120000U) report(out, "gitmodulesSymlink", kError);
  modules.push_back(ObjectId::from_raw(algorithm_, entry.id_raw));
}

void ObjectChecker::check_modules(Bytes content, std::vector<CheckFinding>& out) const {
  if (auto found = check_gitmodules(content)) report(out, found->id, kError, std::move(found->detail));
}

void ObjectChecker::check_ident(Bytes ident, std::vector<CheckFinding>& out) const {
  const std::size_t open = ident.find('<');
  if (open == Bytes::npos) return report(out, "missingEmail", kError);
  if (ident.substr(0, open).find('>') != Bytes::npos) return report(out, "badName", kError);
  if (open == 0 || ident[open - 1] != ' ') {
    report(out, open == 0 ? "missingNameBeforeEmail" : "missingSpaceBeforeEmail", kError);
  }
  const std::size_t close = ident.find_first_of("<>", open + 1);
  if (close == Bytes::npos || ident[close] != '>') return report(out, "badEmail", kError);
  Bytes rest = ident.substr(close + 1);
  if (!rest.starts_with(" ")) return report(out, "missingSpaceBeforeDate", kError);
  rest.remove_prefix(1);
  const std::size_t space = rest.find(' ');
  const Bytes date = rest.substr(0, space);
  const bool digits = !date.empty() && std::all_of(date.begin(), date.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return report(out, "badDate", kError);
  if (date.size() > 1 && date[0] == '0') report(out, "zeroPaddedDate", kError);
  if (date.size() > 18) report(out, "badDateOverflow", kError);
  const Bytes zone = space == Bytes::npos ? Bytes() : rest.substr(space + 1);
  const bool zone_ok = zone.size() == 5 && (zone[0] == '+' || zone[0] == '-') &&
                       std::all_of(zone.begin() + 1, zone.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!zone_ok) report(out, "badTimezone", kError);
}

void ObjectChecker::check_commit(Bytes content, std::vector<CheckFinding>& out) const {
  const std::size_t end = content.find("\n\n");
  if (content.substr(0, end).find('\0') != Bytes::npos) return report(out, "nulInHeader", CheckSeverity::kFatal);
  if (content.find('\0') != Bytes::npos) report(out, "nulInCommit", kWarn);
  Bytes rest = content;
  const auto tree = take_line(rest, "tree ");
  if (!tree) return report(out, "missingTree", kError);
  if (ObjectId::from_hex(algorithm_, *tree).has_error()) return report(out, "badTreeSha1", kError);
  while (const auto parent = take_line(rest, "parent ")) {
    if (ObjectId::from_hex(algorithm_, *parent).has_error()) return report(out, "badParentSha1", kError);
  }
  int authors = 0;
  while (const auto author = take_line(rest, "author ")) {
    ++authors;
    check_ident(*author, out);
  }
  if (authors < 1) return report(out, "missingAuthor", kError);
  if (authors > 1) report(out, "multipleAuthors", kError);
  const auto committer = take_line(rest, "committer ");
  if (!committer) return report(out, "missingCommitter", kError);
  check_ident(*committer, out);
}

void ObjectChecker::check_tag(Bytes content, std::vector<CheckFinding>& out) const {
  const std::size_t end = content.find("\n\n");
  if (content.substr(0, end).find('\0') != Bytes::npos) return report(out, "nulInHeader", CheckSeverity::kFatal);
  Bytes rest = content;
  const auto object = take_line(rest, "object ");
  if (!object) return report(out, "missingObject", kError);
  if (ObjectId::from_hex(algorithm_, *object).has_error()) return report(out, "badObjectSha1", kError);
  const auto type = take_line(rest, "type ");
  if (!type) return report(out, "missingTypeEntry", kError);
  if (!parse_object_type(*type)) return report(out, "badType", kError);
  const auto tag = take_line(rest, "tag ");
  if (!tag) return report(out, "missingTagEntry", kError);
  const auto tagger = take_line(rest, "tagger ");
  if (!tagger) return report(out, "missingTaggerEntry", kInfo);
  check_ident(*tagger, out);
}

}  // namespace vexor::format
