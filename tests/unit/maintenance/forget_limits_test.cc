// What bounds forgetting and recalling: rows in a record, members that are behind, tables in memory.
#include "support/forgetting_set.h"

namespace vexor {
namespace {

using namespace test;

TEST_F(Forget, one_recall_at_a_time_and_of_a_bounded_number_of_objects) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  const std::uint64_t then = primary_.log->last().sequence;
  drop(side.tip, "refs/heads/side");
  EXPECT_EQ(forget().objects_forgotten, 9U);
  {
    const auto first = make_recall_session(*far_.store, "a/b", then);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(recalled_pack(*far_.store, "a/b", then).error().code(), Errc::kConflict);
    EXPECT_TRUE(recalled_pack(*near_.store, "a/b", then).has_value());
  }
  EXPECT_EQ(recalled_pack(*far_.store, "a/none", then).error().code(), Errc::kNotFound);
  EXPECT_EQ(recalled_pack(*far_.store, "a/none", then).error().code(), Errc::kNotFound) << "a refused one holds the turn";
  far_.store->core().recall_objects_max = 8;
  EXPECT_EQ(recalled_pack(*far_.store, "a/b", then).error().code(), Errc::kLimitExceeded);
  far_.store->core().recall_objects_max = 9;
  EXPECT_TRUE(recalled_pack(*far_.store, "a/b", then).has_value());
}

// Of an id that was forgotten twice the bytes may be gone of the first number only.
TEST_F(Forget, what_was_forgotten_twice_is_recalled_once) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  const std::uint64_t then = primary_.log->last().sequence;
  drop(side.tip, "refs/heads/side");
  EXPECT_EQ(forget().objects_forgotten, 9U);
  EXPECT_EQ(drop_bytes(far_), 9U);
  request(side.request);
  drop(side.tip, "refs/heads/side");
  EXPECT_EQ(forget().objects_forgotten, 9U);
  for (Member* member : {&near_, &far_}) {
    const auto pack = recalled_pack(*member->store, "a/b", then);
    ASSERT_TRUE(pack.has_value()) << pack.error().message();
    EXPECT_EQ(Bytes(pack.value()).substr(8, 4), Bytes("\0\0\0\x09", 4)) << "objects of the pack";
  }
}

}  // namespace
}  // namespace vexor
