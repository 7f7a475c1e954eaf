#include "common/login_limits.h"

#include <gtest/gtest.h>

namespace vexor::frontend {
namespace {

constexpr std::int64_t kStart = 1'000'000;

// The wait that the next failure brings, in milliseconds, counted from `now`.
std::int64_t wait_after_failure(LoginLimits& limits, const std::string& key, std::int64_t now) {
  limits.add_failure(key, now);
  std::int64_t wait = 0;
  while (limits.is_blocked(key, now + wait)) wait += 1000;
  return wait;
}

TEST(LoginLimits, each_failure_after_a_few_doubles_the_wait) {
  LoginLimits limits;
  for (unsigned i = 0; i < LoginLimits::kFreeFailures; ++i) EXPECT_EQ(wait_after_failure(limits, "a", kStart), 0);
  for (const std::int64_t seconds : {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}) EXPECT_EQ(wait_after_failure(limits, "a", kStart), seconds * 1000);
  EXPECT_EQ(wait_after_failure(limits, "a", kStart), LoginLimits::kBlockMsMax);
  EXPECT_FALSE(limits.is_blocked("b", kStart));
}

TEST(LoginLimits, mistakes_of_all_time_do_not_add_up) {
  LoginLimits limits;
  std::int64_t now = kStart;
  for (int day = 0; day < 200; ++day, now += 24LL * 3600 * 1000) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(wait_after_failure(limits, "office", now), 0) << "day " << day;
  }
  // Two in each half-life come to rest below the free ones.
  for (int i = 0; i < 100; ++i, now += LoginLimits::kHalfLifeMs / 2) EXPECT_EQ(wait_after_failure(limits, "office", now), 0) << i;
}

TEST(LoginLimits, what_was_counted_halves_and_is_not_gone) {
  LoginLimits limits;
  for (int i = 0; i < 16; ++i) limits.add_failure("a", kStart);
  EXPECT_TRUE(limits.is_blocked("a", kStart + LoginLimits::kBlockMsMax - 1));
  EXPECT_EQ(wait_after_failure(limits, "a", kStart + LoginLimits::kHalfLifeMs), 8000);      // the ninth
  EXPECT_EQ(wait_after_failure(limits, "a", kStart + 2 * LoginLimits::kHalfLifeMs), 0);     // the fifth
  EXPECT_EQ(wait_after_failure(limits, "a", kStart + 100 * LoginLimits::kHalfLifeMs), 0);   // the first
}

TEST(LoginLimits, a_flood_of_names_frees_nobody_who_waits) {
  LoginLimits limits;
  for (int i = 0; i < 10; ++i) limits.add_failure("attacker", kStart);
  for (std::size_t i = 0; i < LoginLimits::kTrackedMax + 10; ++i) limits.add_failure("name" + std::to_string(i), kStart);
  EXPECT_LE(limits.tracked(), LoginLimits::kTrackedMax);
  EXPECT_TRUE(limits.is_blocked("attacker", kStart + 1));
}

TEST(LoginLimits, an_empty_key_counts_for_nobody) {
  LoginLimits limits;
  for (int i = 0; i < 20; ++i) limits.add_failure("", kStart);
  EXPECT_FALSE(limits.is_blocked("", kStart));
  EXPECT_EQ(limits.tracked(), 0U);
}

}  // namespace
}  // namespace vexor::frontend
