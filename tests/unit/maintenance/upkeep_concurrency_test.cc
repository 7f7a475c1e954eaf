// Pushes, clones and forks while all of maintenance runs.
#include <atomic>
#include <thread>

#include "support/upkeep.h"

namespace vexor {
namespace {

using namespace test;

constexpr int kWriters = 2;
constexpr int kPushes = 20;  // at least, and until maintenance did some of everything
constexpr int kPushesMax = 3000;

bool did_everything(Store& store) {
  const MaintenanceFigures figures = maintenance_status(store).figures;
  return figures.pools >= 5 && figures.objects_swept > 0 && figures.objects_redeltaed > 0 && figures.extents_merged > 0;
}

bool is_whole_bundle(const std::string& bundle) {
  const std::size_t pack = bundle.find("\n\nPACK");
  if (pack == std::string::npos || bundle.size() < pack + 24) return false;
  PackChecksum sum(kAlgorithm);
  sum.update(Bytes(bundle).substr(pack + 2, bundle.size() - pack - 22));
  return sum.finish() == bundle.substr(bundle.size() - 20);
}

// Versions of a growing file, as deltas on the version before; every fifth history is dropped and begun anew.
void write(Store& store, int writer, std::atomic<int>& failed) {
  const ObjectId none = ObjectId::null(kAlgorithm);
  const std::string ref = "refs/heads/w" + std::to_string(writer);
  std::string before;
  ObjectId tip = none;
  for (int n = 0; n < kPushes || (!did_everything(store) && n < kPushesMax); ++n) {
    if (n % 5 == 4) {
      if (!run_push(store, "a/b", delete_request(tip, ref))) failed.fetch_add(1);
      tip = none;
      before.clear();
    }
    std::string content = before;
    for (int i = 0; i < 40; ++i) content += "writer " + std::to_string(n < 8 ? 0 : writer) + " round " + std::to_string(n) + " line " + std::to_string(i) + "\n";
    PackBuilder pack;
    const ObjectId blob = before.empty() ? pack.add(ObjectType::kBlob, content)
                                         : pack.add_delta(ObjectType::kBlob, hash_object(kAlgorithm, ObjectType::kBlob, before).value(), before, content);
    const ObjectId tree = pack.add(ObjectType::kTree, "100644 file" + std::string(1, '\0') + std::string(blob.raw()));
    std::string commit = "tree " + tree.hex() + "\n";
    if (!tip.is_null()) commit += "parent " + tip.hex() + "\n";
    const std::string who = "A <a@b> " + std::to_string(1'700'000'000 + n) + " +0000\n";
    commit += "author " + who + "committer " + who + "\nx\n";
    const ObjectId next = pack.add(ObjectType::kCommit, commit);
    if (!run_push(store, "a/b", push_request(tip, next, ref, pack.finish()))) failed.fetch_add(1);
    tip = next;
    before = content;
  }
}

TEST(UpkeepConcurrency, pushes_and_clones_while_everything_is_rewritten) {
  const auto memory = sys::make_memory_backend();
  const auto store = open(*memory);
  const RepositoryId id = store->create_repository("a/b", {}, {}).value().id;
  ASSERT_TRUE(run_push(*store, "a/b", make_push(std::nullopt, 0, 30, "refs/heads/main", ObjectId::null(kAlgorithm)).request));
  std::atomic<int> failed{0};
  std::atomic<int> torn{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) writers.emplace_back([&, i] { write(*store, i, failed); });
  std::vector<std::thread> others;
  others.emplace_back([&] {
    while (!stop.load()) {
      if (!is_whole_bundle(bundle_of(*store, id))) torn.fetch_add(1);
      if (visible_objects(*store, id).empty()) torn.fetch_add(1);
    }
  });
  others.emplace_back([&] {
    MaintenanceOptions options = only(MaintenanceTask::kSweep);
    options.tasks = {MaintenanceTask::kSweep, MaintenanceTask::kRedelta, MaintenanceTask::kMerge};
    options.policy->redelta_window = 20;
    while (!stop.load()) {
      if (run_upkeep(*store, options, 10'000).has_error()) failed.fetch_add(1);
    }
  });
  for (std::thread& thread : writers) thread.join();
  stop.store(true);
  for (std::thread& thread : others) thread.join();
  EXPECT_EQ(failed.load(), 0);
  EXPECT_EQ(torn.load(), 0);
  EXPECT_TRUE(did_everything(*store));
  expect_sound(*store, id);
}

}  // namespace
}  // namespace vexor
