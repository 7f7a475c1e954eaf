// What bounds forgetting and recalling: rows in a record, members that are behind, tables in memory.
#include "pack/reachability.h"
#include "support/forgetting_set.h"

namespace vexor {
namespace {

using namespace test;

// What the records erase is done by hand, one after the other: no bitmap is left without the one that it builds on.
TEST_F(Forget, rows_go_in_several_records_and_the_set_is_whole_after_each) {
  std::optional<ObjectId> tip = main_;
  std::vector<std::pair<std::string, ObjectId>> refs;
  for (int i = 0; i < 9; ++i) {
    refs.emplace_back("refs/heads/side" + std::to_string(i), push("refs/heads/side" + std::to_string(i), tip, i + 1, 1).tip);
    tip = i == 4 ? main_ : refs.back().second;
  }
  for (const auto& [ref, id] : refs) drop(id, ref);
  auto bitmaps = family_rows(*primary_.backend, Family::kBitmaps);
  ASSERT_EQ(bitmaps.size(), 10U);
  const auto lonely = [&] {
    return std::count_if(bitmaps.begin(), bitmaps.end(), [&](const auto& row) {
      const pack::BitmapRow decoded = pack::decode_bitmap_row(row.second).value();
      return decoded.base != store::kNoObject && !bitmaps.contains(format::number_key(1, decoded.base));
    });
  };
  ASSERT_TRUE(std::any_of(bitmaps.begin(), bitmaps.end(), [](const auto& row) { return pack::decode_bitmap_depth(row.second).value() > 1; })) << "none builds on another";
  const std::uint64_t before = primary_.log->last().sequence;
  primary_.store->core().forgetting_rows_max = 4;
  EXPECT_EQ(forget().objects_forgotten, 27U);
  std::uint64_t rows = 0;
  bool has_objects = false;
  for (std::uint64_t sequence = before + 1; sequence <= primary_.log->last().sequence; ++sequence) {
    const format::JournalRecord record = format::decode_journal_record(primary_.sink.wait_for(sequence).record).value();
    std::size_t count = 0;
    for (const format::RowChange& change : record.changes) {
      if (change.family == Family::kIndex) has_objects = true;
      if (change.family == Family::kBitmaps || change.family == Family::kGraph) ++count;
      if (change.family == Family::kBitmaps) bitmaps.erase(change.key);
    }
    if (!has_objects) EXPECT_LE(count, 4U);
    rows += has_objects ? 0 : count;
    EXPECT_EQ(lonely(), 0) << "after record " << sequence;
  }
  EXPECT_EQ(rows, 18U);
  EXPECT_EQ(bitmaps.size(), 1U);
  EXPECT_EQ(family_rows(*near_.backend, Family::kBitmaps), bitmaps);
  EXPECT_EQ(family_rows(*near_.backend, Family::kGraph).size(), 1U);
  expect_agreement();
}

// A pass that ends between them leaves rows for the next one.
TEST_F(Forget, what_a_pass_left_of_the_rows_goes_with_the_next_one) {
  std::optional<ObjectId> tip = main_;
  for (int i = 0; i < 6; ++i) tip = push("refs/heads/side", tip, i + 1, 1, i == 0 ? kNone : *tip).tip;
  drop(*tip, "refs/heads/side");
  primary_.store->core().forgetting_rows_max = 2;
  const std::uint64_t before = primary_.log->last().sequence;
  std::thread forgetting([&] { EXPECT_EQ(run_upkeep(*primary_.store, forget_only()).error().code(), Errc::kIndeterminate); });
  for (std::uint64_t next = before + 1; next <= before + 3; ++next) {
    const LogEntry entry = primary_.sink.wait_for(next);
    for (Member* member : {&near_, &far_}) ship(*primary_.log, *member->log, entry);
    for (Member* member : {&primary_, &near_, &far_}) ASSERT_TRUE(member->log->apply(next).has_value());
    if (next < before + 3) primary_.log->settle({next, 3, 3, true, true});
  }
  primary_.log->give_up(before + 3);
  forgetting.join();
  EXPECT_EQ(store::read_forgetting(*near_.backend->snapshot().value(), 1).value().objects, 0U);
  expect_agreement();
  EXPECT_EQ(forget().objects_forgotten, 18U);
  EXPECT_EQ(family_rows(*far_.backend, Family::kGraph).size(), 1U);
  expect_agreement();
}

TEST_F(Forget, nothing_while_somebody_is_behind_but_bytes_are_dropped) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  EXPECT_EQ(forget().objects_forgotten, 9U);
  const Push other = push("refs/heads/other", main_, 2, 3);
  drop(other.tip, "refs/heads/other");
  const std::uint64_t last = primary_.log->last().sequence;
  const std::uint64_t stored = stored_objects(*primary_.backend);
  primary_.sink.is_somebody_behind = true;
  const auto refused = run_upkeep(*primary_.store, sweep_in_set());
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), Errc::kRefused);
  EXPECT_EQ(refused.error().message(), "somebody is behind");
  EXPECT_EQ(primary_.log->last().sequence, last);
  EXPECT_EQ(stored_objects(*primary_.backend), stored - 9);
  EXPECT_TRUE(has(primary_, other.tip));
  primary_.sink.is_somebody_behind = false;
  EXPECT_EQ(forget().objects_forgotten, 5U);
  expect_agreement();
}

// Nor does a pass go on that began before.
TEST_F(Forget, a_pass_ends_when_somebody_gets_behind) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  const std::uint64_t before = primary_.log->last().sequence;
  std::optional<Errc> outcome;
  std::thread forgetting([&] {
    const auto done = run_upkeep(*primary_.store, forget_only());
    if (done.has_error()) outcome = done.error().code();
  });
  const LogEntry entry = primary_.sink.wait_for(before + 1);
  primary_.sink.is_somebody_behind = true;
  for (Member* member : {&near_, &far_}) ship(*primary_.log, *member->log, entry);
  for (Member* member : {&primary_, &near_, &far_}) ASSERT_TRUE(member->log->apply(before + 1).has_value());
  primary_.log->settle({before + 1, 3, 3, true, true});
  forgetting.join();
  EXPECT_EQ(outcome, Errc::kRefused);
  EXPECT_EQ(store::read_forgetting(*primary_.backend->snapshot().value(), 1).value().objects, 0U);
  EXPECT_EQ(primary_.log->last().sequence, before + 1);
  expect_agreement();
}

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
