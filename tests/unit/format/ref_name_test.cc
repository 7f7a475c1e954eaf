#include "format/ref_name.h"

#include <chrono>
#include <random>

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

bool matches_by_trying(Bytes pattern, Bytes name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] != '*') return !name.empty() && name[0] == pattern[0] && matches_by_trying(pattern.substr(1), name.substr(1));
  for (std::size_t skipped = 0; skipped <= name.size(); ++skipped) {
    if (matches_by_trying(pattern.substr(1), name.substr(skipped))) return true;
  }
  return false;
}

TEST(RefName, a_pattern_matches_what_trying_all_ways_matches) {
  std::mt19937 random(7);
  const auto text = [&](Bytes letters, std::size_t chars_max) {
    std::string out(random() % (chars_max + 1), ' ');
    for (char& c : out) c = letters[random() % letters.size()];
    return out;
  };
  int matched = 0;
  for (int i = 0; i < 200'000; ++i) {
    const std::string pattern = text("aab**", 9);
    const std::string name = text("aab", 12);
    const bool expected = matches_by_trying(pattern, name);
    matched += expected ? 1 : 0;
    ASSERT_EQ(ref_pattern_matches(pattern, name), expected) << pattern << " on " << name;
  }
  EXPECT_GT(matched, 10'000);
}

// A matcher that begins anew behind each place where a part nearly was would take minutes.
TEST(RefName, a_hostile_pattern_takes_time_in_proportion) {
  const std::string name(1'000'000, 'a');
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_FALSE(ref_pattern_matches("*" + std::string(500'000, 'a') + "b*", name));
  EXPECT_TRUE(ref_pattern_matches("*" + std::string(500'000, 'a') + "*a*", name));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(5));
}

}  // namespace
}  // namespace vexor::format
