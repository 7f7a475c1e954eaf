// Random pushes against a store whose storage fails at a random operation, before or after it took
// effect, and which then loses power: what was not synced is gone. VEXOR_FAULT_POINTS: how many failures
// (default 200), VEXOR_FAULT_SEED: where to begin.
#include <cstdlib>
#include <map>
#include <random>

#include "pack/object_reader.h"
#include "support/durable_backend.h"
#include "support/upkeep.h"
#include "vexorstore/maintenance.h"
#include "vexorstore/sys/fault_backend.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

constexpr int kRoundsPerStore = 25;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct Branch {
  ObjectId tip = ObjectId::null(kAlgorithm);
};

TEST(RandomFaults, no_acknowledged_push_is_lost_and_no_refused_one_stays) {
  const std::uint64_t points = number_from("VEXOR_FAULT_POINTS", 200);
  const std::uint64_t seed = number_from("VEXOR_FAULT_SEED", 1);
  std::uint64_t faults = 0;
  std::uint64_t acknowledged = 0;
  for (std::uint64_t store_seed = seed; faults < points; ++store_seed) {
    SCOPED_TRACE("seed " + std::to_string(store_seed));
    std::mt19937_64 random(store_seed);
    auto durable = sys::make_memory_backend();
    {
      auto fresh = open(*durable);
      ASSERT_TRUE(fresh->create_repository("a/b", {}, {}).has_value());
    }
    std::map<std::string, Branch> branches;  // as acknowledged
    for (int round = 0; round < kRoundsPerStore && faults < points; ++round) {
      SCOPED_TRACE("round " + std::to_string(round));
      auto live = copy_of(*durable);
      DurableBackend power(*live, *durable);
      sys::FaultBackend faulty(power);
      std::map<std::string, ObjectId> tried;
      {
        auto store = open(faulty);
        faulty.fail_at(1 + random() % 14, random() % 2 == 0 ? sys::FaultBackend::Mode::kBefore : sys::FaultBackend::Mode::kAfter);
        for (int i = 0; i < 8 && !faulty.has_failed(); ++i) {
          const std::string name = "refs/heads/b" + std::to_string(random() % 5);
          Branch& branch = branches[name];
          const int blobs = random() % 40 == 0 ? 4100 : 1 + static_cast<int>(random() % 5);
          const std::optional<ObjectId> parent = branch.tip.is_null() ? std::nullopt : std::optional<ObjectId>(branch.tip);
          const Push push = make_push(parent, static_cast<int>(random() % 1'000'000'000), blobs, name, branch.tip);
          // Old objects are in the cold form now and then, and the fault may come on the way there or back.
          const auto turn = random() % 6;
          if (turn < 2) std::ignore = run_upkeep(*store, only(turn == 0 ? MaintenanceTask::kFreeze : MaintenanceTask::kThaw), 2048);
          if (run_push(*store, "a/b", push.request)) {
            branch.tip = push.tip;
            ++acknowledged;
          } else {
            tried[name] = push.tip;
          }
        }
      }
      faults += faulty.has_failed() ? 1U : 0U;
      // Power is lost and comes back.
      auto store = open(*durable);
      const RepositoryId id = store->find_repository("a/b").value()->id;
      std::map<std::string, ObjectId> refs;
      const auto listed = store->list_refs(id).value();
      for (const RefInfo& ref : listed) refs.emplace(ref.name, ref.id);
      const auto now = store::open_repository_snapshot(store->core(), id).value();
      pack::ObjectReader reader(now.snapshot, now.row.pool, kAlgorithm, Limits{});
      for (auto& [name, branch] : branches) {
        const ObjectId found = refs.contains(name) ? refs.at(name) : ObjectId::null(kAlgorithm);
        const bool may_be_new = tried.contains(name) && found == tried.at(name);
        ASSERT_TRUE(found == branch.tip || may_be_new) << name << " is at " << found.hex() << ", acknowledged was " << branch.tip.hex();
        branch.tip = found;
        if (tried.contains(name) && !may_be_new) ASSERT_FALSE(reader.find(tried.at(name)).value()) << "a push that did not happen left its commit";
      }
      const auto report = verify_repository(*store, id);
      ASSERT_TRUE(report.has_value());
      ASSERT_EQ(report.value().problem_count, 0U) << report.value().problems[0];
      // Nothing but the reachable objects is left: every push that did not happen was swept.
      std::uint64_t indexed = 0;
      const auto cursor = now.snapshot->cursor(Family::kIndex);
      for (cursor->seek({}); cursor->valid(); cursor->next()) ++indexed;
      ASSERT_EQ(indexed, report.value().objects);
      ASSERT_EQ(durable->approximate_bytes(Family::kQuarantine), 0U);
    }
  }
  std::printf("%llu faults, %llu pushes acknowledged, none lost\n", static_cast<unsigned long long>(faults), static_cast<unsigned long long>(acknowledged));
}

}  // namespace
}  // namespace vexor
