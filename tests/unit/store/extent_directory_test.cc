// Hints where extents begin.
#include "store/extent_directory.h"

#include <gtest/gtest.h>

namespace vexor::store {
namespace {

TEST(ExtentDirectory, finds_the_extent_that_holds_a_number) {
  ExtentDirectory directory;
  EXPECT_FALSE(directory.find(1, 0));
  directory.note(1, 10, 5);
  directory.note(1, 20, 1);
  directory.note(2, 12, 9);
  EXPECT_FALSE(directory.find(1, 9));
  EXPECT_EQ(directory.find(1, 10), 10U);
  EXPECT_EQ(directory.find(1, 14), 10U);
  EXPECT_FALSE(directory.find(1, 15));
  EXPECT_EQ(directory.find(1, 20), 20U);
  EXPECT_EQ(directory.find(2, 20), 12U);
  EXPECT_FALSE(directory.find(2, 10));
  EXPECT_FALSE(directory.find(3, 12));
}

TEST(ExtentDirectory, a_merged_extent_takes_the_place_of_those_that_it_was_made_from) {
  ExtentDirectory directory;
  directory.note(1, 0, 4);
  directory.note(1, 4, 4);
  directory.note(1, 8, 4);
  directory.note(2, 4, 4);
  directory.note(1, 0, 8);
  EXPECT_EQ(directory.find(1, 5), 0U);
  EXPECT_EQ(directory.find(1, 8), 8U);
  EXPECT_EQ(directory.find(2, 5), 4U);
}

TEST(ExtentDirectory, numbers_at_the_end_of_their_range_do_not_wrap) {
  ExtentDirectory directory;
  directory.note(1, 0xFFFFFFF0U, 16);
  EXPECT_EQ(directory.find(1, 0xFFFFFFFFU), 0xFFFFFFF0U);
  EXPECT_FALSE(directory.find(1, 0));
}

}  // namespace
}  // namespace vexor::store
