// Object checks: git fsck's messages and severities. Spec: fsck-msgids.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "format/object_parse.h"

namespace vexor::format {

enum class CheckSeverity : std::uint8_t { kIgnore, kInfo, kWarn, kError, kFatal };

struct CheckFinding {
  std::string_view id;
  CheckSeverity severity;
  std::string detail;
};

constexpr std::size_t kFindingsMax = 100;  // that one check keeps

// Overrides of severities, by lower-case message id.
struct CheckPolicy {
  std::map<std::string, CheckSeverity> overrides;
};
// "missingSpaceBeforeDate=ignore,zeroPaddedFilemode=error". Errors: kInvalidArgument.
Result<CheckPolicy> parse_check_policy(std::string_view text);

// A tree in which a check found nothing at all, whatever the policy makes of it.
struct PlainTree {
  Bytes content;
  std::span<const std::uint32_t> ends;  // of its entries; empty: not known
};

// Checks the syntax of objects. Any thread. A small object can hold millions of findings: a check keeps kFindingsMax, of
// them one that refuses the object if there is any, and looks no further once it has both.
class ObjectChecker {
 public:
  ObjectChecker(HashAlgorithm algorithm, CheckPolicy policy)
      : algorithm_(algorithm), policy_(std::move(policy)) {}
  // Ids of what a tree calls .gitmodules are appended to `modules`.
  void check(ObjectType type, Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const;
  // The same for a tree that resembles `like`: entries that both have in a row are not checked again, nor are their
  // .gitmodules appended again. Sets `ends` to those of the tree if it is plain, else clears it.
  void check_tree_like(const PlainTree& like, Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules,
                       std::vector<std::uint32_t>& ends) const;
  // Checks a blob that some tree calls .gitmodules.
  void check_modules(Bytes content, std::vector<CheckFinding>& out) const;

 private:
  void report(std::vector<CheckFinding>& out, std::string_view id, CheckSeverity severity, std::string detail = {}) const;
  static bool is_enough(const std::vector<CheckFinding>& out);
  bool check_entry(Bytes content, std::size_t offset, const TreeEntry& entry, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const;
  bool check_order(const TreeEntry& previous, const TreeEntry& entry, std::vector<CheckFinding>& out, bool& is_sorted) const;
  void check_tree(Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const;
  bool check_entry_name(const TreeEntry& entry, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const;
  void check_commit(Bytes content, std::vector<CheckFinding>& out) const;
  void check_tag(Bytes content, std::vector<CheckFinding>& out) const;
  void check_ident(Bytes ident, std::vector<CheckFinding>& out) const;

  HashAlgorithm algorithm_;
  CheckPolicy policy_;
};

}  // namespace vexor::format
