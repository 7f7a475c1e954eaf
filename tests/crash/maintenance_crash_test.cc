// Every changing storage operation of a maintenance pass fails once, before and after it happened; the
// store is opened again and must hold every object that a repository sees, and maintenance go on.
#include "support/upkeep.h"
#include "vexorstore/sys/fault_backend.h"

namespace vexor {
namespace {

using namespace test;

// `fill` makes the store's content; the repositories of `names` must come through unharmed.
void attack(MaintenanceTask task, sys::FaultBackend::Mode mode, const std::vector<std::string>& names, const std::function<void(Store&)>& fill) {
  for (std::uint64_t n = 1;; ++n) {
    SCOPED_TRACE(std::string(maintenance_task_name(task)) + " operation " + std::to_string(n));
    const auto memory = sys::make_memory_backend();
    sys::FaultBackend faulty(*memory);
    auto store = open(faulty);
    fill(*store);
    std::vector<std::map<std::string, std::string>> before;
    for (const std::string& name : names) before.push_back(visible_objects(*store, store->find_repository(name).value()->id));

    faulty.fail_at(n, mode);
    const auto done = run_upkeep(*store, only(task), 2048);
    const bool failed = faulty.has_failed();
    EXPECT_EQ(done.has_error(), failed);
    faulty.fail_at(0, mode);

    store = open(*memory);
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t i = 0; i < names.size(); ++i) {
        const RepositoryId id = store->find_repository(names[i]).value()->id;
        EXPECT_EQ(visible_objects(*store, id), before[i]);
        expect_sound(*store, id);
      }
      const auto again = run_upkeep(*store, only(task), 2048);
      EXPECT_TRUE(again.has_value());
    }
    if (!failed) {
      EXPECT_GT(n, 1U) << "nothing was written";
      break;
    }
    ASSERT_LT(n, 1000U);
  }
}

void attack_both_ways(MaintenanceTask task, const std::vector<std::string>& names, const std::function<void(Store&)>& fill) {
  attack(task, sys::FaultBackend::Mode::kBefore, names, fill);
  attack(task, sys::FaultBackend::Mode::kAfter, names, fill);
}

ObjectId push_rounds(Store& store, const std::string& name, int from, int rounds, int blobs, std::optional<ObjectId> tip = std::nullopt) {
  for (int i = from; i < from + rounds; ++i) {
    const Push push = make_push(tip, i, blobs, "refs/heads/main", tip ? *tip : ObjectId::null(kAlgorithm));
    EXPECT_TRUE(run_push(store, name, push.request));
    tip = push.tip;
  }
  return *tip;
}

TEST(MaintenanceCrash, merge_at_every_operation) {
  attack_both_ways(MaintenanceTask::kMerge, {"a/b"}, [](Store& store) {
    ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
    push_rounds(store, "a/b", 0, 30, 3);
  });
}

TEST(MaintenanceCrash, sweep_at_every_operation) {
  attack_both_ways(MaintenanceTask::kSweep, {"a/b", "c/d"}, [](Store& store) {
    ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
    const ObjectId tip = push_rounds(store, "a/b", 0, 5, 3);
    ASSERT_TRUE(store.fork_repository("a/b", "c/d", {}).has_value());
    for (int i = 0; i < 12; ++i) {
      const std::string ref = "refs/heads/side" + std::to_string(i);
      const Push side = make_push(tip, 100 + i, i == 3 ? 4100 : 5, ref, ObjectId::null(kAlgorithm));
      ASSERT_TRUE(run_push(store, i % 2 == 0 ? "a/b" : "c/d", side.request));
      if (i % 3 == 0) ASSERT_TRUE(run_push(store, i % 2 == 0 ? "a/b" : "c/d", delete_request(side.tip, ref)));
    }
  });
}

// Versions of one file, each a delta upon the one before: re-delta turns the chains round, so that new
// forms stand on old ones between two batches.
TEST(MaintenanceCrash, redelta_at_every_operation) {
  attack_both_ways(MaintenanceTask::kRedelta, {"a/b", "c/d"}, [](Store& store) {
    ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
    std::uint32_t state = 5;
    const auto noise = [&](std::size_t size) {
      std::string out(size, '\0');
      for (char& c : out) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
      return out;
    };
    std::vector<std::string> files{noise(40'000), noise(300'000), noise(3'000)};
    const ObjectId none = ObjectId::null(kAlgorithm);
    ObjectId tip = none;
    for (int round = 0; round < 12; ++round) {
      PackBuilder pack;
      std::string tree;
      for (std::size_t i = 0; i < files.size(); ++i) {
        const std::string before = files[i];
        files[i] += noise(2'000);
        if (round == 0) pack.add(ObjectType::kBlob, files[i]);
        else pack.add_delta(ObjectType::kBlob, hash_object(kAlgorithm, ObjectType::kBlob, before).value(), before, files[i]);
        tree += "100644 f" + std::to_string(i) + std::string(1, '\0') + std::string(hash_object(kAlgorithm, ObjectType::kBlob, files[i]).value().raw());
      }
      std::string commit = "tree " + pack.add(ObjectType::kTree, tree).hex() + "\n";
      if (!tip.is_null()) commit += "parent " + tip.hex() + "\n";
      const std::string who = "A <a@b> " + std::to_string(1'700'000'000 + round) + " +0000\n";
      commit += "author " + who + "committer " + who + "\nx\n";
      const ObjectId next = pack.add(ObjectType::kCommit, commit);
      ASSERT_TRUE(run_push(store, "a/b", push_request(tip, next, "refs/heads/main", pack.finish())));
      tip = next;
      if (round == 6) ASSERT_TRUE(store.fork_repository("a/b", "c/d", {}).has_value());
    }
  });
}

// In and out of the cold form, with pushes in between; in steps as small as they come.
void fill_for_freezing(Store& store) {
  ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
  const ObjectId tip = push_rounds(store, "a/b", 0, 5, 3);
  ASSERT_TRUE(store.fork_repository("a/b", "c/d", {}).has_value());
  push_rounds(store, "a/b", 5, 1, 4100, tip);  // its rows go round the log
  push_rounds(store, "c/d", 6, 3, 3, tip);
  PackBuilder pack;
  std::string content(600'000, '\0');
  std::uint32_t state = 5;
  for (char& c : content) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
  const ObjectId blob = pack.add(ObjectType::kBlob, content);  // in chunks
  const ObjectId tree = pack.add(ObjectType::kTree, std::string("100644 f") + std::string(1, '\0') + std::string(blob.raw()));
  const ObjectId commit = pack.add(ObjectType::kCommit, "tree " + tree.hex() + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n");
  ASSERT_TRUE(run_push(store, "a/b", push_request(ObjectId::null(kAlgorithm), commit, "refs/heads/large", pack.finish())));
}

TEST(MaintenanceCrash, freeze_at_every_operation) { attack_both_ways(MaintenanceTask::kFreeze, {"a/b", "c/d"}, fill_for_freezing); }

TEST(MaintenanceCrash, thaw_at_every_operation) {
  attack_both_ways(MaintenanceTask::kThaw, {"a/b", "c/d"}, [](Store& store) {
    fill_for_freezing(store);
    ASSERT_TRUE(run_upkeep(store, only(MaintenanceTask::kFreeze)).has_value());
  });
}

}  // namespace
}  // namespace vexor
