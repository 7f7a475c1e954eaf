// Drills: what comes out of a store is compared, now and as of then; damage and lost objects are told apart.
#include <set>

#include "support/upkeep.h"
#include "vexorstore/drill.h"
#include "vexorstore/history.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

class DrillTest : public testing::Test {
 protected:
  DrillTest() : backend_(sys::make_memory_backend()), store_(open(*backend_)) {
    for (const char* name : {"a/one", "a/two", "a/empty"}) EXPECT_TRUE(store_->create_repository(name, {}, {}).has_value());
    for (const char* name : {"a/one", "a/two"}) {
      const Push first = make_push(std::nullopt, round_++, 5, "refs/heads/main", ObjectId::null(kAlgorithm));
      EXPECT_TRUE(run_push(*store_, name, first.request));
      const Push second = make_push(first.tip, round_++, 9, "refs/heads/main", first.tip);
      EXPECT_TRUE(run_push(*store_, name, second.request));
      const Push forced = make_push(std::nullopt, round_++, 3, "refs/heads/main", second.tip);
      EXPECT_TRUE(run_push(*store_, name, forced.request));
    }
  }
  DrillReport run(const DrillOptions& options) {
    items_.clear();
    const auto target_backend = sys::make_memory_backend();
    const auto target = open(*target_backend);
    const auto report = drill(*store_, *target, options, [&](const DrillItem& item) { items_.push_back(item); });
    EXPECT_TRUE(report.has_value()) << report.error().message();
    return report.has_value() ? report.value() : DrillReport{};
  }
  std::string told() const {
    std::string out;
    for (const DrillItem& item : items_) out += item.name + " " + std::to_string(item.as_of) + " " + std::to_string(item.objects) + item.problem + "\n";
    return out;
  }

  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  std::vector<DrillItem> items_;
  int round_ = 0;
};

TEST_F(DrillTest, a_whole_store_now) {
  const DrillReport report = run({.past_percent = 0});
  EXPECT_EQ(report.whole, 3U);
  EXPECT_EQ(report.damaged + report.past_retention, 0U);
  for (const DrillItem& item : items_) {
    EXPECT_EQ(item.as_of, 0U);
    EXPECT_EQ(item.objects, item.name == "a/empty" ? 0U : 5U) << item.name;
  }
}

TEST_F(DrillTest, a_seed_names_a_sample) {
  run({.seed = 7, .repositories = 2, .past_percent = 100});
  const std::string first = told();
  EXPECT_EQ(items_.size(), 2U);
  run({.seed = 7, .repositories = 2, .past_percent = 100});
  EXPECT_EQ(told(), first);
  std::set<std::string> others;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    EXPECT_EQ(run({.seed = seed, .repositories = 2, .past_percent = 100}).damaged, 0U) << told();
    others.insert(told());
  }
  EXPECT_GT(others.size(), 5U);
}

TEST_F(DrillTest, moments_past_the_retention_are_no_damage) {
  const auto figures = run_upkeep(*store_, only(MaintenanceTask::kSweep));
  ASSERT_TRUE(figures.has_value());
  ASSERT_GT(figures.value().objects_swept, 0U);
  bool any_gone = false;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const DrillReport report = run({.seed = seed, .past_percent = 100});
    EXPECT_EQ(report.damaged, 0U) << told();
    any_gone = any_gone || report.past_retention > 0;
  }
  EXPECT_TRUE(any_gone);
}

TEST_F(DrillTest, a_flipped_octet_of_a_payload_is_found) {
  const RepositoryId id = store_->find_repository("a/one").value()->id;
  store_.reset();
  auto rows = family_rows(*backend_, Family::kExtents);
  const auto last = std::prev(rows.lower_bound(format::pool_key(id + 1)));  // of the push that main names
  std::string value = last->second;
  value[value.size() - 6] = static_cast<char>(value[value.size() - 6] ^ 1);
  sys::Batch batch;
  batch.put(Family::kExtents, last->first, value);
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  store_ = open(*backend_);
  const DrillReport report = run({.past_percent = 0});
  EXPECT_EQ(report.damaged, 1U) << told();
  EXPECT_EQ(report.whole, 2U);
}

}  // namespace
}  // namespace vexor
