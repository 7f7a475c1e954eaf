// The bitmap rows of large pushes and of many small ones: each stands for what its tip reaches, in few steps.
#include "pack/reachability.h"
#include "pack/reachability_walker.h"
#include "support/push_builder.h"
#include "support/upkeep.h"
#include "vexorstore/maintenance.h"

namespace vexor {
namespace {

using namespace test;

constexpr std::size_t kObjectsOfCommit = 3;  // itself, a tree, a blob
constexpr std::size_t kStepsMax = 52;        // readers stop at 64

struct Tip {
  std::string ref;
  ObjectId id;
  std::size_t commits = 0;  // that it reaches
};

// A push of many refs at once.
std::string request_of(const std::vector<Tip>& tips, PackBuilder& pack) {
  std::string request;
  for (const Tip& tip : tips) {
    std::string line = ObjectId::null(kAlgorithm).hex() + " " + tip.id.hex() + " " + tip.ref;
    if (request.empty()) line += std::string(1, '\0') + " report-status";
    format::append_pkt_line(request, line);
  }
  format::append_flush(request);
  return request + pack.finish();
}

class PushBitmaps : public testing::Test {
 protected:
  void SetUp() override {
    memory = sys::make_memory_backend();
    store = open(*memory);
    id = store->create_repository("a/b", {}, {}).value().id;
  }

  // `count` commits on `main`, a ref at each `step`th, and beside each of those `side` commits with a ref each.
  std::vector<Tip> grow(PackBuilder& pack, Tip& main, int count, int step, int side) {
    std::vector<Tip> tips;
    for (int i = 1; i <= count; ++i) {
      main = {"", add_commit(pack, main.commits > 0 ? std::optional(main.id) : std::nullopt, ++round, 1), main.commits + 1};
      if (i % step != 0) continue;
      tips.push_back({"refs/tags/t" + std::to_string(round), main.id, main.commits});
      Tip at = main;
      for (int k = 0; k < side; ++k) {
        at = {"", add_commit(pack, at.id, ++round, 1), at.commits + 1};
        at.ref = "refs/pull/" + std::to_string(round) + "/head";
        tips.push_back(at);
      }
    }
    return tips;
  }

  // Reads the row of each tip and those it builds on; returns how many members all rows have.
  std::size_t check(const std::vector<Tip>& tips) {
    const auto now = store::open_repository_snapshot(store->core(), id).value();
    pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, store->core().options.limits);
    const pack::StoreSource source(store->core(), reader);
    for (const Tip& tip : tips) {
      Roaring set;
      std::size_t steps = 0;
      for (auto number = *reader.find(tip.id).value(); number != pack::kNoObject; ++steps) {
        const auto row = source.bitmap_row(number).value();
        EXPECT_TRUE(row) << tip.ref;
        if (!row) break;
        EXPECT_FALSE(set.intersect(row->additions)) << tip.ref << ": rows tell of an object twice";
        set |= row->additions;
        number = row->base;
      }
      EXPECT_EQ(set.cardinality(), tip.commits * kObjectsOfCommit) << tip.ref;
      EXPECT_LE(steps, kStepsMax) << tip.ref;
    }
    std::size_t members = 0;
    for (const auto& [key, value] : family_rows(*memory, sys::Family::kBitmaps)) members += pack::decode_bitmap_row(value).value().additions.cardinality();
    expect_sound(*store, id);
    return members;
  }

