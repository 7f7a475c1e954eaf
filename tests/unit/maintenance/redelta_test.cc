// Re-delta: smaller, the same objects, whatever deltas were there before.
#include <random>

#include "support/scratch_directory.h"
#include "support/upkeep.h"
#include "vexorstore/sys/backends.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

class Redelta : public testing::Test {
 protected:
  Redelta() : backend_(sys::make_memory_backend()), store_(open(*backend_)) {
    id_ = store_->create_repository("a/b", {}, {}).value().id;
    for (int i = 0; i < 12; ++i) files_.push_back(lines(200));
  }
  std::string lines(int count) {
    std::string out;
    for (int i = 0; i < count; ++i) out += "line " + std::to_string(random_()) + " of some length\n";
    return out;
  }
  // A commit that changes some files; as whole objects, or as deltas on the version before (chains of old upon new never).
  void push(const std::string& name, const std::string& ref, bool deltas, std::optional<ObjectId> parent, ObjectId old) {
    PackBuilder pack;
    std::string tree;
    for (std::size_t i = 0; i < files_.size(); ++i) {
      const std::string before = files_[i];
      if (random_() % 3 == 0 || !parent) {
        files_[i].insert(random_() % files_[i].size(), lines(2));
        if (deltas && parent) pack.add_delta(ObjectType::kBlob, hash_object(kAlgorithm, ObjectType::kBlob, before).value(), before, files_[i]);
        else pack.add(ObjectType::kBlob, files_[i]);
      }
      const ObjectId blob = hash_object(kAlgorithm, ObjectType::kBlob, files_[i]).value();
      tree += "100644 file" + std::to_string(100 + i) + ".txt" + std::string(1, '\0') + std::string(blob.raw());
    }
    const ObjectId tree_id = pack.add(ObjectType::kTree, tree);
    std::string commit = "tree " + tree_id.hex() + "\n";
    if (parent) commit += "parent " + parent->hex() + "\n";
    const std::string who = "A <a@b> " + std::to_string(1'700'000'000 + round_++) + " +0000\n";
    commit += "author " + who + "committer " + who + "\nx\n";
    tip_ = pack.add(ObjectType::kCommit, commit);
    ASSERT_TRUE(run_push(*store_, name, push_request(old, tip_, ref, pack.finish())));
  }
  void history(int commits, bool deltas) {
    for (int i = 0; i < commits; ++i) {
      push("a/b", "refs/heads/main", deltas, tip_.is_null() ? std::nullopt : std::optional(tip_), tip_);
    }
  }
  std::uint64_t stored() { return repository_stats(*store_, id_).value().stored_bytes; }
  // Follows every delta of the pool.
  void expect_chains(std::uint32_t depth_max) {
    for (const auto& [key, value] : family_rows(*backend_, Family::kExtents)) {
      const auto first = format::number_of_key(key).value();
      const auto header = format::decode_extent_header(first, kAlgorithm, value).value();
      for (const auto& object : header.objects) EXPECT_LE(object.depth, depth_max);
    }
  }
  void redelta_and_compare(std::uint64_t step_bytes = 1U << 30U) {
    const auto objects = visible_objects(*store_, id_);
    const auto figures = run_upkeep(*store_, only(MaintenanceTask::kRedelta), step_bytes);
    ASSERT_TRUE(figures.has_value()) << figures.error().message();
    EXPECT_EQ(visible_objects(*store_, id_), objects);
    expect_sound(*store_, id_);
  }

  std::mt19937 random_{1};
  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  ObjectId tip_ = ObjectId::null(kAlgorithm);
  std::vector<std::string> files_;
  int round_ = 0;
};

TEST_F(Redelta, whole_objects_become_deltas) {
  history(40, false);
  const std::uint64_t before = stored();
  redelta_and_compare();
  EXPECT_LT(stored() * 4, before);
  expect_chains(50);
  // The pack of a clone is made of the new forms, and its cached checksum is not that of the old ones.
  const std::string bundle = bundle_of(*store_, id_);
  const std::size_t pack = bundle.find("PACK");
  PackChecksum sum(kAlgorithm);
  sum.update(Bytes(bundle).substr(pack, bundle.size() - pack - 20));
  EXPECT_EQ(sum.finish(), bundle.substr(bundle.size() - 20));
  const std::uint64_t after = stored();
  redelta_and_compare();
  EXPECT_LE(stored(), after);
}

TEST_F(Redelta, what_was_replaced_leaves_the_files) {
  history(40, false);
  const auto stale = [&] { return store::read_pool_upkeep(*backend_->snapshot().value(), store::open_repository_snapshot(store_->core(), id_).value().row.pool).value().stale_bytes; };
  MaintenanceOptions options = only(MaintenanceTask::kRedelta);
  options.policy->compact_bytes_min = 1U << 30U;
  ASSERT_TRUE(run_upkeep(*store_, options).has_value());
  EXPECT_GT(stale(), 0U);
  options.policy->compact_bytes_min = 0;
  ASSERT_TRUE(run_upkeep(*store_, options).has_value());
  EXPECT_EQ(stale(), 0U);
}

// Really: also no snapshot of the task keeps it.
TEST_F(Redelta, what_was_replaced_leaves_the_disk) {
  const ScratchDirectory directory;
  store_.reset();
  backend_ = sys::open_rocksdb_backend(directory.path() / "store", {}).value();
  store_ = open(*backend_);
  id_ = store_->create_repository("a/b", {}, {}).value().id;
  history(80, false);
  const std::string first = format::pool_key(1), end = format::pool_key(2);
  std::string position;
  std::uint64_t bytes = 1U << 30U;
  while (backend_->compact(Family::kExtents, first, end, position, bytes).value()) bytes = 1U << 30U;
  const std::uint64_t before = backend_->approximate_bytes(Family::kExtents);
  MaintenanceOptions options = only(MaintenanceTask::kRedelta);
  options.policy->compact_bytes_min = 0;
  ASSERT_TRUE(run_upkeep(*store_, options).has_value());
  EXPECT_LT(backend_->approximate_bytes(Family::kExtents), before / 2);
  expect_sound(*store_, id_);
}

TEST_F(Redelta, cached_packs_are_those_of_the_forms) {
  history(10, false);
  const std::string before = bundle_of(*store_, id_);
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kRedelta)).has_value());
  const std::string bundle = bundle_of(*store_, id_);
  EXPECT_LT(bundle.size(), before.size());
  const std::size_t pack = bundle.find("PACK");
  PackChecksum sum(kAlgorithm);
  sum.update(Bytes(bundle).substr(pack, bundle.size() - pack - 20));
  EXPECT_EQ(sum.finish(), bundle.substr(bundle.size() - 20));
}

