// Purges by two persons, over a memory backend: who may, what is left of the journal, and what a follower gets.
#include "vexorstore/purge.h"

#include <future>

#include "crypto/digest.h"
#include "format/keys.h"
#include "format/log_rows.h"
#include "format/pool_rows.h"
#include "format/purge_rows.h"
#include "format/journal_record.h"
#include "support/replica_pair.h"
#include "support/repository_fixtures.h"
#include "vexorstore/history.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

const PurgePolicy kPolicy{{"ann", "bob"}, 60};
const Actor kAnn{101, "ann"};
const Actor kBob{102, "bob"};
const Actor kDan{103, "dan"};

void finish(Store& store) {
  const auto work = PurgeWork::begin(store, {});
  for (int i = 0; i < 1000; ++i) {
    const auto step = work->work(1);
    ASSERT_TRUE(step.has_value()) << step.error().message();
    if (step.value() == PurgeWork::Step::kIdle) return;
  }
  FAIL() << "it does not end";
}

class Purges : public ClockedRepository {
 protected:
  std::uint64_t ask(const Actor& actor = kAnn) {
    const auto made = request_purge(*store_, kPolicy, "a/b", "law", actor);
    EXPECT_TRUE(made.has_value()) << made.error().message();
    return made.value().request;
  }
  Errc approval(std::uint64_t request, const Actor& actor) {
    const auto done = approve_purge(*store_, kPolicy, request, actor);
    return done.has_error() ? done.error().code() : Errc{};
  }
  std::string journal() {
    std::string out;
    for (const auto& [key, value] : family_rows(*backend_, Family::kJournal)) out += value;
    return out;
  }
};

TEST_F(Purges, only_what_is_deleted_and_only_by_two) {
  EXPECT_EQ(request_purge(*store_, kPolicy, "a/b", "law", kAnn).error().code(), Errc::kNotFound);
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  EXPECT_EQ(request_purge(*store_, kPolicy, "a/b", "law", kDan).error().code(), Errc::kRefused);
  EXPECT_EQ(request_purge(*store_, kPolicy, "a/b", "law", Actor{}).error().code(), Errc::kRefused);
  EXPECT_EQ(request_purge(*store_, {{"ann"}, 60}, "a/b", "law", kAnn).error().code(), Errc::kRefused);
  EXPECT_EQ(request_purge(*store_, kPolicy, "a/b", "", kAnn).error().code(), Errc::kInvalidArgument);
  EXPECT_EQ(request_purge(*store_, kPolicy, "a/b", "a\nb", kAnn).error().code(), Errc::kInvalidArgument);
  EXPECT_EQ(request_purge(*store_, kPolicy, "a/b", std::string(kPurgeReasonBytesMax + 1, 'x'), kAnn).error().code(), Errc::kLimitExceeded);
  const std::uint64_t request = ask();
  EXPECT_EQ(request_purge(*store_, kPolicy, "a/b", "law", kBob).error().code(), Errc::kConflict);
  EXPECT_EQ(approval(request, kAnn), Errc::kRefused);
  EXPECT_EQ(approval(request, kDan), Errc::kRefused);
  EXPECT_EQ(approval(request + 1000, kBob), Errc::kNotFound);
  clock_.now_ms += 60'000;
  EXPECT_EQ(approval(request, kBob), Errc::kRefused);
  EXPECT_EQ(find_purge(*store_, request).value().status, PurgeStatus::kExpired);
  const std::uint64_t second = ask();
  EXPECT_EQ(close_purge(*store_, kPolicy, second, kAnn).value().status, PurgeStatus::kWithdrawn);
  EXPECT_EQ(approval(second, kBob), Errc::kConflict);
  EXPECT_EQ(close_purge(*store_, kPolicy, ask(), kBob).value().status, PurgeStatus::kRefused);
  // Nothing was removed.
  EXPECT_TRUE(store_->restore_repository("a/b", {}).has_value());
  EXPECT_EQ(visible_objects(*store_, id_).empty(), false);
}

TEST_F(Purges, not_what_was_restored_since) {
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  const std::uint64_t request = ask();
  ASSERT_TRUE(store_->restore_repository("a/b", {}).has_value());
  EXPECT_EQ(approval(request, kBob), Errc::kConflict);
  clock_.now_ms += 1;
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  EXPECT_EQ(approval(request, kBob), Errc::kConflict);
}

