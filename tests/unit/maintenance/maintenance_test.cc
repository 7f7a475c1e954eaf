// Verifying, rebuilding derived rows, bundles, purging.
#include "vexorstore/maintenance.h"

#include <map>

#include "pack/reachability.h"
#include "support/push_builder.h"
#include "vexorstore/snapshot.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

class Maintenance : public testing::Test {
 protected:
  Maintenance() : backend_(sys::make_memory_backend()), store_(open(*backend_)) {
    id_ = store_->create_repository("a/b", {}, {}).value().id;
    std::optional<ObjectId> parent;
    ObjectId old_id = ObjectId::null(kAlgorithm);
    for (int round = 0; round < 6; ++round) {
      const Push push = make_push(parent, round, round == 3 ? 5000 : 10, "refs/heads/main", old_id);
      EXPECT_TRUE(run_push(*store_, "a/b", push.request));
      parent = old_id = tip_ = push.tip;
      if (round == 2) EXPECT_TRUE(store_->fork_repository("a/b", "c/fork", {}).has_value());
    }
    const Push side = make_push(std::nullopt, 77, 3, "refs/heads/side", ObjectId::null(kAlgorithm));
    EXPECT_TRUE(run_push(*store_, "c/fork", side.request));
  }

  std::map<std::string, std::string> rows(Family family) {
    std::map<std::string, std::string> out;
    const auto snapshot = backend_->snapshot().value();
    const auto cursor = snapshot->cursor(family);
    for (cursor->seek({}); cursor->valid(); cursor->next()) out.emplace(cursor->key(), cursor->value());
    return out;
  }
  // number -> shape, whatever the rows' boundaries.
  std::map<std::string, char> shapes() {
    std::map<std::string, char> out;
    for (const auto& [key, value] : rows(Family::kShapes)) {
      const auto first = format::number_of_key(key).value();
      for (std::size_t i = 0; i < value.size(); ++i) out[key.substr(0, 8) + std::to_string(first + i)] = value[i];
    }
    return out;
  }
  std::map<std::string, Roaring> sets() {
    std::map<std::string, Roaring> out;
    const auto repositories = store_->list_repositories().value();
    for (const auto& info : repositories) {
      const auto now = store::open_repository_snapshot(store_->core(), info.id).value();
      pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, Limits{});
      pack::StoreSource source(store_->core(), reader);
      const auto refs = store::read_refs(now).value();
      for (const auto& ref : refs) {
        if (!ref.row.symref_target.empty()) continue;
        const auto set = source.stored_set(ref.row.number).value();
        EXPECT_TRUE(set) << ref.name << " has no bitmap";
        if (set) out[info.name + " " + ref.name] = *set;
      }
    }
    return out;
  }
  void put(Family family, const std::string& key, const std::string& value) {
    sys::Batch batch;
    batch.put(family, key, value);
    ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  }
  void reopen() {
    store_.reset();
    store_ = open(*backend_);
  }

  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  ObjectId tip_;
};

TEST_F(Maintenance, a_sound_repository_verifies) {
  const auto repositories = store_->list_repositories().value();
  for (const auto& info : repositories) {
    const auto report = verify_repository(*store_, info.id).value();
    EXPECT_EQ(report.problem_count, 0U) << report.problems[0];
    EXPECT_GT(report.objects, 30U);
  }
}

TEST_F(Maintenance, each_kind_of_damage_is_found) {
  const auto damage = [&](Family family, std::size_t which, const std::function<void(std::string&)>& change, const std::string& expected) {
    const auto before = rows(family);
    auto row = std::next(before.begin(), static_cast<std::ptrdiff_t>(which));
    std::string value = row->second;
    change(value);
    put(family, row->first, value);
    reopen();
    const auto report = verify_repository(*store_, id_).value();
    EXPECT_GT(report.problem_count, 0U) << expected;
    bool found = false;
    for (const std::string& line : report.problems) found = found || line.find(expected) != std::string::npos;
    EXPECT_TRUE(found) << expected << " in " << (report.problems.empty() ? "nothing" : report.problems[0]);
    put(family, row->first, row->second);
    reopen();
  };
  damage(Family::kExtents, 0, [](std::string& value) { value.back() = static_cast<char>(value.back() ^ 0x10); }, "");
  damage(Family::kIndex, 5, [](std::string& value) { value.back() = static_cast<char>(value.back() ^ 1); }, "index");
  damage(Family::kGraph, 2, [](std::string& value) { value[4] = static_cast<char>(value[4] ^ 1); }, "graph row");
  EXPECT_EQ(verify_repository(*store_, id_).value().problem_count, 0U);
}

TEST_F(Maintenance, derived_rows_are_rebuilt_as_they_were) {
  const auto index = rows(Family::kIndex);
  const auto graph = rows(Family::kGraph);
  const auto shape = shapes();
  const auto set = sets();
  sys::Batch batch;
  for (const Family family : {Family::kIndex, Family::kGraph, Family::kBitmaps, Family::kShapes}) batch.erase_range(family, std::string(1, '\0'), std::string(8, '\xff'));
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  ASSERT_TRUE(rows(Family::kIndex).empty() && rows(Family::kBitmaps).empty());
  reopen();
  const auto report = rebuild_derived(*store_);
  ASSERT_TRUE(report.has_value()) << report.error().describe();
  EXPECT_EQ(report.value().objects, index.size());
  EXPECT_EQ(rows(Family::kIndex), index);
  EXPECT_EQ(rows(Family::kGraph), graph);
  EXPECT_EQ(shapes(), shape);
  EXPECT_EQ(sets(), set);
  EXPECT_EQ(verify_repository(*store_, id_).value().problem_count, 0U);
  const Push push = make_push(tip_, 100, 3, "refs/heads/main", tip_);
  EXPECT_TRUE(run_push(*store_, "a/b", push.request));
}

TEST_F(Maintenance, purging_leaves_forks_alone_and_then_nothing) {
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  ASSERT_TRUE(store_->purge_repository("a/b", {}).has_value());
  EXPECT_EQ(store_->purge_repository("a/b", {}).error().code(), Errc::kNotFound);
  EXPECT_EQ(store_->restore_repository("a/b", {}).error().code(), Errc::kNotFound);
  const auto fork = store_->find_repository("c/fork").value();
  EXPECT_EQ(verify_repository(*store_, fork->id).value().problem_count, 0U);
  ASSERT_TRUE(store_->delete_repository("c/fork", {}).has_value());
  ASSERT_TRUE(store_->purge_repository("c/fork", {}).has_value());
  for (const Family family : {Family::kExtents, Family::kIndex, Family::kGraph, Family::kBitmaps, Family::kShapes, Family::kRefs, Family::kReflog}) {
    EXPECT_TRUE(rows(family).empty()) << sys::family_name(family);
  }
}

TEST_F(Maintenance, figures) {
  const auto stats = store_stats(*store_).value();
  EXPECT_EQ(stats.repositories, 2U);
  const auto mine = repository_stats(*store_, id_).value();
  EXPECT_EQ(mine.commits, 6U);
  EXPECT_EQ(mine.refs, 1U);
  std::string bundle;
  ASSERT_TRUE(export_bundle(*store_, id_, [&](Bytes piece) -> Result<void> {
    bundle += piece;
    return success();
  }).has_value());
  EXPECT_TRUE(bundle.starts_with("# v2 git bundle\n" + tip_.hex() + " HEAD\n" + tip_.hex() + " refs/heads/main\n\nPACK"));
}

}  // namespace
}  // namespace vexor
