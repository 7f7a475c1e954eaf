// Making derived rows anew in a store that holds records which are not applied, and rows that have no record.
#include "support/leftovers.h"
#include "support/replica_pair.h"
#include "support/upkeep.h"
#include "vexorstore/maintenance.h"

namespace vexor {
namespace {

using namespace test;
using format::JournalRecord;
using sys::Family;

const ObjectId kNone = ObjectId::null(kAlgorithm);

class RebuildOfAMember : public testing::Test {
 protected:
  RebuildOfAMember() {
    EXPECT_TRUE(primary_.log->lead(1, primary_.sink).has_value());
    replicate(primary_, {&member_}, [&] { EXPECT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value()); });
    first_ = push(make_push(std::nullopt, 0, 3, "refs/heads/main", kNone), {&member_});
  }
  ObjectId push(const Push& push, std::vector<Member*> others) {
    replicate(primary_, std::move(others), [&] { EXPECT_TRUE(run_push(*primary_.store, "a/b", push.request)); });
    return push.tip;
  }
  // The last record of the primary, in the member and not applied there.
  void append_last() { ship(*primary_.log, *member_.log, primary_.sink.wait_for(primary_.log->last().sequence)); }
  void rebuild() {
    const auto done = rebuild_derived(*member_.store);
    ASSERT_TRUE(done.has_value()) << done.error().message();
  }
  Member primary_;
  Member member_;
  ObjectId first_;
};

// Another primary gives the same numbers to others.
TEST_F(RebuildOfAMember, numbers_of_a_record_that_is_cut_off_are_free_again) {
  Member other;
  for (const std::uint64_t sequence : {1U, 2U}) {
    ship(*primary_.log, *other.log, primary_.sink.wait_for(sequence));
    ASSERT_TRUE(other.log->apply(sequence).has_value());
  }
  push(make_push(first_, 1, 3, "refs/heads/main", first_), {});
  append_last();
  rebuild();
  ASSERT_TRUE(member_.log->cut(2).has_value());
  const auto follows = member_.log->follow();
  ASSERT_TRUE(follows.has_value());
  EXPECT_EQ(Leftovers(member_.backend->snapshot().value()).run().value(), 0U);
  ASSERT_TRUE(other.log->lead(2, other.sink).has_value());
  replicate(other, {}, [&] { EXPECT_TRUE(run_push(*other.store, "a/b", make_push(first_, 2, 4100, "refs/heads/main", first_).request)); });
  const LogEntry entry = other.sink.wait_for(3);
  ASSERT_TRUE(entry.rows_apart);
  ship(*other.log, *member_.log, entry);
  ASSERT_TRUE(member_.log->apply(3).has_value());
  expect_sound(*member_.store, 1);
  EXPECT_EQ(visible_objects(*member_.store, 1), visible_objects(*other.store, 1));
}

TEST_F(RebuildOfAMember, a_record_that_was_appended_before_is_whole_when_it_is_applied) {
  const auto index_of = [](Member& member) { return family_rows(*member.backend, Family::kIndex); };
  // A tip that no ref names any more, upon whose bitmap that of the appended record builds.
  push(make_push(first_, 1, 3, "refs/heads/main", first_), {&member_});
  push(make_push(first_, 2, 3, "refs/heads/again", kNone), {});
  append_last();
  const auto snapshot = member_.backend->snapshot().value();
  const JournalRecord record = format::decode_journal_record(primary_.sink.wait_for(primary_.log->last().sequence).record).value();
  const std::string tip_key = format::number_key(1, record.first_object + record.object_count - 1);
  const auto bitmap = snapshot->get(Family::kBitmaps, tip_key).value();
  ASSERT_TRUE(bitmap.has_value());
  const pack::BitmapRow row = pack::decode_bitmap_row(bitmap->bytes()).value();
  ASSERT_NE(row.base, format::kNoObject);
  ASSERT_LT(row.base, record.first_object) << "it builds on nothing: the test would show nothing";
  rebuild();
  EXPECT_EQ(index_of(member_), index_of(primary_));
  EXPECT_EQ(family_rows(*member_.backend, Family::kBitmaps)[tip_key], std::string(bitmap->bytes()));
  EXPECT_EQ(family_rows(*member_.backend, Family::kGraph)[tip_key], family_rows(*primary_.backend, Family::kGraph)[tip_key]);
  ASSERT_TRUE(member_.log->apply(record.sequence).has_value());
  expect_sound(*member_.store, 1);
  EXPECT_EQ(visible_objects(*member_.store, 1), visible_objects(*primary_.store, 1));
  EXPECT_EQ(bundle_of(*member_.store, 1), bundle_of(*primary_.store, 1));
}

TEST_F(RebuildOfAMember, rows_without_a_record_stay_out_of_the_index) {
  push(make_push(first_, 1, 4100, "refs/heads/large", kNone), {});
  const LogEntry large = primary_.sink.wait_for(3);
  ASSERT_TRUE(large.rows_apart);
  ship_rows(*primary_.log, *member_.log, large);
  const auto before = family_rows(*member_.backend, Family::kIndex);
  rebuild();
  EXPECT_EQ(family_rows(*member_.backend, Family::kIndex), before);
  ASSERT_TRUE(member_.log->append({large}).has_value());
  ASSERT_TRUE(member_.log->apply(3).has_value());
  expect_sound(*member_.store, 1);
  EXPECT_EQ(visible_objects(*member_.store, 1), visible_objects(*primary_.store, 1));
}

}  // namespace
}  // namespace vexor
