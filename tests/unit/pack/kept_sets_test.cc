// Sets that are kept for clones: they never show more or less than the refs do.
#include "pack/kept_sets.h"

#include "support/durable_backend.h"
#include "support/push_builder.h"
#include "support/upkeep.h"
#include "support/vector_test.h"
#include "vexorstore/maintenance.h"

namespace vexor {
namespace {

using namespace test;

std::string members(const Roaring& set) {
  return std::to_string(set.minimum()) + "-" + std::to_string(set.maximum());
}

TEST(KeptSet, vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("meta"), "kept"), [](const Vector&, Bytes bytes) { return pack::decode_kept_set(bytes); },
      [](const Vector&, const pack::KeptSet& kept) { return pack::encode_kept_set(kept); },
      [](const Vector& vector, const pack::KeptSet& kept) {
        EXPECT_EQ(kept.sweeps, vector.number("sweeps"));
        EXPECT_EQ(members(kept.tips), vector.text("tips"));
        EXPECT_EQ(members(kept.set), vector.text("members"));
      });
}

class KeptSets : public testing::Test {
 protected:
  static constexpr int kBranches = 100;
  static constexpr int kCommits = 14;  // each a tree and two blobs: 5,600 objects in all, a large push

  void SetUp() override {
    memory = sys::make_memory_backend();
    reopen();
    id = store->create_repository("a/b", {}, {}).value().id;
    PackBuilder pack;
    std::string request;
    for (int branch = 0; branch < kBranches; ++branch) {
      std::optional<ObjectId> tip;
      for (int i = 0; i < kCommits; ++i) tip = add_commit(pack, tip, ++round, 2);
      tips.push_back(*tip);
      std::string line = none.hex() + " " + tip->hex() + " refs/heads/b" + std::to_string(branch);
      if (branch == 0) line += std::string(1, '\0') + " report-status";
      format::append_pkt_line(request, line);
    }
    format::append_flush(request);
    ASSERT_TRUE(run_push(*store, "a/b", request + pack.finish()));
    reopen();
  }

  void reopen() {  // nothing is cached then
    store.reset();
    store = open(*memory);
  }
  std::string ref(int branch) const { return "refs/heads/b" + std::to_string(branch); }
  std::size_t rows() const {
    std::size_t count = 0;
    for (const auto& [key, value] : family_rows(*memory, sys::Family::kMeta)) count += key[0] == 'v' ? 1 : 0;
    return count;
  }
  // The set that the refs of branches show, and whether a kept one served.
  Roaring shown(const std::string& name, bool& served) {
    const auto now = store::open_repository_snapshot(store->core(), store->find_repository(name).value()->id).value();
    pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, store->core().options.limits);
    pack::StoreSource source(store->core(), reader);
    pack::ReachabilityWalker walker(source, now.row.algorithm, store->core().options.limits, nullptr);
    std::vector<pack::ObjectNumber> all;
    for (const auto& named : store::read_refs(now).value()) {
      if (named.row.symref_target.empty() && !store::is_hidden(now.row, named.name)) all.push_back(named.row.number);
    }
    served = pack::reached_from_kept(source, walker, now.row.number, all).value() != nullptr;
    return *pack::visible_set(store->core(), now, reader).value();
  }
  // What a store without the rows shows.
  Roaring composed(const std::string& name) {
    const auto copy = copy_of(*memory);
    sys::Batch batch;
    batch.erase_range(sys::Family::kMeta, "v", "w");
    EXPECT_TRUE(copy->commit(batch, sys::Durability::kSynced).has_value());
    std::swap(store, other);
    store = open(*copy);
    bool served = true;
    Roaring set = shown(name, served);
    EXPECT_FALSE(served);
    store.reset();
    std::swap(store, other);
    return set;
  }
  void expect_same(const std::string& name, bool expect_served) {
    reopen();
    bool served = false;
    const Roaring set = shown(name, served);
    EXPECT_EQ(served, expect_served);
    EXPECT_TRUE(set == composed(name));
  }

  const ObjectId none = ObjectId::null(kAlgorithm);
  std::unique_ptr<sys::StorageBackend> memory;
  std::unique_ptr<Store> store;
  std::unique_ptr<Store> other;
  RepositoryId id = 0;
  std::vector<ObjectId> tips;
  int round = 0;
};

