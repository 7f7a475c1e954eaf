#include "format/gitmodules_check.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

std::string finding_of(Bytes content) {
  const auto finding = check_gitmodules(content);
  return finding ? std::string(finding->id) : std::string();
}

TEST(Gitmodules, vectors_whole_and_cut) {
  for (const Vector& vector : of_kind(family_vectors("gitmodules"), "content")) {
    SCOPED_TRACE(vector.name);
    EXPECT_EQ(finding_of(vector.bytes), vector.text_or("finding", ""));
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) finding_of(Bytes(vector.bytes).substr(0, cut));
  }
}

TEST(Gitmodules, names_that_file_systems_take_for_it) {
  for (const Vector& vector : of_kind(family_vectors("gitmodules"), "name")) {
    EXPECT_EQ(is_dot_gitmodules(vector.bytes), vector.flag("taken")) << vector.name;
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) is_dot_gitmodules(Bytes(vector.bytes).substr(0, cut));
  }
}

}  // namespace
}  // namespace vexor::format
