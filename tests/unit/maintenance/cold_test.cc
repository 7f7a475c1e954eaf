// The cold form: fewer octets, the same objects with the same numbers, readable at any time, and back again.
#include "format/extent.h"
#include "format/log_rows.h"
#include "log/record_rows.h"
#include "log/rows_reader.h"
#include "support/padded_stream.h"
#include "support/repository_fixtures.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

class Cold : public GrowingRepository {
 protected:
  // One commit with a blob of `content`, which may be a delta on `base`.
  void push_blob(const std::string& content, const std::string& base = {}) {
    PackBuilder pack;
    const auto id = [](const std::string& of) { return hash_object(kAlgorithm, ObjectType::kBlob, of).value(); };
    const ObjectId blob = base.empty() ? pack.add(ObjectType::kBlob, content) : pack.add_delta(ObjectType::kBlob, id(base), base, content);
    const std::string tree = std::string("100644 f") + std::string(1, '\0') + std::string(blob.raw());
    std::string commit = "tree " + pack.add(ObjectType::kTree, tree).hex() + "\n";
    if (tip_) commit += "parent " + tip_->hex() + "\n";
    commit += "author A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\n" + std::to_string(round_++) + "\n";
    const ObjectId next = pack.add(ObjectType::kCommit, commit);
    ASSERT_TRUE(run_push(*store_, "a/b", push_request(tip_ ? *tip_ : ObjectId::null(kAlgorithm), next, "refs/heads/main", pack.finish())));
    tip_ = next;
  }
  static std::string noise(std::size_t size, std::uint32_t state) {
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
    return out;
  }
  MaintenanceFigures run(MaintenanceTask task, std::uint64_t bytes = 1U << 30U) {
    const auto figures = run_upkeep(*store_, only(task), bytes);
    EXPECT_TRUE(figures.has_value()) << figures.error().message();
    return figures.has_value() ? figures.value() : MaintenanceFigures();
  }
  std::size_t cold_extents() {
    std::size_t out = 0;
    for (const auto& [key, value] : family_rows(*backend_, Family::kExtents)) out += key.substr(12) == std::string(4, '\0') && format::is_cold_extent(value) ? 1U : 0U;
    const auto upkeep = store::read_pool_upkeep(*backend_->snapshot().value(), id_).value();
    EXPECT_EQ(upkeep.cold_extents, out);
    return out;
  }
  std::size_t bytes() {
    std::size_t out = 0;
    for (const auto& [key, value] : family_rows(*backend_, Family::kExtents)) out += value.size();
    return out;
  }
};

TEST_F(Cold, a_frozen_pool_is_smaller_and_shows_the_same) {
  push(100, 20);
  const auto objects = visible_objects(*store_, id_);
  const std::size_t before = bytes();
  const auto figures = run(MaintenanceTask::kFreeze);
  EXPECT_GE(figures.objects_frozen, objects.size());
  EXPECT_EQ(cold_extents(), extents());
  EXPECT_LT(bytes(), before * 3 / 4);
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  expect_sound(*store_, id_);
  EXPECT_EQ(run(MaintenanceTask::kFreeze).objects_frozen, 0U) << "nothing is left to do";
  EXPECT_LT(repository_stats(*store_, id_).value().stored_bytes, before);
}

TEST_F(Cold, a_thawed_pool_has_the_packs_that_its_cold_form_had) {
  push(50, 20);
  const auto objects = visible_objects(*store_, id_);
  run(MaintenanceTask::kFreeze);
  const std::string cold = bundle_of(*store_, id_);
  const auto figures = run(MaintenanceTask::kThaw);
  EXPECT_GE(figures.objects_thawed, objects.size());
  EXPECT_EQ(cold_extents(), 0U);
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  EXPECT_EQ(bundle_of(*store_, id_), cold);
  expect_sound(*store_, id_);
  // And again.
  run(MaintenanceTask::kFreeze);
  EXPECT_EQ(cold_extents(), extents());
  EXPECT_EQ(bundle_of(*store_, id_), cold);
}

TEST_F(Cold, small_steps_come_to_the_same) {
  push(60, 10);
  const auto objects = visible_objects(*store_, id_);
  run(MaintenanceTask::kFreeze, 1);
  EXPECT_EQ(cold_extents(), extents());
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  run(MaintenanceTask::kThaw, 1);
  EXPECT_EQ(cold_extents(), 0U);
  EXPECT_EQ(visible_objects(*store_, id_), objects);
}