TEST_F(KeptSets, serve_after_a_start) {
  EXPECT_EQ(rows(), 2U);
  expect_same("a/b", true);
  expect_sound(*store, id);
}

TEST_F(KeptSets, serve_when_branches_moved_forward_and_came) {
  for (int branch = 0; branch < 5; ++branch) {
    PackBuilder pack;
    const ObjectId tip = add_commit(pack, tips[branch], ++round, 2);
    ASSERT_TRUE(run_push(*store, "a/b", push_request(tips[branch], tip, ref(branch), pack.finish())));
  }
  PackBuilder pack;
  const ObjectId tip = add_commit(pack, std::nullopt, ++round, 3);
  ASSERT_TRUE(run_push(*store, "a/b", push_request(none, tip, "refs/heads/new", pack.finish())));
  expect_same("a/b", true);
}

TEST_F(KeptSets, show_nothing_of_a_branch_that_was_deleted) {
  ASSERT_TRUE(run_push(*store, "a/b", delete_request(tips[3], ref(3))));
  expect_same("a/b", false);
}

TEST_F(KeptSets, show_nothing_of_a_branch_that_was_turned_back) {
  PackBuilder pack;
  const ObjectId tip = add_commit(pack, std::nullopt, ++round, 2);
  ASSERT_TRUE(run_push(*store, "a/b", push_request(tips[3], tip, ref(3), pack.finish())));
  expect_same("a/b", false);
}

TEST_F(KeptSets, show_nothing_of_refs_that_were_hidden) {
  RepositoryInfo info = *store->find_repository("a/b").value();
  info.hidden_refs = {ref(7)};
  ASSERT_TRUE(store->update_repository(info, {}).has_value());
  expect_same("a/b", false);
}

TEST_F(KeptSets, are_the_repository_s_own_and_go_with_it) {
  ASSERT_TRUE(store->fork_repository("a/b", "c/d", {}).has_value());
  expect_same("c/d", false);
  PackBuilder pack;
  const ObjectId tip = add_commit(pack, tips[0], ++round, 2);
  ASSERT_TRUE(run_push(*store, "c/d", push_request(tips[0], tip, ref(0), pack.finish())));
  expect_same("a/b", true);
  expect_same("c/d", false);
  ASSERT_TRUE(store->delete_repository("a/b", {}).has_value());
  ASSERT_TRUE(store->purge_repository("a/b", {}).has_value());
  EXPECT_EQ(rows(), 0U);
}

TEST_F(KeptSets, of_before_a_sweep_say_nothing) {
  PackBuilder pack;
  const ObjectId tip = add_commit(pack, std::nullopt, ++round, 2);
  ASSERT_TRUE(run_push(*store, "a/b", push_request(none, tip, "refs/heads/gone", pack.finish())));
  ASSERT_TRUE(run_push(*store, "a/b", delete_request(tip, "refs/heads/gone")));
  expect_same("a/b", true);
  ASSERT_TRUE(run_upkeep(*store, only(MaintenanceTask::kSweep)).has_value());
  expect_same("a/b", false);
  expect_sound(*store, id);
}

TEST_F(KeptSets, that_are_wrong_are_told_and_made_anew) {
  for (const pack::KeptKind kind : pack::kKeptKinds) {
    const std::string key = pack::kept_set_key(id, kind);
    pack::KeptSet kept = pack::decode_kept_set(family_rows(*memory, sys::Family::kMeta).at(key)).value();
    kept.set.add(4'000'000U);
    sys::Batch batch;
    batch.put(sys::Family::kMeta, key, pack::encode_kept_set(kept));
    ASSERT_TRUE(memory->commit(batch, sys::Durability::kSynced).has_value());
    reopen();
    EXPECT_GT(verify_repository(*store, id).value().problem_count, 0U);
    ASSERT_TRUE(rebuild_derived(*store, nullptr).has_value());
    reopen();
    expect_sound(*store, id);
  }
}

TEST_F(KeptSets, are_made_anew_by_repair) {
  ASSERT_TRUE(run_push(*store, "a/b", delete_request(tips[3], ref(3))));
  expect_same("a/b", false);
  reopen();
  ASSERT_TRUE(rebuild_derived(*store, nullptr).has_value());
  EXPECT_EQ(rows(), 2U);
  expect_same("a/b", true);
}

}  // namespace
}  // namespace vexor
