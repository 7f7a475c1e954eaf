#include "format/object_check.h"

#include <algorithm>
#include <cctype>

#include "base/check.h"
#include "format/gitmodules_check.h"
#include "format/object_parse.h"

namespace vexor::format {

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// Whether the name may be ".git" or "git~1" to some file system: beginning so, or with octets in it that HFS+ may ignore.
bool may_be_dot_git(Bytes name) {
  const std::string_view wanted = name[0] == '.' ? ".git" : "git~";
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (octet(name, i) >= 0x80) return true;
    if ((octet(name, i) | 0x20U) != (static_cast<unsigned char>(wanted[i]) | 0x20U)) return false;
  }
  return true;
}

// Names that some file system takes for ".git".
bool is_dot_git(Bytes name) {
  if (name.size() < 4 || !may_be_dot_git(name) || (name[0] != '.' && (name[0] | 0x20) != 'g' && octet(name, 0) != 0xE2 && octet(name, 0) != 0xEF)) return false;
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

// The same for each part of what is a path to Windows.
bool has_dot_git(Bytes name) {
  for (;;) {
    if (is_dot_git(name)) return true;
    const std::size_t separator = name.find('\\');
    if (separator == Bytes::npos) return false;
    name.remove_prefix(separator + 1);
  }
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

TreeEntry entry_at(Bytes tree, std::size_t offset, HashAlgorithm algorithm) {
  TreeEntry entry;
  TreeReader reader(tree.substr(offset), algorithm);
  const auto more = reader.next(entry);
  VEXOR_CHECK(more.has_value() && more.value());
  return entry;
}

constexpr std::size_t kFewPart = 16;  // one entry in so many: looking for each is cheaper than reading all

// Whether a sorted tree has a file and a directory of the same name. They need not stand side by side: "a", "a.b", "a/".
bool has_file_and_directory(Bytes tree, HashAlgorithm algorithm) {
  std::vector<Bytes> files;  // names that a later directory may repeat: each begins the next
  TreeReader reader(tree, algorithm);
  TreeEntry entry;
  for (;;) {
    const auto more = reader.next(entry);
    if (more.has_error() || !more.value()) return false;
    while (!files.empty() && !entry.name.starts_with(files.back())) files.pop_back();
    if ((entry.mode & 0170000U) != 0040000U) {
      files.push_back(entry.name);
    } else if (!files.empty() && files.back() == entry.name) {
      return true;
    }
  }
}

// The same where one of the two is among `changed`.
bool has_file_and_directory(Bytes tree, const std::vector<std::uint32_t>& ends, const std::vector<TreeEntry>& changed, HashAlgorithm algorithm) {
  for (const TreeEntry& entry : changed) {
    const bool is_directory = (entry.mode & 0170000U) == 0040000U;
    TreeEntry other = entry;
    other.mode = is_directory ? 0100644U : 0040000U;
    std::size_t first = 0;
    for (std::size_t count = ends.size(); count > 0;) {
      const std::size_t half = count / 2;
      const std::size_t at = first + half;
      if (compare_entries(entry_at(tree, at == 0 ? 0 : ends[at - 1], algorithm), other) < 0) {
        first = at + 1;
        count -= half + 1;
      } else {
        count = half;
      }
    }
    if (first < ends.size() && compare_entries(entry_at(tree, first == 0 ? 0 : ends[first - 1], algorithm), other) == 0) return true;
  }
  return false;
}

// Goes through a plain tree beside one that is checked.
class TreeComparison {
 public:
  TreeComparison(const PlainTree& tree, HashAlgorithm algorithm) : tree_(tree), algorithm_(algorithm) {}

  // Behind the whole entries from `offset` on that both trees have, if the one before them is the same in both
  // as well. Their ends are appended.
  std::size_t skip_equal(Bytes content, std::size_t offset, std::vector<std::uint32_t>& ends) {
    if (!is_in_step_ || next_ == tree_.ends.size()) return offset;
    const std::size_t start = begin_of(next_);
    const std::size_t equal = common_prefix(content.substr(offset), tree_.content.substr(start));
    std::size_t end = 0;
    for (; next_ < tree_.ends.size() && tree_.ends[next_] - start <= equal; ++next_) {
      end = tree_.ends[next_] - start;
      ends.push_back(static_cast<std::uint32_t>(offset + end));
    }
    return offset + end;
  }

  // The other tree's next entry was checked; `rest` begins with it.
  void pass(Bytes rest, const TreeEntry& entry) {
    is_in_step_ = false;
    while (next_ < tree_.ends.size()) {
      const std::size_t start = begin_of(next_);
      const int order = compare_entries(entry_at(tree_.content, start, algorithm_), entry);
      if (order > 0) return;
      ++next_;
      if (order < 0) continue;
      const Bytes mine = tree_.content.substr(start, tree_.ends[next_ - 1] - start);
      is_in_step_ = rest.starts_with(mine);
      return;
    }
  }

 private:
  std::size_t begin_of(std::size_t index) const { return index == 0 ? 0 : tree_.ends[index - 1]; }

  static std::size_t common_prefix(Bytes a, Bytes b) {
    constexpr std::size_t kStride = 64;
    const std::size_t most = std::min(a.size(), b.size());
    std::size_t size = 0;
    while (size + kStride <= most && a.substr(size, kStride) == b.substr(size, kStride)) size += kStride;
    while (size < most && a[size] == b[size]) ++size;
    return size;
  }

  const PlainTree& tree_;
  HashAlgorithm algorithm_;
  std::size_t next_ = 0;     // entry of tree_
  bool is_in_step_ = true;   // the entries before are the same in both trees, or there are none
};

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
  if (severity == CheckSeverity::kIgnore) return;
  if (out.size() < kFindingsMax) return out.push_back({id, severity, std::move(detail)});
  if (severity >= kError && !is_enough(out)) out.back() = {id, severity, std::move(detail)};
}

bool ObjectChecker::is_enough(const std::vector<CheckFinding>& out) {
  return out.size() >= kFindingsMax && std::any_of(out.begin(), out.end(), [](const CheckFinding& finding) { return finding.severity >= kError; });
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
// make the answer interesting. False: something was found, if only to be ignored.
bool ObjectChecker::check_entry(Bytes content, std::size_t offset, const TreeEntry& entry, std::vector<CheckFinding>& out,
                                std::vector<ObjectId>& modules) const {
  bool is_plain = content[offset] != '0';
  if (!is_plain) report(out, "zeroPaddedFilemode", kWarn);
  is_plain = check_entry_name(entry, out, modules) && is_plain;
  if (entry.id_raw[0] == 0 && entry.id_raw.find_first_not_of('\0') == Bytes::npos) {
    report(out, "nullSha1", kWarn);
    is_plain = false;
  }
  switch (entry.mode) {
    case 0100755: case 0100644: case 0120000: case 0040000: case 0160000: return is_plain;
    default: report(out, "badFilemode", kInfo); return false;
  }
}

bool ObjectChecker::check_order(const TreeEntry& previous, const TreeEntry& entry, std::vector<CheckFinding>& out, bool& is_sorted) const {
  const int order = compare_entries(previous, entry);
  if (order < 0) return true;
  if (order > 0) is_sorted = false;
  report(out, order > 0 ? "treeNotSorted" : "duplicateEntries", kError);
  return false;
}

void ObjectChecker::check_tree(Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const {
  std::vector<std::uint32_t> ends;
  check_tree_like({}, content, out, modules, ends);
}

void ObjectChecker::check_tree_like(const PlainTree& like, Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules,
                                    std::vector<std::uint32_t>& ends) const {
  ends.clear();
  if (content.size() > UINT32_MAX) return report(out, "badTree", CheckSeverity::kFatal, "tree: over 4 GiB");
  TreeComparison base(like, algorithm_);
  TreeEntry entry;
  TreeEntry previous;
  bool is_sorted = true;
  bool is_plain = true;
  std::vector<TreeEntry> changed;
  for (std::size_t offset = 0; offset < content.size();) {
    const std::size_t before = ends.size();
    offset = base.skip_equal(content, offset, ends);
    if (ends.size() > before) {
      const std::size_t last = ends.size() > 1 ? ends[ends.size() - 2] : 0;
      previous = entry_at(content, last, algorithm_);
      continue;
    }
    TreeReader reader(content.substr(offset), algorithm_);
    const auto more = reader.next(entry);
    if (more.has_error()) {
      ends.clear();
      return report(out, "badTree", CheckSeverity::kFatal, more.error().message());
    }
    is_plain = check_entry(content, offset, entry, out, modules) && is_plain;
    if (offset > 0) is_plain = check_order(previous, entry, out, is_sorted) && is_plain;
    if (!is_plain && is_enough(out)) return ends.clear();
    if (!like.ends.empty()) changed.push_back(entry);
    base.pass(content.substr(offset), entry);
    previous = entry;
    offset = static_cast<std::size_t>(entry.id_raw.data() - content.data()) + entry.id_raw.size();
    ends.push_back(static_cast<std::uint32_t>(offset));
  }
  const bool are_few = !like.ends.empty() && changed.size() * kFewPart <= ends.size();
  const bool is_twice = !is_sorted ? has_duplicates(content, algorithm_)
                        : are_few  ? has_file_and_directory(content, ends, changed, algorithm_)
                                   : has_file_and_directory(content, algorithm_);
  if (is_twice) report(out, "duplicateEntries", kError);
  if (!is_plain || is_twice) ends.clear();
}

// False: something was found, if only to be ignored.
bool ObjectChecker::check_entry_name(const TreeEntry& entry, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const {
  const Bytes name = entry.name;
  if (name.empty()) {
    report(out, "emptyName", kError);
    return false;
  }
  bool is_plain = true;
  const auto found = [&](std::string_view id, CheckSeverity severity, const char* detail = "") {
    report(out, id, severity, detail);
    is_plain = false;
  };
  if (name.size() > 4096) found("largePathname", kWarn);
  if (name.find('/') != Bytes::npos) found("fullPathname", kError);
  const unsigned octet0 = octet(name, 0);
  const bool is_path = name.find('\\') != Bytes::npos;  // to Windows
  if (octet0 != '.' && (octet0 | 0x20U) != 'g' && octet0 != '~' && octet0 != 0xE2 && octet0 != 0xEF && !is_path) return is_plain;
  if (name == ".") found("hasDot", kError);
  if (name == "..") found("hasDotdot", kError);
  if (has_dot_git(name)) found("hasDotgit", kError, "an entry named like .git");
  if (!is_dot_gitmodules(name)) return is_plain;
  if ((entry.mode & 0170000U) == 0120000U) found("gitmodulesSymlink", kError);
  modules.push_back(ObjectId::from_raw(algorithm_, entry.id_raw));
  return is_plain;
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
    if (is_enough(out)) return;
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
