#include "store/pool_uses.h"

#include <gtest/gtest.h>

namespace vexor::store {
namespace {

TEST(PoolUses, a_pool_is_idle_from_its_last_use_or_the_start) {
  PoolUses uses(1000);
  EXPECT_EQ(uses.idle_ms(1, 10, 5000), 4000);
  uses.note(1, 6000);
  EXPECT_EQ(uses.idle_ms(1, 10, 7000), 1000);
  uses.note(1, 5500);  // another thread's, later
  EXPECT_EQ(uses.idle_ms(1, 10, 7000), 1000);
  EXPECT_EQ(uses.idle_ms(2, 10, 7000), 6000);
}

TEST(PoolUses, objects_that_came_are_a_use) {
  PoolUses uses(0);
  EXPECT_EQ(uses.idle_ms(1, 10, 5000), 5000);
  EXPECT_EQ(uses.idle_ms(1, 11, 9000), 0);
  EXPECT_EQ(uses.idle_ms(1, 11, 9500), 500);
}

TEST(PoolUses, cold_reads_count_until_they_are_forgotten) {
  PoolUses uses(0);
  EXPECT_FALSE(uses.any_cold_reads(1));
  uses.note_cold_read(7);
  uses.note_cold_read(7);
  EXPECT_EQ(uses.cold_reads(7), 2U);
  EXPECT_EQ(uses.cold_reads(8), 0U);
  EXPECT_TRUE(uses.any_cold_reads(2));
  EXPECT_FALSE(uses.any_cold_reads(3));
  uses.forget_cold_reads(7);
  EXPECT_FALSE(uses.any_cold_reads(1));
}

}  // namespace
}  // namespace vexor::store