TEST_F(Redelta, chains_the_other_way_round_make_no_rings) {
  history(1, false);
  history(60, true);  // each version upon the one before; re-delta wants it the other way
  redelta_and_compare(1);
  expect_chains(50);
  history(30, true);
  redelta_and_compare();
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge)).has_value());
  redelta_and_compare();
  expect_chains(50);
}

TEST_F(Redelta, readers_of_an_old_snapshot_see_the_old_forms) {
  history(1, false);
  history(30, true);
  const auto now = store::open_repository_snapshot(store_->core(), id_).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, Limits{});
  const auto visible = pack::visible_set(store_->core(), now, reader).value();
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kRedelta)).has_value());
  for (const std::uint32_t number : *visible) ASSERT_TRUE(reader.read(number).has_value()) << number;
}

TEST_F(Redelta, forks_lend_no_bases) {
  history(10, false);
  const RepositoryId fork = store_->fork_repository("a/b", "c/fork", {}).value().id;
  const ObjectId shared = tip_;
  const auto files = files_;
  for (int i = 0; i < 8; ++i) push("c/fork", "refs/heads/theirs", false, tip_, i == 0 ? ObjectId::null(kAlgorithm) : tip_);
  tip_ = shared;
  files_ = files;
  history(8, false);
  const auto theirs = visible_objects(*store_, fork);
  redelta_and_compare();
  EXPECT_EQ(visible_objects(*store_, fork), theirs);
  for (const RepositoryId repository : {id_, fork}) {
    expect_sound(*store_, repository);
    const auto now = store::open_repository_snapshot(store_->core(), repository).value();
    pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, Limits{});
    const auto visible = pack::visible_set(store_->core(), now, reader).value();
    for (const std::uint32_t number : *visible) {
      const auto entry = reader.entry(number).value();
      if (entry.object.is_delta) EXPECT_TRUE(visible->contains(entry.object.base)) << number;
    }
  }
}

TEST_F(Redelta, large_objects_and_what_nobody_reaches_keep_sound) {
  std::string noise(700'000, '\0');
  for (char& c : noise) c = static_cast<char>(random_());
  files_.push_back(noise);
  history(6, false);
  const Push side = make_push(tip_, 5, 4, "refs/heads/side", ObjectId::null(kAlgorithm));
  ASSERT_TRUE(run_push(*store_, "a/b", side.request));
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(side.tip, "refs/heads/side")));
  const std::uint64_t before = stored();
  redelta_and_compare(1);
  EXPECT_LT(stored() * 2, before);
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kSweep)).has_value());
  redelta_and_compare();
  history(5, true);
  expect_sound(*store_, id_);
}

TEST_F(Redelta, a_pool_is_taken_up_when_it_has_grown) {
  history(30, false);
  MaintenanceOptions options = only(MaintenanceTask::kRedelta);
  options.policy->redelta_growth_percent = 25;
  EXPECT_GT(run_upkeep(*store_, options).value().objects_redeltaed, 0U);
  history(1, false);
  EXPECT_EQ(run_upkeep(*store_, options).value().objects_redeltaed, 0U);
  history(30, false);
  EXPECT_GT(run_upkeep(*store_, options).value().objects_redeltaed, 0U);
}

}  // namespace
}  // namespace vexor
