// Object checks: git fsck's messages and severities. Spec: fsck-msgids.
#pragma once

#include <map>
#include <vector>

#include "format/object_parse.h"

namespace vexor::format {

enum class CheckSeverity : std::uint8_t { kIgnore, kInfo, kWarn, kError, kFatal };

struct CheckFinding {
  std::string_view id;
  CheckSeverity severity;
  std::string detail;
};

// Overrides of severities, by lower-case message id.
struct CheckPolicy {
  std::map<std::string, CheckSeverity> overrides;
};
// "missingSpaceBeforeDate=ignore,zeroPaddedFilemode=error". Errors: kInvalidArgument.
Result<CheckPolicy> parse_check_policy(std::string_view text);

// Checks the syntax of one object. One thread at a time.
class ObjectChecker {
 public:
  ObjectChecker(HashAlgorithm algorithm, CheckPolicy policy)
      : algorithm_(algorithm), policy_(std::move(policy)) {}
  // Ids of what a tree calls .gitmodules are appended to `modules`.
  void check(ObjectType type, Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const;
  // Checks a blob that some tree calls .gitmodules.
  void check_modules(Bytes content, std::vector<CheckFinding>& out) const;

 private:
  void report(std::vector<CheckFinding>& out, std::string_view id, CheckSeverity severity, std::string detail = {}) const;
  void check_tree(Bytes content, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const;
  void check_entry_name(const TreeEntry& entry, std::vector<CheckFinding>& out, std::vector<ObjectId>& modules) const;
  void check_commit(Bytes content, std::vector<CheckFinding>& out) const;
  void check_tag(Bytes content, std::vector<CheckFinding>& out) const;
  void check_ident(Bytes ident, std::vector<CheckFinding>& out) const;

  HashAlgorithm algorithm_;
  CheckPolicy policy_;
};

}  // namespace vexor::format
