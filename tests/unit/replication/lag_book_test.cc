// How far members are behind, as their primary tells it.
#include "replication/host/lag_book.h"

#include <gtest/gtest.h>

namespace vexor::replication {
namespace {

TEST(LagBook, tells_records_octets_and_time) {
  LagBook book;
  for (Sequence i = 11; i <= 20; ++i) book.appended(i, 100 * i, static_cast<Millis>(1000 * i));
  const Lag whole = book.of(20, 20, 30'000);
  EXPECT_EQ(whole.records, 0U);
  EXPECT_EQ(whole.bytes, 0U);
  EXPECT_EQ(whole.ms, 0);
  const Lag behind = book.of(17, 20, 30'000);
  EXPECT_EQ(behind.records, 3U);
  EXPECT_EQ(behind.bytes, 1800U + 1900U + 2000U);
  EXPECT_EQ(behind.ms, 30'000 - 18'000);
  EXPECT_EQ(book.of(10, 20, 30'000).bytes, 15'500U);  // all that was appended here
}

TEST(LagBook, tells_of_a_part_of_what_was_appended) {
  LagBook book;
  for (Sequence i = 11; i <= 20; ++i) book.appended(i, 100 * i, static_cast<Millis>(1000 * i));
  const Lag part = book.of(12, 15, 30'000);  // 16 to 20 are not committed
  EXPECT_EQ(part.records, 3U);
  EXPECT_EQ(part.bytes, 1300U + 1400U + 1500U);
  EXPECT_EQ(part.ms, 30'000 - 13'000);
  EXPECT_EQ(book.of(15, 12, 30'000).bytes, 0U);
}

TEST(LagBook, of_what_it_does_not_remember_it_tells_the_number) {
  LagBook book;
  for (Sequence i = 11; i <= 20; ++i) book.appended(i, 1, 1);
  book.forget_to(15);
  EXPECT_EQ(book.of(15, 20, 9).bytes, 5U);
  const Lag early = book.of(14, 20, 9);
  EXPECT_EQ(early.records, 6U);
  EXPECT_FALSE(early.bytes || early.ms);
  book.appended(30, 1, 1);  // of another reign
  EXPECT_FALSE(book.of(20, 30, 9).bytes);
  EXPECT_EQ(book.of(29, 30, 9).bytes, 1U);
  EXPECT_FALSE(book.of(30, 31, 9).bytes);  // it has not seen the last one
  book.clear();
  EXPECT_EQ(book.of(29, 30, 9).records, 1U);
}

TEST(LagBook, is_bounded) {
  LagBook book;
  for (Sequence i = 1; i <= kLagMarksMax + 10; ++i) book.appended(i, 1, 1);
  EXPECT_FALSE(book.of(5, kLagMarksMax + 10, 9).bytes);
  EXPECT_EQ(book.of(10, kLagMarksMax + 10, 9).bytes, kLagMarksMax);
}

}  // namespace
}  // namespace vexor::replication
