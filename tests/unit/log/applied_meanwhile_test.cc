// What a member does while another of its threads applies a record, and what it tells when it cuts off others.
#include <future>

#include "format/keys.h"
#include "support/replica_pair.h"
#include "support/upkeep.h"

namespace vexor {
namespace {

using namespace test;

const ObjectId kNone = ObjectId::null(kAlgorithm);

// Runs something right behind a snapshot, and fails commits when it is told to.
class HookedBackend final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<std::shared_ptr<const sys::StorageSnapshot>> snapshot() override {
    auto out = Forwarding::snapshot();
    if (auto work = std::exchange(behind_snapshot, nullptr)) work();
    return out;
  }
  Result<void> commit(const sys::Batch& batch, sys::Durability durability) override {
    if (fails) return Error(Errc::kIo, "the test lets it fail");
    return Forwarding::commit(batch, durability);
  }
  std::function<void()> behind_snapshot;
  std::atomic<bool> fails = false;
};

struct HookedMember {
  std::unique_ptr<sys::StorageBackend> backend = sys::make_memory_backend();
  HookedBackend* hooked = nullptr;
  std::unique_ptr<Store> store;
  std::unique_ptr<ReplicaLog> log;
  CollectingSink sink;

  HookedMember() {
    auto own = std::make_unique<HookedBackend>(*backend);
    hooked = own.get();
    store = std::move(Store::open(std::move(own), StoreOptions{})).value();
    log = std::move(join_replica_set(*store)).value();
  }
};

void lead_first(Member& primary, HookedMember& member) {
  ASSERT_TRUE(primary.log->lead(1, primary.sink).has_value());
  replicate(primary, {}, [&] { ASSERT_TRUE(primary.store->create_repository("a/b", {}, {}).has_value()); });
  ship(*primary.log, *member.log, primary.sink.wait_for(1));
  ASSERT_TRUE(member.log->apply(1).has_value());
}

// The applier erases the quarantine row of a record behind the snapshot that the sweep looks at.
TEST(AppliedMeanwhile, objects_of_a_record_that_is_applied_during_a_sweep_stay) {
  for (const bool leads : {false, true}) {
    Member primary;
    HookedMember member;
    lead_first(primary, member);
    const Push push = make_push(std::nullopt, 1, 3, "refs/heads/main", kNone);
    replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", push.request)); });
    ship(*primary.log, *member.log, primary.sink.wait_for(2));
    bool is_applied = false;
    member.hooked->behind_snapshot = [&] { is_applied = member.log->apply(2).has_value(); };
    const auto done = leads ? member.log->lead(2, member.sink) : member.log->follow();
    ASSERT_TRUE(done.has_value()) << done.error().message();
    ASSERT_TRUE(is_applied);
    EXPECT_TRUE(member.store->read_object(1, push.tip, nullptr).has_value()) << (leads ? "lead" : "follow");
    expect_sound(*member.store, 1);
  }
}

TEST(AppliedMeanwhile, an_id_of_a_record_that_is_applied_during_a_takeover_is_not_given_out_again) {
  for (int snapshots = 0; snapshots < 8; ++snapshots) {  // which of them raise_ids() takes is not the test's to know
    Member primary;
    HookedMember member;
    lead_first(primary, member);
    replicate(primary, {}, [&] { ASSERT_TRUE(primary.store->create_repository("c/d", {}, {}).has_value()); });
    ship(*primary.log, *member.log, primary.sink.wait_for(2));
    const auto apply = [&] { EXPECT_TRUE(member.log->apply(2).has_value()); };
    std::function<void()> hook = apply;
    for (int i = 0; i < snapshots; ++i) hook = [&member, inner = hook] { member.hooked->behind_snapshot = inner; };
    member.hooked->behind_snapshot = hook;
    ASSERT_TRUE(member.log->lead(2, member.sink).has_value());
    if (std::exchange(member.hooked->behind_snapshot, nullptr)) apply();
    std::thread creator([&] { EXPECT_TRUE(member.store->create_repository("e/f", {}, {}).has_value()); });
    (void)member.sink.wait_for(3);
    EXPECT_TRUE(member.log->apply(3).has_value());
    member.log->settle({.sequence = 3});
    creator.join();
    EXPECT_NE(member.store->find_repository("c/d").value()->id, member.store->find_repository("e/f").value()->id) << snapshots;
  }
}

// Whatever made the numbers equal: the row that is there stays.
TEST(AppliedMeanwhile, no_row_of_a_repository_or_an_account_is_written_over) {
  Member member;
  ASSERT_TRUE(member.log->lead(1, member.sink).has_value());
  replicate(member, {}, [&] { ASSERT_TRUE(member.store->create_repository("a/b", {}, {}).has_value()); });
  replicate(member, {}, [&] { ASSERT_TRUE(member.store->create_account("ann", "a long password", {}).has_value()); });
  const auto before = all_rows(*member.backend);
  const std::uint64_t next = member.store->core().next_id();
  sys::Batch foreign;  // as if the next two ids had been given out
  foreign.put(sys::Family::kRepositories, "r" + format::pool_key(next + 1), "a row");
  foreign.put(sys::Family::kAccounts, "a" + format::pool_key(next + 2), "a row");
  ASSERT_TRUE(member.backend->commit(foreign, sys::Durability::kSynced).has_value());
  EXPECT_EQ(member.store->create_repository("c/d", {}, {}).error().code(), Errc::kConflict);
  EXPECT_EQ(member.store->create_account("bob", "a long password", {}).error().code(), Errc::kConflict);
  EXPECT_EQ(all_rows(*member.backend).size(), before.size() + 2);
}

// A crash between would leave a record of which the client was told that it does not exist.
TEST(AppliedMeanwhile, nobody_is_told_that_nothing_changed_before_the_record_is_gone) {
  HookedMember member;
  ASSERT_TRUE(member.log->lead(1, member.sink).has_value());
  std::promise<Errc> told;
  auto outcome = told.get_future();
  std::thread creator([&] { told.set_value(member.store->create_repository("a/b", {}, {}).error().code()); });
  (void)member.sink.wait_for(1);
  ASSERT_TRUE(member.log->follow(ReplicaLog::Waiting::kGoesOn).has_value());
  EXPECT_EQ(outcome.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  ASSERT_TRUE(member.log->cut(0).has_value());
  EXPECT_EQ(outcome.get(), Errc::kUnavailable);
  creator.join();
}

TEST(AppliedMeanwhile, of_a_cut_that_fails_nothing_is_known) {
  for (const bool takes_back : {false, true}) {
    HookedMember member;
    ASSERT_TRUE(member.log->lead(1, member.sink).has_value());
    std::promise<Errc> told;
    auto outcome = told.get_future();
    std::thread creator([&] { told.set_value(member.store->create_repository("a/b", {}, {}).error().code()); });
    (void)member.sink.wait_for(1);
    if (!takes_back) {
      ASSERT_TRUE(member.log->follow(ReplicaLog::Waiting::kGoesOn).has_value());
    }
    member.hooked->fails = true;
    EXPECT_TRUE((takes_back ? member.log->take_back(0) : member.log->cut(0)).has_error());
    EXPECT_EQ(outcome.get(), Errc::kIndeterminate);
    creator.join();
  }
}

}  // namespace
}  // namespace vexor
