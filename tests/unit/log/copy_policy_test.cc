// Policies of repositories in the store: the setting, its row, and what replication is told of it.
#include <future>

#include "format/keys.h"
#include "support/replica_pair.h"
#include "support/upkeep.h"
#include "vexorstore/history.h"
#include "vexorstore/settings.h"
#include "vexorstore/sys/fault_backend.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

const ObjectId kNone = ObjectId::null(kAlgorithm);

Result<void> set_copies(Store& store, const std::string& name, CopyPolicy copies) {
  return change_repository(store, name, [&](RepositoryInfo& info) -> Result<void> {
    info.copies = copies;
    return success();
  }, {});
}

CopyPolicy copies(Store& store, const std::string& name) { return store.find_repository(name).value()->copies; }

std::string row_of(sys::StorageBackend& backend, RepositoryId id) {
  return std::string(backend.snapshot().value()->get(Family::kRepositories, "r" + format::pool_key(id)).value()->bytes());
}

TEST(CopyPolicy, is_kept_in_a_row_of_another_version_and_leaves_no_trace_when_it_goes) {
  const auto memory = sys::make_memory_backend();
  auto store = open(*memory);
  const RepositoryId id = store->create_repository("a/b", {}, {}).value().id;
  const std::string before = row_of(*memory, id);
  EXPECT_EQ(before[0], '\1');
  std::optional<ObjectId> tip;
  int round = 0;
  for (const CopyPolicy policy : {CopyPolicy::kTwo, CopyPolicy::kAll, CopyPolicy::kLocal}) {
    ASSERT_TRUE(set_copies(*store, "a/b", policy).has_value());
    store.reset();
    store = open(*memory);
    EXPECT_EQ(copies(*store, "a/b"), policy);
    EXPECT_EQ(row_of(*memory, id)[0], '\2');
    // A server of its own keeps the setting, and needs nobody for it.
    const Push push = make_push(tip, ++round, 2, "refs/heads/main", tip.value_or(kNone));
    EXPECT_TRUE(run_push(*store, "a/b", push.request));
    tip = push.tip;
  }
  ASSERT_TRUE(set_copies(*store, "a/b", CopyPolicy::kCluster).has_value());
  EXPECT_EQ(row_of(*memory, id), before);
}

TEST(CopyPolicy, stays_with_the_repository_and_is_not_handed_on_to_others) {
  const auto memory = sys::make_memory_backend();
  const auto store = open(*memory);
  ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
  const Push push = make_push(std::nullopt, 1, 2, "refs/heads/main", kNone);
  ASSERT_TRUE(run_push(*store, "a/b", push.request));
  const JournalSequence then = store->last_sequence();
  ASSERT_TRUE(set_copies(*store, "a/b", CopyPolicy::kLocal).has_value());
  // Owners may fork and restore; only an operator sets policies.
  ASSERT_TRUE(store->fork_repository("a/b", "c/fork", {}).has_value());
  EXPECT_EQ(copies(*store, "c/fork"), CopyPolicy::kCluster);
  ASSERT_TRUE(restore_repository_at(*store, "a/b", then, "a/then", {}).has_value());
  EXPECT_EQ(copies(*store, "a/then"), CopyPolicy::kCluster);
  ASSERT_TRUE(store->rename_repository("a/b", "a/new", {}).has_value());
  EXPECT_EQ(copies(*store, "a/new"), CopyPolicy::kLocal);
  ASSERT_TRUE(store->delete_repository("a/new", {}).has_value());
  ASSERT_TRUE(store->restore_repository("a/new", {}).has_value());
  EXPECT_EQ(copies(*store, "a/new"), CopyPolicy::kLocal);
}