// A store that becomes a member of a replica set notes from its journal which records have numbers before their time: also from records whose
// purge is approved and not worked off.
TEST_F(Purges, what_a_member_noted_of_the_pool_since_the_approval_goes_too) {
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  const std::uint64_t request = ask();
  EXPECT_EQ(approval(request, kBob), Errc{});
  sys::Batch noted;
  noted.put(Family::kMeta, format::late_key(id_, 0), format::encode_late_row({2, 3}));
  ASSERT_TRUE(backend_->commit(noted, sys::Durability::kSynced).has_value());
  finish(*store_);
  EXPECT_TRUE(find_purge(*store_, request).value().is_done_here);
  EXPECT_EQ(family_rows(*backend_, Family::kMeta).count(format::late_key(id_, 0)), 0U);
}

TEST_F(Purges, rows_and_records_go_and_the_chain_stays) {
  push("a/b", "refs/heads/secret-name", main_, 3);
  EXPECT_NE(journal().find("secret-name"), std::string::npos);
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  const std::uint64_t request = ask();
  EXPECT_EQ(approval(request, kBob), Errc{});
  EXPECT_FALSE(find_purge(*store_, request).value().is_done_here);
  EXPECT_NE(journal().find("secret-name"), std::string::npos) << "the test would show nothing";
  finish(*store_);
  EXPECT_EQ(journal().find("secret-name"), std::string::npos);
  for (const Family family : {Family::kExtents, Family::kIndex, Family::kGraph, Family::kBitmaps, Family::kShapes, Family::kRefs, Family::kReflog}) {
    EXPECT_TRUE(family_rows(*backend_, family).empty()) << sys::family_name(family);
  }
  EXPECT_TRUE(find_purge(*store_, request).value().is_done_here);
  std::string previous(32, '\0');
  std::uint64_t purged = 0;
  for (const auto& [key, value] : family_rows(*backend_, Family::kJournal)) {
    const auto record = format::decode_journal_record(value).value();
    EXPECT_EQ(record.previous_hash, previous) << record.sequence;
    previous = record.is_purged() ? record.own_hash : blake2b_256(value);
    purged += record.is_purged() ? 1U : 0U;
  }
  EXPECT_EQ(purged, 4U);  // made, two pushes, deleted
  // What it did is told once, and is in the certificate's records.
  const auto told = unreported_purges(*store_, 0).value();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].second.journal_records, purged);
  ASSERT_TRUE(report_purge(*store_, request, told[0].second).has_value());
  EXPECT_TRUE(unreported_purges(*store_, 0).value().empty());
  const auto records = purge_records(*store_, request).value();
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(records[0].actor, "ann");
  EXPECT_EQ(records[1].actor, "bob");
  EXPECT_EQ(records[2].operation, "purge-report");
  EXPECT_EQ(records[2].hash, store_->core().committer->last_position().hash);
  // No number is given out again, and the store opens and goes on.
  reopen();
  EXPECT_GT(store_->create_repository("a/b", {}, {}).value().id, request);
  push("a/b", "refs/heads/main", std::nullopt, 2);
}

TEST_F(Purges, what_a_member_says_again_is_no_record) {
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  const std::uint64_t request = ask();
  EXPECT_EQ(approval(request, kBob), Errc{});
  PurgeReport report{7, 5, 9, 4, 100};
  const std::uint64_t before = store_->last_sequence();
  ASSERT_TRUE(report_purge(*store_, request, report).has_value());
  EXPECT_EQ(store_->last_sequence(), before + 1);
  ASSERT_TRUE(report_purge(*store_, request, report).has_value());
  EXPECT_EQ(store_->last_sequence(), before + 1);
  report.member = 8;  // another one
  ASSERT_TRUE(report_purge(*store_, request, report).has_value());
  report.ended_ms = 10;  // another time
  ASSERT_TRUE(report_purge(*store_, request, report).has_value());
  EXPECT_EQ(store_->last_sequence(), before + 3);
}

