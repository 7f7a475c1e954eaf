// LatestCache: one value for all who ask, too large ones as long as somebody holds them.
#include <gtest/gtest.h>

#include "store/store_core.h"

namespace vexor::store {
namespace {

constexpr std::size_t kRoom = 1000;

std::shared_ptr<const int> find(LatestCache<int>& cache, const std::string& key, std::uint64_t generation) {
  std::uint64_t found = 0;
  auto out = cache.find(key, found);
  EXPECT_TRUE(out == nullptr || found == generation);
  return out;
}

TEST(LatestCache, what_is_too_large_is_shared_while_it_is_held) {
  LatestCache<int> cache(kRoom);
  auto large = std::make_shared<const int>(1);
  cache.insert("a", 5, large, kRoom);
  EXPECT_EQ(find(cache, "a", 5), large);
  cache.insert("a", 4, std::make_shared<const int>(2), 1);  // somebody who began before
  EXPECT_EQ(find(cache, "a", 5), large);
  const auto later = std::make_shared<const int>(3);
  cache.insert("a", 6, later, kRoom);
  EXPECT_EQ(find(cache, "a", 6), later);
  large.reset();
  EXPECT_EQ(find(cache, "a", 6), later);
  EXPECT_EQ(find(cache, "b", 0), nullptr);
}

TEST(LatestCache, what_is_too_large_is_not_kept) {
  LatestCache<int> cache(kRoom);
  auto large = std::make_shared<const int>(1);
  const std::weak_ptr<const int> weak = large;
  cache.insert("a", 5, std::move(large), kRoom);
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(find(cache, "a", 5), nullptr);
}

TEST(LatestCache, a_value_that_shrinks_or_grows_is_the_latest) {
  LatestCache<int> cache(kRoom);
  const auto small = std::make_shared<const int>(1), large = std::make_shared<const int>(2), again = std::make_shared<const int>(3);
  cache.insert("a", 1, small, 1);
  EXPECT_EQ(find(cache, "a", 1), small);
  cache.insert("a", 2, large, kRoom);
  EXPECT_EQ(find(cache, "a", 2), large);
  cache.insert("a", 3, again, 1);
  EXPECT_EQ(find(cache, "a", 3), again);
  cache.insert("a", 2, large, kRoom);
  EXPECT_EQ(find(cache, "a", 3), again);
}

}  // namespace
}  // namespace vexor::store
