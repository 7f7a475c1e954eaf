#include "format/object_check.h"

#include <algorithm>

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

std::vector<std::string> check(const Vector& vector, Bytes bytes) {
  const ObjectChecker checker(vector.algorithm(), parse_check_policy(vector.text_or("policy", "")).value());
  std::vector<CheckFinding> findings;
  std::vector<ObjectId> modules;
  if (vector.text("kind") == "modules") {
    checker.check_modules(bytes, findings);
  } else {
    checker.check(parse_object_type(vector.text("kind")).value(), bytes, findings, modules);
  }
  constexpr const char* kSeverities[] = {"ignore", "info", "warn", "error", "fatal"};
  std::vector<std::string> out;
  for (const CheckFinding& finding : findings) out.push_back(std::string(finding.id) + " " + kSeverities[static_cast<unsigned>(finding.severity)]);
  return out;
}

TEST(ObjectCheck, vectors_whole_and_cut) {
  for (const Vector& vector : family_vectors("object_check")) {
    if (vector.text("kind") == "policy") continue;
    SCOPED_TRACE(vector.name);
    EXPECT_EQ(check(vector, vector.bytes), vector.all("finding"));
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
      const auto findings = check(vector, Bytes(vector.bytes).substr(0, cut));
      if (vector.name == "clean-tree") {  // a tree may end between entries only
        EXPECT_EQ(findings.empty(), cut == 0 || cut == 29) << cut;
      }
    }
  }
}

std::vector<CheckFinding> findings_of(ObjectType type, const std::string& content, const std::string& policy) {
  const ObjectChecker checker(HashAlgorithm::kSha1, parse_check_policy(policy).value());
  std::vector<CheckFinding> findings;
  std::vector<ObjectId> modules;
  checker.check(type, content, findings, modules);
  return findings;
}

bool has_error(const std::vector<CheckFinding>& findings) {
  return std::any_of(findings.begin(), findings.end(), [](const CheckFinding& finding) { return finding.severity >= CheckSeverity::kError; });
}

TEST(ObjectCheck, keeps_few_of_many_findings_and_one_that_refuses) {
  constexpr int kEntries = 100'000;
  const std::string id(20, '\1');
  std::string nameless;
  std::string warned;
  for (int i = 0; i < kEntries; ++i) {
    nameless += "0 " + std::string(1 + 20, '\0');
    warned += "0100644 f" + std::to_string(kEntries + i) + std::string(1, '\0') + id;
  }
  const auto refused = findings_of(ObjectType::kTree, nameless, "");
  EXPECT_EQ(refused.size(), kFindingsMax);
  EXPECT_TRUE(has_error(refused));
  const auto allowed = findings_of(ObjectType::kTree, warned, "");
  EXPECT_EQ(allowed.size(), kFindingsMax);
  EXPECT_FALSE(has_error(allowed));
  const auto last = findings_of(ObjectType::kTree, warned + "100644 z/" + std::string(1, '\0') + id, "");
  EXPECT_EQ(last.size(), kFindingsMax);
  EXPECT_TRUE(has_error(last));

  std::string commit = "tree " + std::string(40, '1') + "\n";
  for (int i = 0; i < kEntries; ++i) commit += "author a\n";
  const auto authors = findings_of(ObjectType::kCommit, commit, "");
  EXPECT_EQ(authors.size(), kFindingsMax);
  EXPECT_TRUE(has_error(authors));
}

TEST(ObjectCheck, policies) {
  for (const Vector& vector : of_kind(family_vectors("object_check"), "policy")) {
    const auto policy = parse_check_policy(vector.bytes);
    EXPECT_EQ(policy.has_error(), vector.refused()) << vector.name;
    if (policy.has_error() && vector.refused()) {
      EXPECT_EQ(errc_name(policy.error().code()), vector.text("error"));
    }
  }
}

}  // namespace
}  // namespace vexor::format