  std::unique_ptr<sys::StorageBackend> memory;
  std::unique_ptr<Store> store;
  RepositoryId id = 0;
  int round = 0;
};

TEST_F(PushBitmaps, tips_beside_a_long_history_cost_what_they_add) {
  Tip main;
  PackBuilder pack;
  const auto tips = grow(pack, main, 1600, 8, 3);
  ASSERT_TRUE(run_push(*store, "a/b", request_of(tips, pack)));
  const std::size_t objects = tips.back().commits * kObjectsOfCommit + (tips.size() - 200) * kObjectsOfCommit;
  EXPECT_LT(check(tips), 6 * objects);  // 200 rows upon each other say each object some four times
}

TEST_F(PushBitmaps, large_pushes_and_small_ones_by_turns) {
  Tip main;
  std::vector<Tip> all;
  for (int turn = 0; turn < 3; ++turn) {
    PackBuilder pack;
    auto tips = grow(pack, main, 120, 3, turn);
    tips.push_back({"refs/heads/turn" + std::to_string(turn), main.id, main.commits});
    ASSERT_TRUE(run_push(*store, "a/b", request_of(tips, pack)));
    all.insert(all.end(), tips.begin(), tips.end());
    for (int i = 0; i < 70; ++i) {
      PackBuilder small;
      main = {"refs/heads/small" + std::to_string(turn) + "-" + std::to_string(i), add_commit(small, main.id, ++round, 1), main.commits + 1};
      ASSERT_TRUE(run_push(*store, "a/b", request_of({main}, small)));
      all.push_back(main);
    }
  }
  check(all);
}

// Each push leaves rows at the end of a chain that the next ones go on with: no chain grows without end.
TEST_F(PushBitmaps, large_pushes_upon_each_other) {
  Tip main;
  std::vector<Tip> all;
  for (int turn = 0; turn < 40; ++turn) {
    PackBuilder pack;
    auto tips = grow(pack, main, 2, 2, 1);
    for (int i = 0; i < 64; ++i) {
      tips.push_back({"refs/pull/" + std::to_string(turn) + "-" + std::to_string(i), add_commit(pack, main.id, ++round, 1), main.commits + 1});
    }
    ASSERT_TRUE(run_push(*store, "a/b", request_of(tips, pack)));
    all.insert(all.end(), tips.begin(), tips.end());
  }
  check(all);
}

// Histories that share nothing but what their trees name, here and there: each tip's row is as long as its set.
TEST_F(PushBitmaps, rows_of_a_push_are_bounded) {
  StoreOptions options;
  options.limits.ingest_memory_bytes = 16 << 10;
  store.reset();
  store = Store::open(std::make_unique<Forwarding>(*memory), options).value();
  PackBuilder pack;
  std::vector<ObjectId> blobs;
  for (int i = 0; i < 3000; ++i) blobs.push_back(pack.add(ObjectType::kBlob, "blob " + std::to_string(i)));
  std::vector<Tip> tips;
  std::vector<std::size_t> objects;
  for (int k = 0; k < 20; ++k) {
    std::string tree;
    std::size_t count = 2;
    for (int i = 0; i < 3000; ++i) {
      if (i * (k + 3) % 7 >= 3) continue;
      tree += "100644 f" + std::to_string(10'000 + i) + std::string(1, '\0') + std::string(blobs[static_cast<std::size_t>(i)].raw());
      ++count;
    }
    const std::string who = "A <a@b> " + std::to_string(1'700'000'000 + k) + " +0000\n";
    tips.push_back({"refs/heads/b" + std::to_string(k), pack.add(ObjectType::kCommit, "tree " + pack.add(ObjectType::kTree, tree).hex() + "\nauthor " + who + "committer " + who + "\nx\n"), 1});
    objects.push_back(count);
  }
  ASSERT_TRUE(run_push(*store, "a/b", request_of(tips, pack)));
  std::size_t bytes = 0;
  const auto rows = family_rows(*memory, sys::Family::kBitmaps);
  for (const auto& [key, value] : rows) bytes += value.size();
  EXPECT_GT(rows.size(), 0U);
  EXPECT_LT(rows.size(), tips.size());
  EXPECT_LT(bytes, options.limits.ingest_memory_bytes + 2048);
  store.reset();
  store = open(*memory);  // without what is in memory
  const auto now = store::open_repository_snapshot(store->core(), id).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, Limits{});
  pack::StoreSource source(store->core(), reader);
  pack::ReachabilityWalker walker(source, now.row.algorithm, Limits{}, nullptr);
  for (std::size_t k = 0; k < tips.size(); ++k) {
    Roaring set;
    ASSERT_TRUE(walker.add(*source.find(tips[k].id).value(), set).has_value());
    EXPECT_EQ(set.cardinality(), objects[k]);
  }
  expect_sound(*store, id);
  const auto before = visible_objects(*store, id);
  ASSERT_TRUE(run_push(*store, "a/b", make_push(tips.back().id, 1, 2, tips.back().ref, tips.back().id).request));
  EXPECT_EQ(visible_objects(*store, id).size(), before.size() + 4);
  ASSERT_TRUE(run_upkeep(*store, only(MaintenanceTask::kSweep)).has_value());
  expect_sound(*store, id);
}

TEST_F(PushBitmaps, repair_makes_rows_of_the_same_sets) {
  Tip main;
  PackBuilder pack;
  const auto tips = grow(pack, main, 400, 4, 2);
  ASSERT_TRUE(run_push(*store, "a/b", request_of(tips, pack)));
  const std::size_t before = check(tips);
  ASSERT_TRUE(rebuild_derived(*store, nullptr).has_value());
  EXPECT_LE(check(tips), before + before / 4);
}

}  // namespace
}  // namespace vexor
