#include "format/ref_name.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

TEST(RefName, vectors_follow_check_ref_format) {
  for (const Vector& vector : of_kind(family_vectors("ref_name"), "name")) {
    EXPECT_EQ(is_valid_ref_name(vector.bytes), vector.flag("valid")) << vector.name << ": " << vector.bytes.substr(0, 60);
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) is_valid_ref_name(Bytes(vector.bytes).substr(0, cut));
  }
}

TEST(RefName, patterns) {
  for (const Vector& vector : of_kind(family_vectors("ref_name"), "pattern")) {
    for (const std::string& name : vector.all("match")) EXPECT_TRUE(ref_pattern_matches(vector.bytes, name)) << vector.name << ": " << name;
    for (const std::string& name : vector.all("no_match")) EXPECT_FALSE(ref_pattern_matches(vector.bytes, name)) << vector.name << ": " << name;
  }
}

}  // namespace
}  // namespace vexor::format