// Left over by a push whose server could not erase it.
TEST_F(Purges, a_range_in_quarantine_is_no_hindrance) {
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  const std::uint64_t request = ask();
  sys::Batch batch;
  batch.put(Family::kQuarantine, format::number_key(id_, 100'000), format::encode_quarantine_row({kAlgorithm, 5000}));
  batch.put(Family::kExtents, format::extent_key(id_, 100'000), "of it");
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  EXPECT_EQ(approval(request, kBob), Errc{});
  finish(*store_);
  EXPECT_TRUE(find_purge(*store_, request).value().is_done_here);
  EXPECT_TRUE(family_rows(*backend_, Family::kQuarantine).empty());
}

// Calls `meanwhile` once, when a snapshot has been taken.
class Interrupted final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<std::shared_ptr<const sys::StorageSnapshot>> snapshot() override {
    auto out = Forwarding::snapshot();
    if (const auto call = std::exchange(meanwhile, {})) call();
    return out;
  }
  std::function<void()> meanwhile;
};

TEST(PurgesOfGrants, a_grant_that_meets_a_purge_leaves_no_row) {
  const auto memory = sys::make_memory_backend();
  auto made = std::make_unique<Interrupted>(*memory);
  Interrupted& backend = *made;
  const auto store = Store::open(std::move(made), StoreOptions{}).value();
  ASSERT_TRUE(store->create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(store->create_account("eve", "a long password", {}).has_value());
  backend.meanwhile = [&] {
    ASSERT_TRUE(store->delete_repository("a/b", {}).has_value());
    ASSERT_TRUE(store->purge_repository("a/b", {}).has_value());
  };
  const auto done = store->grant("a/b", "eve", Permission::kRead, {});
  ASSERT_TRUE(done.has_error());
  EXPECT_EQ(done.error().code(), Errc::kConflict);
  EXPECT_TRUE(family_rows(*memory, Family::kGrants).empty());
}

TEST_F(Purges, a_fork_keeps_the_objects_until_it_goes_too) {
  const RepositoryId fork = store_->fork_repository("a/b", "a/fork", {}).value().id;
  const auto objects = visible_objects(*store_, fork);
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  const std::uint64_t request = ask();
  EXPECT_EQ(approval(request, kBob), Errc{});
  EXPECT_TRUE(find_purge(*store_, request).value().keeps_objects);
  finish(*store_);
  EXPECT_EQ(visible_objects(*store_, fork), objects);
  const auto push = format::decode_journal_record(family_rows(*backend_, Family::kJournal)[format::journal_key(2)]).value();
  EXPECT_TRUE(push.is_purged());
  EXPECT_GT(push.object_count, 0U);
  ASSERT_TRUE(store_->delete_repository("a/fork", {}).has_value());
  const auto second = request_purge(*store_, kPolicy, "a/fork", "law", kAnn).value().request;
  EXPECT_EQ(approval(second, kBob), Errc{});
  EXPECT_FALSE(find_purge(*store_, second).value().keeps_objects);
  finish(*store_);
  EXPECT_TRUE(family_rows(*backend_, Family::kExtents).empty());
  EXPECT_EQ(format::decode_journal_record(family_rows(*backend_, Family::kJournal)[format::journal_key(2)]).value().object_count, 0U);
}

TEST_F(Purges, of_two_in_one_pool_the_later_request_may_be_approved_first) {
  ASSERT_TRUE(store_->fork_repository("a/b", "a/fork", {}).has_value());
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  ASSERT_TRUE(store_->delete_repository("a/fork", {}).has_value());
  const auto fork = request_purge(*store_, kPolicy, "a/fork", "law", kAnn).value().request;
  const auto whole = ask();
  EXPECT_EQ(approval(whole, kBob), Errc{});
  EXPECT_TRUE(find_purge(*store_, whole).value().keeps_objects);
  EXPECT_EQ(approval(fork, kBob), Errc{});
  EXPECT_FALSE(find_purge(*store_, fork).value().keeps_objects);
  finish(*store_);  // by number: the fork's first
  for (const auto& [key, value] : family_rows(*backend_, Family::kJournal)) {
    const auto record = format::decode_journal_record(value).value();
    if (record.is_purged()) {
      EXPECT_EQ(record.object_count, 0U) << record.sequence;
    }
  }
  EXPECT_TRUE(family_rows(*backend_, Family::kExtents).empty());
}

TEST_F(Purges, who_asked_must_still_be_one_of_the_persons) {
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  const std::uint64_t request = ask();
  EXPECT_EQ(approve_purge(*store_, {{"bob", "dan"}, 60}, request, kBob).error().code(), Errc::kRefused);
  const std::uint64_t account = store_->create_account("ann", "correct horse battery", {}).value().id;
  EXPECT_EQ(approval(request, kBob), Errc::kRefused);  // another ann
  ASSERT_TRUE(close_purge(*store_, kPolicy, request, kAnn).has_value());
  const std::uint64_t second = ask({account, "ann"});
  ASSERT_TRUE(store_->set_disabled("ann", true, {}).has_value());
  EXPECT_EQ(approval(second, kBob), Errc::kRefused);
  ASSERT_TRUE(store_->set_disabled("ann", false, {}).has_value());
  EXPECT_EQ(approval(second, kBob), Errc{});
}

TEST_F(Purges, a_store_that_came_in_the_place_of_another_is_not_done) {
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  const std::uint64_t request = ask();
  EXPECT_EQ(approval(request, kBob), Errc{});
  finish(*store_);
  ASSERT_TRUE(report_purge(*store_, request, unreported_purges(*store_, 0).value()[0].second).has_value());
  EXPECT_TRUE(find_purge(*store_, request).value().reports[0].is_done());
  sys::Batch batch;  // a copy of a store that is not rid of it
  batch.erase(Family::kMeta, format::purge_done_key(request));
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  auto told = unreported_purges(*store_, 0).value();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_FALSE(told[0].second.is_done());
  ASSERT_TRUE(report_purge(*store_, request, told[0].second).has_value());
  EXPECT_FALSE(find_purge(*store_, request).value().reports[0].is_done());
  EXPECT_TRUE(unreported_purges(*store_, 0).value().empty());
  clock_.now_ms += 1;
  finish(*store_);
  told = unreported_purges(*store_, 0).value();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told[0].second.is_done());
}

class PurgesOfASet : public testing::Test {
 protected:
  PurgesOfASet() { EXPECT_TRUE(primary_.log->lead(1, primary_.sink).has_value()); }
  void purge(const std::string& name) {
    replicate(primary_, {}, [&] {
      ASSERT_TRUE(primary_.store->delete_repository(name, {}).has_value());
      const auto asked = request_purge(*primary_.store, kPolicy, name, "law", kAnn);
      ASSERT_TRUE(asked.has_value()) << asked.error().message();
      ASSERT_TRUE(approve_purge(*primary_.store, kPolicy, asked.value().request, kBob).has_value());
    });
  }
  // All that the primary has, as it can be sent now.
  void catch_up(Member& follower) {
    for (std::uint64_t next = follower.log->last().sequence + 1; next <= primary_.log->last().sequence; ++next) {
      const auto entry = primary_.log->read(next);
      ASSERT_TRUE(entry.has_value()) << next << ": " << entry.error().message();
      ship(*primary_.log, *follower.log, entry.value());
      ASSERT_TRUE(follower.log->apply(next).has_value());
    }
    EXPECT_EQ(follower.log->last().hash, primary_.log->last().hash);
  }
  Member primary_;
};

TEST_F(PurgesOfASet, a_member_that_was_away_gets_the_purged_form) {
  const Push small = make_push(std::nullopt, 0, 3, "refs/heads/main", ObjectId::null(kAlgorithm));
  const Push large = make_push(small.tip, 1, 4100, "refs/heads/main", small.tip);  // in files
  replicate(primary_, {}, [&] {
    ASSERT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value());
    ASSERT_TRUE(primary_.store->create_repository("a/stays", {}, {}).has_value());
    ASSERT_TRUE(run_push(*primary_.store, "a/b", small.request));
    ASSERT_TRUE(run_push(*primary_.store, "a/b", large.request));
    ASSERT_TRUE(run_push(*primary_.store, "a/stays", make_push(std::nullopt, 7, 3, "refs/heads/main", ObjectId::null(kAlgorithm)).request));
  });
  purge("a/b");
  // Also before the primary has emptied its own records.
  Member early;
  catch_up(early);
  finish(*early.store);
  finish(*primary_.store);
  Member late;
  catch_up(late);
  EXPECT_EQ(all_rows(*late.backend), all_rows(*primary_.backend));
  EXPECT_EQ(visible_objects(*late.store, late.store->find_repository("a/stays").value()->id).size(), 5U);
  // It opens with an empty place in its chain, and leads.
  late.reopen();
  EXPECT_EQ(late.log->last().hash, primary_.log->last().hash);
  for (const auto& [key, value] : family_rows(*early.backend, Family::kJournal)) {
    EXPECT_EQ(format::decode_journal_record(value).value().is_purged(), format::decode_journal_record(family_rows(*late.backend, Family::kJournal)[key]).value().is_purged());
  }
}

TEST_F(PurgesOfASet, objects_that_a_fork_keeps_still_travel) {
  const Push push = make_push(std::nullopt, 0, 3, "refs/heads/main", ObjectId::null(kAlgorithm));
  replicate(primary_, {}, [&] {
    ASSERT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value());
    ASSERT_TRUE(run_push(*primary_.store, "a/b", push.request));
    ASSERT_TRUE(primary_.store->fork_repository("a/b", "a/fork", {}).has_value());
  });
  purge("a/b");
  finish(*primary_.store);
  Member late;
  catch_up(late);
  EXPECT_EQ(all_rows(*late.backend), all_rows(*primary_.backend));
  const auto fork = late.store->find_repository("a/fork").value();
  ASSERT_TRUE(fork.has_value());
  EXPECT_EQ(visible_objects(*late.store, fork->id), visible_objects(*primary_.store, fork->id));
  purge("a/fork");
  catch_up(late);
  finish(*late.store);
  EXPECT_TRUE(family_rows(*late.backend, Family::kExtents).empty());
}

// Its outcome was not known in time, but it may still be committed.
TEST_F(PurgesOfASet, an_approval_waits_for_a_repository_of_the_pool_that_is_on_its_way) {
  const Push push = make_push(std::nullopt, 0, 3, "refs/heads/main", ObjectId::null(kAlgorithm));
  std::uint64_t request = 0;
  replicate(primary_, {}, [&] {
    ASSERT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value());
    ASSERT_TRUE(run_push(*primary_.store, "a/b", push.request));
    ASSERT_TRUE(primary_.store->delete_repository("a/b", {}).has_value());
    request = request_purge(*primary_.store, kPolicy, "a/b", "law", kAnn).value().request;
  });
  const std::uint64_t last = primary_.log->last().sequence;
  std::thread restorer([&] { EXPECT_EQ(restore_repository_at(*primary_.store, "a/b", 2, "a/old", {}).error().code(), Errc::kIndeterminate); });
  primary_.sink.wait_for(last + 1);
  primary_.log->give_up(last + 1);
  restorer.join();
  bool keeps = false;
  std::thread approver([&] {
    const auto done = approve_purge(*primary_.store, kPolicy, request, kBob);
    ASSERT_TRUE(done.has_value()) << done.error().message();
    keeps = done.value().keeps_objects;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // in which it would have appended its record
  EXPECT_EQ(primary_.log->last().sequence, last + 1);
  ASSERT_TRUE(primary_.log->apply(last + 1).has_value());
  primary_.sink.wait_for(last + 2);
  ASSERT_TRUE(primary_.log->apply(last + 2).has_value());
  primary_.log->settle({last + 2, 2, 3, true, false});
  approver.join();
  EXPECT_TRUE(keeps);
  EXPECT_FALSE(visible_objects(*primary_.store, primary_.store->find_repository("a/old").value()->id).empty());
}

// It is not known to be committed within the time that an approval waits: then nothing is erased.
TEST_F(PurgesOfASet, an_approval_fails_while_a_repository_of_the_pool_may_still_come) {
  const Push push = make_push(std::nullopt, 0, 3, "refs/heads/main", ObjectId::null(kAlgorithm));
  std::uint64_t request = 0;
  replicate(primary_, {}, [&] {
    ASSERT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value());
    ASSERT_TRUE(run_push(*primary_.store, "a/b", push.request));
    ASSERT_TRUE(primary_.store->delete_repository("a/b", {}).has_value());
    request = request_purge(*primary_.store, kPolicy, "a/b", "law", kAnn).value().request;
  });
  const std::uint64_t last = primary_.log->last().sequence;
  std::thread restorer([&] { EXPECT_EQ(restore_repository_at(*primary_.store, "a/b", 2, "a/old", {}).error().code(), Errc::kIndeterminate); });
  primary_.sink.wait_for(last + 1);
  primary_.log->give_up(last + 1);
  restorer.join();
  primary_.store->core().committer->set_applied_wait(std::chrono::milliseconds(20));
  // Each ends, for nobody is told of a record that there must not be.
  auto refused = std::async(std::launch::async, [&] {
    const auto approved = approve_purge(*primary_.store, kPolicy, request, kBob);
    const auto purged = primary_.store->purge_repository("a/b", {});
    return approved.has_error() && approved.error().code() == Errc::kUnavailable && purged.has_error() && purged.error().code() == Errc::kUnavailable;
  });
  EXPECT_EQ(refused.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(primary_.log->last().sequence, last + 1) << "there is a record";
  while (refused.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready) {
    for (std::uint64_t sequence = last + 2; sequence <= primary_.log->last().sequence; ++sequence) primary_.log->give_up(sequence);
  }
  EXPECT_TRUE(refused.get());
  ASSERT_TRUE(primary_.log->apply(last + 1).has_value());
  EXPECT_FALSE(visible_objects(*primary_.store, primary_.store->find_repository("a/old").value()->id).empty());
  replicate(primary_, {}, [&] {
    const auto approved = approve_purge(*primary_.store, kPolicy, request, kBob);
    ASSERT_TRUE(approved.has_value()) << approved.error().message();
    EXPECT_TRUE(approved.value().keeps_objects);
  });
}

// Maintenance puts others in the place of rows that an applied record has just erased: one of both comes first.
class HookedBackend final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<void> commit(const sys::Batch& batch, sys::Durability durability) override {
    if (const auto hook = std::exchange(before_commit, nullptr)) hook();
    return Forwarding::commit(batch, durability);
  }
  std::function<void()> before_commit;
};

TEST_F(PurgesOfASet, a_change_without_record_puts_nothing_back) {
  auto hooked = std::make_unique<HookedBackend>(*primary_.backend);
  HookedBackend& backend = *hooked;
  primary_.log.reset();
  primary_.store = std::move(Store::open(std::move(hooked), StoreOptions{})).value();
  primary_.log = std::move(join_replica_set(*primary_.store)).value();
  ASSERT_TRUE(primary_.log->lead(1, primary_.sink).has_value());
  replicate(primary_, {}, [&] {
    ASSERT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value());
    ASSERT_TRUE(run_push(*primary_.store, "a/b", make_push(std::nullopt, 0, 3, "refs/heads/main", ObjectId::null(kAlgorithm)).request));
    ASSERT_TRUE(primary_.store->delete_repository("a/b", {}).has_value());
  });
  const auto extents = family_rows(*primary_.backend, Family::kExtents);
  ASSERT_FALSE(extents.empty());
  const std::uint64_t next = primary_.log->last().sequence + 1;
  std::thread purger([&] { EXPECT_TRUE(primary_.store->purge_repository("a/b", {}).has_value()); });
  primary_.sink.wait_for(next);
  store::Change change;
  change.is_recorded = false;
  const auto& [key, value] = *extents.begin();
  change.preconditions.push_back({Family::kExtents, key, value});
  change.rows.put(Family::kExtents, key, value);
  std::thread applier;
  backend.before_commit = [&] {
    applier = std::thread([&] { EXPECT_TRUE(primary_.log->apply(next).has_value()); });
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // in which it would have erased the rows
  };
  EXPECT_TRUE(primary_.store->core().committer->submit(std::move(change)).has_value());
  applier.join();
  primary_.log->settle({next, 2, 3, true, false});
  purger.join();
  EXPECT_TRUE(family_rows(*primary_.backend, Family::kExtents).empty());
}

}  // namespace
}  // namespace vexor