TEST(CopyPolicy, comes_with_the_entries_of_its_repository_and_with_no_others) {
  Member primary;
  Member follower;
  const std::vector<Member*> others{&follower};
  ASSERT_TRUE(primary.log->lead(1, primary.sink).has_value());
  std::optional<ObjectId> tip;
  const auto entry_of = [&](auto change) {
    replicate(primary, others, change);
    return primary.sink.wait_for(primary.log->last().sequence).copies;
  };
  const auto push = [&](int round, int blobs) {
    return entry_of([&] {
      const Push made = make_push(tip, round, blobs, "refs/heads/main", tip.value_or(kNone));
      EXPECT_TRUE(run_push(*primary.store, "a/b", made.request));
      tip = made.tip;
    });
  };
  EXPECT_EQ(entry_of([&] { EXPECT_TRUE(primary.store->create_repository("a/b", {}, {}).has_value()); }), CopyPolicy::kCluster);
  EXPECT_EQ(push(1, 2), CopyPolicy::kCluster);
  // The change of the setting goes by what it sets: so it can be relaxed while a server is away.
  EXPECT_EQ(entry_of([&] { EXPECT_TRUE(set_copies(*primary.store, "a/b", CopyPolicy::kAll).has_value()); }), CopyPolicy::kAll);
  EXPECT_EQ(push(2, 2), CopyPolicy::kAll);
  EXPECT_EQ(push(3, 4100), CopyPolicy::kAll);  // in files
  EXPECT_EQ(entry_of([&] { EXPECT_TRUE(undo_ref(*primary.store, "a/b", "refs/heads/main", {}).has_value()); }), CopyPolicy::kAll);
  EXPECT_EQ(entry_of([&] { EXPECT_TRUE(primary.store->create_repository("a/plain", {}, {}).has_value()); }), CopyPolicy::kCluster);
  EXPECT_EQ(entry_of([&] { EXPECT_TRUE(primary.store->create_account("ann", "correct horse battery", {}).has_value()); }), CopyPolicy::kCluster);
  EXPECT_EQ(entry_of([&] { EXPECT_TRUE(primary.store->grant("a/b", "ann", Permission::kWrite, {}).has_value()); }), CopyPolicy::kAll);
  EXPECT_EQ(entry_of([&] { EXPECT_TRUE(set_copies(*primary.store, "a/b", CopyPolicy::kCluster).has_value()); }), CopyPolicy::kCluster);
  EXPECT_EQ(entry_of([&] { EXPECT_TRUE(set_copies(*primary.store, "a/b", CopyPolicy::kLocal).has_value()); }), CopyPolicy::kLocal);
  EXPECT_EQ(copies(*follower.store, "a/b"), CopyPolicy::kLocal);
  EXPECT_EQ(all_rows(*follower.backend), all_rows(*primary.backend));
}

TEST(CopyPolicy, what_is_refused_for_want_of_servers_leaves_nothing) {
  Member primary;
  ASSERT_TRUE(primary.log->lead(1, primary.sink).has_value());
  replicate(primary, {}, [&] {
    ASSERT_TRUE(primary.store->create_repository("a/b", {}, {}).has_value());
    ASSERT_TRUE(primary.store->create_repository("a/plain", {}, {}).has_value());
    ASSERT_TRUE(set_copies(*primary.store, "a/b", CopyPolicy::kAll).has_value());
  });
  const auto before = all_rows(*primary.backend);
  primary.sink.refused = CopyPolicy::kAll;
  const auto refused = primary.store->rename_repository("a/b", "a/c", {});
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().code(), Errc::kRefused);
  EXPECT_FALSE(run_push(*primary.store, "a/b", make_push(std::nullopt, 1, 2, "refs/heads/main", kNone).request));
  EXPECT_FALSE(run_push(*primary.store, "a/b", make_push(std::nullopt, 1, 4100, "refs/heads/main", kNone).request));
  EXPECT_EQ(all_rows(*primary.backend), before);
  // Between the sending of its rows and its record.
  primary.sink.refused = std::nullopt;
  primary.sink.on_stage = [&](const std::string&) {
    primary.sink.refused = CopyPolicy::kAll;
    return nullptr;
  };
  EXPECT_FALSE(run_push(*primary.store, "a/b", make_push(std::nullopt, 1, 4100, "refs/heads/main", kNone).request));
  EXPECT_EQ(all_rows(*primary.backend), before);
  primary.sink.on_stage = nullptr;
  // Others are not concerned, nor is who relaxes it.
  replicate(primary, {}, [&] {
    EXPECT_TRUE(run_push(*primary.store, "a/plain", make_push(std::nullopt, 1, 2, "refs/heads/main", kNone).request));
    EXPECT_TRUE(set_copies(*primary.store, "a/b", CopyPolicy::kTwo).has_value());
    EXPECT_TRUE(run_push(*primary.store, "a/b", make_push(std::nullopt, 1, 2, "refs/heads/main", kNone).request));
  });
}

