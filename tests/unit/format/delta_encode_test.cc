#include "format/delta_encode.h"

#include <gtest/gtest.h>
#include <random>

#include "format/delta.h"

namespace vexor::format {
namespace {

std::string random_text(std::mt19937& random, std::size_t size, int letters) {
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>('a' + static_cast<int>(random() % static_cast<unsigned>(letters)));
  return out;
}

void expect_round_trip(const std::string& base, const std::string& object, std::size_t* size = nullptr) {
  const DeltaIndex index(base);
  std::string delta;
  ASSERT_TRUE(index.encode(object, object.size() * 2 + 64, delta));
  std::string made;
  const auto applied = apply_delta(base, delta, object.size(), made);
  ASSERT_TRUE(applied.has_value()) << applied.error().message();
  EXPECT_EQ(made, object);
  if (size != nullptr) *size = delta.size();
}

TEST(DeltaEncode, edges) {
  for (const std::string& base : {std::string(), std::string("x"), std::string(15, 'a'), std::string(16, 'a'), std::string(70000, 'a'), std::string("0123456789abcdef")}) {
    for (const std::string& object : {std::string(), std::string("x"), std::string(15, 'a'), std::string(17, 'a'), std::string(200000, 'a'), std::string("0123456789abcdef!")}) {
      expect_round_trip(base, object);
    }
  }
}

TEST(DeltaEncode, what_it_makes_apply_delta_undoes) {
  std::mt19937 random(7);
  for (int round = 0; round < 400; ++round) {
    std::string base = random_text(random, random() % 5000, 1 + static_cast<int>(random() % 26));
    std::string object = base;
    for (unsigned edits = random() % 12; edits > 0 && !object.empty(); --edits) {
      const std::size_t at = random() % object.size();
      const std::size_t size = std::min<std::size_t>(random() % 400, object.size() - at);
      switch (random() % 4) {
        case 0: object.erase(at, size); break;
        case 1: object.insert(at, random_text(random, size, 26)); break;
        case 2: object.insert(at, base.substr(0, size)); break;
        default: object.replace(at, size, random_text(random, size, 26)); break;
      }
    }
    expect_round_trip(base, object);
  }
}

TEST(DeltaEncode, small_changes_make_small_deltas) {
  std::mt19937 random(8);
  const std::string base = random_text(random, 100'000, 26);
  std::string object = base;
  object.replace(50'000, 3, "...");
  object.insert(70'000, "and some more");
  std::size_t size = 0;
  expect_round_trip(base, object, &size);
  EXPECT_LT(size, 60U);
  object = base.substr(60'000) + base.substr(0, 60'000);  // moved
  expect_round_trip(base, object, &size);
  EXPECT_LT(size, 40U);
}

TEST(DeltaEncode, no_delta_over_the_limit) {
  std::mt19937 random(9);
  const std::string base = random_text(random, 3000, 26);
  const std::string object = base.substr(0, 1500) + random_text(random, 1000, 26);
  const DeltaIndex index(base);
  std::string delta;
  ASSERT_TRUE(index.encode(object, 5000, delta));
  const std::string whole = delta;
  for (std::size_t max = 0; max < 1200; max += 7) {
    const bool made = index.encode(object, max, delta);
    EXPECT_EQ(made, whole.size() <= max);
    if (made) EXPECT_EQ(delta, whole);
  }
}

}  // namespace
}  // namespace vexor::format