TEST_F(Cold, pushes_build_upon_cold_objects) {
  const std::string base = noise(20'000, 7);
  push_blob(base);
  run(MaintenanceTask::kFreeze);
  push_blob(base + "and more", base);  // a delta on a cold object
  push_blob(base);                     // one that the pool has
  push(3);
  expect_sound(*store_, id_);
  const auto objects = visible_objects(*store_, id_);
  run(MaintenanceTask::kFreeze);
  EXPECT_EQ(cold_extents(), extents());
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  expect_sound(*store_, id_);
}

TEST_F(Cold, what_comes_one_by_one_is_put_together) {
  for (int i = 0; i < 200; ++i) {
    push(1, 3);
    run(MaintenanceTask::kFreeze);
  }
  EXPECT_EQ(cold_extents(), extents());
  EXPECT_LT(extents(), 20U);
  expect_sound(*store_, id_);
}

TEST_F(Cold, large_objects) {
  const std::string chunked = noise(1'000'000, 1);              // over 256 KiB deflated: chunk rows
  const std::string large = std::string(5'000'000, 'x');        // little to store, but more contents than a frame may have
  const std::string both = noise(4'500'000, 2);
  push_blob(chunked);
  push_blob(large);
  push_blob(both);
  push_blob("");
  const auto objects = visible_objects(*store_, id_);
  run(MaintenanceTask::kFreeze);
  EXPECT_GT(cold_extents(), 0U);
  EXPECT_LT(cold_extents(), extents()) << "objects over kColdContentsMax stay as they are";
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  const std::string cold = bundle_of(*store_, id_);
  run(MaintenanceTask::kThaw);
  EXPECT_EQ(cold_extents(), 0U);
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  EXPECT_EQ(bundle_of(*store_, id_), cold);
  expect_sound(*store_, id_);
}

TEST_F(Cold, a_stream_beyond_any_bound_that_is_stored_stays_as_it_is) {
  push_blob("z");
  push(30);
  const auto objects = visible_objects(*store_, id_);
  const ObjectId id = hash_object(kAlgorithm, ObjectType::kBlob, "z").value();
  ASSERT_TRUE(store_padded(*backend_, id, "z", 4U << 20U).has_value());
  const auto chunks = [&] {
    std::size_t out = 0;
    for (const auto& [key, value] : family_rows(*backend_, Family::kExtents)) out += format::has_extent_header(key) ? 0U : 1U;
    return out;
  };
  const std::size_t before = chunks();
  EXPECT_EQ(before, 16U);
  for (const MaintenanceTask task : {MaintenanceTask::kMerge, MaintenanceTask::kRedelta, MaintenanceTask::kFreeze, MaintenanceTask::kThaw}) {
    run(task);
    EXPECT_EQ(chunks(), before);
    EXPECT_EQ(visible_objects(*store_, id_), objects);
    expect_sound(*store_, id_);
  }
}

TEST_F(Cold, other_tasks_work_on_a_frozen_pool) {
  push(30, 5);
  const Push side = make_push(tip_, 1000, 5, "refs/heads/side", ObjectId::null(kAlgorithm));
  ASSERT_TRUE(run_push(*store_, "a/b", side.request));
  push(10, 5);
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(side.tip, "refs/heads/side")));
  run(MaintenanceTask::kFreeze);
  const auto objects = visible_objects(*store_, id_);
  run(MaintenanceTask::kMerge);
  run(MaintenanceTask::kRedelta);
  EXPECT_EQ(cold_extents(), extents()) << "merge and re-delta leave them alone";
  run(MaintenanceTask::kScrub);
  EXPECT_EQ(store_->core().damage->count(), 0U);
  EXPECT_EQ(run(MaintenanceTask::kSweep).objects_swept, 7U);
  EXPECT_EQ(visible_objects(*store_, id_), objects);
  expect_sound(*store_, id_);
  run(MaintenanceTask::kFreeze);
  EXPECT_EQ(cold_extents(), extents());
  expect_sound(*store_, id_);
  ASSERT_TRUE(rebuild_derived(*store_).has_value());
  expect_sound(*store_, id_);
  run(MaintenanceTask::kThaw);
  EXPECT_EQ(cold_extents(), 0U);
  expect_sound(*store_, id_);
}