TEST(CopyPolicy, servers_that_stood_still_for_a_moment_are_waited_for) {
  Member primary;
  ASSERT_TRUE(primary.log->lead(1, primary.sink).has_value());
  primary.sink.refused = CopyPolicy::kCluster;
  auto made = std::async(std::launch::async, [&] { return primary.store->create_repository("a/b", {}, {}).has_value(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(150));  // it asks each 100 ms: once more, and is refused again
  EXPECT_EQ(primary.log->last().sequence, 0U);
  primary.sink.refused = std::nullopt;
  primary.sink.wait_for(1);
  EXPECT_TRUE(primary.log->apply(1).has_value());
  primary.log->settle({.sequence = 1});
  EXPECT_TRUE(made.get());
}

TEST(CopyPolicy, who_waits_for_servers_does_not_hold_up_the_end_of_the_reign) {
  Member primary;
  ASSERT_TRUE(primary.log->lead(1, primary.sink).has_value());
  primary.sink.refused = CopyPolicy::kCluster;
  auto made = std::async(std::launch::async, [&] { return primary.store->create_repository("a/b", {}, {}).error().code(); });
  std::this_thread::sleep_for(std::chrono::milliseconds(150));  // it asks each 100 ms: once more, and is refused again
  ASSERT_TRUE(primary.log->follow().has_value());
  EXPECT_EQ(made.get(), Errc::kUnavailable);
}

// A later record may have what it asks for while an earlier one waits for more.
TEST(CopyPolicy, a_receipt_is_told_to_its_own_record_only) {
  Member primary;
  ASSERT_TRUE(primary.log->lead(1, primary.sink).has_value());
  replicate(primary, {}, [&] { ASSERT_TRUE(primary.store->create_repository("a/b", {}, {}).has_value()); });
  std::vector<std::future<Receipt>> waiting;
  for (int i = 0; i < 3; ++i) {
    store::Change change;
    change.record.kind = format::OperationKind::kRepositorySettings;
    change.record.subject = std::to_string(i);
    waiting.push_back(std::async(std::launch::async, [&primary, made = std::make_shared<store::Change>(std::move(change))] {
      return primary.store->core().committer->submit(std::move(*made)).value();
    }));
    primary.sink.wait_for(2 + static_cast<std::uint64_t>(i));
  }
  EXPECT_TRUE(primary.log->apply(4).has_value());
  const auto is_told = [&](std::size_t i) { return waiting[i].wait_for(std::chrono::milliseconds(100)) == std::future_status::ready; };
  primary.log->settle({3, 1, 3, true, false});
  EXPECT_EQ(waiting[1].get().copies, 1U);
  EXPECT_FALSE(is_told(0));
  EXPECT_FALSE(is_told(2));
  primary.log->settle({3, 3, 3, true, true});  // once more: nobody is there
  primary.log->settle({4, 2, 3, true, false});
  EXPECT_EQ(waiting[2].get().sequence, 4U);
  EXPECT_FALSE(is_told(0));
  primary.log->settle({2, 2, 3, true, true, true});
  const Receipt first = waiting[0].get();
  EXPECT_EQ(first.sequence, 2U);
  EXPECT_TRUE(first.is_short);
}

// The row changes its form: whichever operation fails, or seems to, it is the old one or the new one, as the journal says.
TEST(CopyPolicy, whatever_fails_the_row_is_as_the_journal_says) {
  int failures = 0;
  for (const auto mode : {sys::FaultBackend::Mode::kBefore, sys::FaultBackend::Mode::kAfter}) {
    for (std::uint64_t countdown = 1;; ++countdown) {
      const auto memory = sys::make_memory_backend();
      {
        const auto store = open(*memory);
        ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
      }
      const std::string before = row_of(*memory, 1);
      bool has_failed = false;
      bool was_told = false;
      {
        auto faulty = std::make_unique<sys::FaultBackend>(*memory);
        sys::FaultBackend& faults = *faulty;
        const auto store = std::move(Store::open(std::move(faulty), StoreOptions{})).value();
        faults.fail_at(countdown, mode);
        was_told = set_copies(*store, "a/b", CopyPolicy::kLocal).has_value();
        has_failed = faults.has_failed();
      }
      const auto store = open(*memory);
      const bool is_new = store->last_sequence() == 2;
      EXPECT_EQ(copies(*store, "a/b"), is_new ? CopyPolicy::kLocal : CopyPolicy::kCluster);
      EXPECT_EQ(row_of(*memory, 1) == before, !is_new);
      if (was_told) EXPECT_TRUE(is_new);
      failures += has_failed ? 1 : 0;
      if (!has_failed) break;
    }
  }
  EXPECT_GE(failures, 2);
}

}  // namespace
}  // namespace vexor
