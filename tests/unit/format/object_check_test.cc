#include "format/object_check.h"

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