TEST_F(Cold, a_pool_that_is_used_is_not_frozen_and_thawed_after_a_fetch) {
  push(20);
  MaintenanceOptions options = only(MaintenanceTask::kFreeze);
  options.policy->freeze_idle_seconds = 3600;
  EXPECT_EQ(run_upkeep(*store_, options).value().objects_frozen, 0U);
  run(MaintenanceTask::kFreeze);
  options = only(MaintenanceTask::kThaw);
  options.policy->thaw_fetches = 2;
  EXPECT_EQ(run_upkeep(*store_, options).value().objects_thawed, 0U);
  EXPECT_FALSE(thaw_wanted(*store_));
  bundle_of(*store_, id_);
  EXPECT_TRUE(thaw_wanted(*store_));
  EXPECT_EQ(run_upkeep(*store_, options).value().objects_thawed, 0U);
  bundle_of(*store_, id_);
  EXPECT_GT(run_upkeep(*store_, options).value().objects_thawed, 0U);
  EXPECT_FALSE(thaw_wanted(*store_));
  EXPECT_EQ(cold_extents(), 0U);
}

TEST_F(Cold, readers_of_an_old_snapshot_see_the_old_rows) {
  push(40);
  const auto now = store::open_repository_snapshot(store_->core(), id_).value();
  pack::ObjectReader hot(now.snapshot, now.row.pool, kAlgorithm, Limits{}, &store_->core().extents);
  run(MaintenanceTask::kFreeze);
  const auto frozen = store::open_repository_snapshot(store_->core(), id_).value();
  pack::ObjectReader cold(frozen.snapshot, now.row.pool, kAlgorithm, Limits{}, &store_->core().extents);
  run(MaintenanceTask::kThaw);
  for (std::uint32_t number = 0; number < 160; ++number) {
    const auto a = hot.read(number);
    const auto b = cold.read(number);
    ASSERT_TRUE(a.has_value() && b.has_value()) << number;
    EXPECT_EQ(*a.value(), *b.value());
  }
}

// What another member of a replica set gets of a record whose objects are cold here.
TEST_F(Cold, rows_for_other_members_are_not_cold) {
  push(30, 5);
  run(MaintenanceTask::kFreeze);
  const auto snapshot = store_->core().backend->snapshot().value();
  std::uint64_t records = 0;
  for (const auto& [key, value] : family_rows(*backend_, Family::kJournal)) {
    const auto record = format::decode_journal_record(value).value();
    if (record.object_count == 0) continue;
    log::StoredRowsReader reader(snapshot, record, kAlgorithm, Limits{}, false);
    const auto piece = reader.next();
    ASSERT_TRUE(piece.has_value()) << piece.error().message();
    log::RecordRows check(record, kAlgorithm);
    const auto rows = format::decode_log_rows(piece.value());
    ASSERT_TRUE(rows.has_value());
    for (const sys::Batch::Op& op : rows.value().rows.ops()) {
      const auto added = check.add(op.family, op.key, op.value);
      ASSERT_TRUE(added.has_value()) << added.error().message();
    }
    EXPECT_TRUE(check.check().has_value());
    EXPECT_TRUE(reader.next().value().empty());
    ++records;
  }
  EXPECT_EQ(records, 30U);
}

TEST_F(Cold, a_cold_extent_from_another_member_is_refused) {
  push(3);
  run(MaintenanceTask::kFreeze);
  const auto rows = family_rows(*backend_, Family::kExtents);
  format::JournalRecord record;
  record.pool = id_;
  record.object_count = 12;
  log::RecordRows check(record, kAlgorithm);
  const auto added = check.add(Family::kExtents, rows.begin()->first, rows.begin()->second);
  ASSERT_TRUE(added.has_error());
  EXPECT_EQ(added.error().code(), Errc::kProtocol);
}

TEST_F(Cold, damage_in_a_frame_is_told_and_hides_no_other_extent) {
  push(60, 40);
  run(MaintenanceTask::kFreeze);
  push(1);
  const auto rows = family_rows(*backend_, Family::kExtents);
  std::string row = rows.begin()->second;
  row[row.size() - 20] = static_cast<char>(row[row.size() - 20] ^ 0x55);
  sys::Batch batch;
  batch.put(Family::kExtents, rows.begin()->first, row);
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  const auto now = store::open_repository_snapshot(store_->core(), id_).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, Limits{});
  const auto bad = reader.read(0);
  ASSERT_TRUE(bad.has_error());
  EXPECT_EQ(bad.error().code(), Errc::kCorrupt);
  const std::uint32_t last = format::number_of_key(rows.rbegin()->first).value();
  EXPECT_TRUE(reader.read(last).has_value());
  const auto thawed = run_upkeep(*store_, only(MaintenanceTask::kThaw));
  ASSERT_TRUE(thawed.has_error()) << "thawing stops at it and changes nothing of it";
  EXPECT_EQ(family_rows(*backend_, Family::kExtents).at(rows.begin()->first), row);
}

}  // namespace
}  // namespace vexor
