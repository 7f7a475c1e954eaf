// Merging small extents: fewer rows, the same objects, the same packs.
#include "support/repository_fixtures.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

class Merge : public GrowingRepository {};

TEST_F(Merge, many_small_pushes_become_few_rows) {
  push(200);
  const auto objects = visible_objects(*store_, id_);
  const std::string bundle = bundle_of(*store_, id_);
  EXPECT_EQ(extents(), 200U);
  const std::size_t shapes = family_rows(*backend_, Family::kShapes).size();
  const auto figures = run_upkeep(*store_, only(MaintenanceTask::kMerge));
  ASSERT_TRUE(figures.has_value()) << figures.error().message();
  EXPECT_EQ(figures.value().extents_merged, 200U - extents());
  EXPECT_LT(extents(), 5U);
  EXPECT_EQ(shapes, 200U);
  EXPECT_EQ(family_rows(*backend_, Family::kShapes).size(), 1U);
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  EXPECT_EQ(bundle_of(*store_, id_), bundle);
  expect_sound(*store_, id_);
  // Again: nothing to do. After more pushes: those only.
  EXPECT_EQ(run_upkeep(*store_, only(MaintenanceTask::kMerge)).value().extents_merged, 0U);
  push(20);
  EXPECT_GT(run_upkeep(*store_, only(MaintenanceTask::kMerge)).value().extents_merged, 15U);
  expect_sound(*store_, id_);
}

TEST_F(Merge, small_steps_come_to_the_same) {
  push(60);
  const std::string bundle = bundle_of(*store_, id_);
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge), 1).has_value());
  EXPECT_LT(extents(), 5U);
  EXPECT_EQ(bundle_of(*store_, id_), bundle);
}

TEST_F(Merge, a_store_that_was_opened_again_gives_no_number_twice) {
  push(40);
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge)).has_value());
  store_.reset();
  store_ = open(*backend_);
  push(3);
  push(1, 5000);
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge)).has_value());
  expect_sound(*store_, id_);
  ASSERT_TRUE(rebuild_derived(*store_).has_value());
  expect_sound(*store_, id_);
}

TEST_F(Merge, readers_of_an_old_snapshot_see_the_old_rows) {
  push(40);
  const auto now = store::open_repository_snapshot(store_->core(), id_).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, Limits{});
  ASSERT_TRUE(reader.entry(3).has_value());
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge)).has_value());
  for (std::uint32_t number = 0; number < 160; ++number) ASSERT_TRUE(reader.read(number).has_value()) << number;
}

TEST_F(Merge, what_is_in_quarantine_is_left_alone) {
  push(10);
  // As a bulk push leaves it that was cut off between its files and its commit: rows and their quarantine.
  const auto rows = family_rows(*backend_, Family::kExtents);
  sys::Batch batch;
  batch.put(Family::kQuarantine, std::next(rows.begin(), 5)->first.substr(0, 12), format::encode_quarantine_row({kAlgorithm, 8}));
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge)).has_value());
  const auto after = family_rows(*backend_, Family::kExtents);
  EXPECT_EQ(after.size(), 4U);
  for (const std::ptrdiff_t kept : {5, 6}) EXPECT_EQ(after.at(std::next(rows.begin(), kept)->first), std::next(rows.begin(), kept)->second);
}

TEST_F(Merge, two_at_once_are_refused) {
  const auto first = begin_maintenance(*store_, only(MaintenanceTask::kMerge));
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(begin_maintenance(*store_, only(MaintenanceTask::kMerge)).error().code(), Errc::kConflict);
  EXPECT_TRUE(maintenance_status(*store_).is_running);
}

}  // namespace
}  // namespace vexor
