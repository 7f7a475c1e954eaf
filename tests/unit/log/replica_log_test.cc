// The log of a member of a replica set: appended, applied, cut off.
#include "vexorstore/replica_log.h"

#include <array>
#include <future>

#include "format/log_rows.h"
#include "support/replica_pair.h"
#include "support/upkeep.h"
#include "vexorstore/history.h"

namespace vexor {
namespace {

using namespace test;

const ObjectId kNone = ObjectId::null(kAlgorithm);

void lead(Member& member, std::uint64_t epoch) {
  const auto done = member.log->lead(epoch, member.sink);
  ASSERT_TRUE(done.has_value()) << done.error().message();
}

void make_repository(Member& primary, std::vector<Member*> others, const std::string& name = "a/b") {
  replicate(primary, std::move(others), [&] { ASSERT_TRUE(primary.store->create_repository(name, {}, {}).has_value()); });
}

std::size_t ref_count(Member& member, const std::string& name = "a/b") {
  const auto repository = member.store->find_repository(name).value();
  return repository ? member.store->list_refs(repository->id).value().size() : 0;
}

TEST(ReplicaLog, a_member_takes_no_changes_unless_it_leads) {
  Member member;
  EXPECT_EQ(member.store->create_repository("a/b", {}, {}).error().code(), Errc::kUnavailable);
  member.reopen();
  EXPECT_EQ(member.store->create_repository("a/b", {}, {}).error().code(), Errc::kUnavailable);
  lead(member, 1);
  make_repository(member, {});
  EXPECT_TRUE(member.store->find_repository("a/b").value().has_value());
  EXPECT_EQ(member.log->last().epoch, 1U);
  ASSERT_TRUE(member.log->follow().has_value());
  EXPECT_EQ(member.store->create_repository("a/c", {}, {}).error().code(), Errc::kUnavailable);
  lead(member, 2);
  make_repository(member, {}, "a/c");
  ASSERT_TRUE(member.log->follow().has_value());
  EXPECT_EQ(member.log->lead(1, member.sink).error().code(), Errc::kInvalidArgument);
}

TEST(ReplicaLog, what_is_appended_is_invisible_until_it_is_applied) {
  Member member;
  lead(member, 1);
  make_repository(member, {});
  const Push push = make_push(std::nullopt, 1, 3, "refs/heads/main", kNone);
  bool answered = false;
  std::thread pusher([&] { answered = run_push(*member.store, "a/b", push.request); });
  const LogEntry entry = member.sink.wait_for(2);
  EXPECT_EQ(ref_count(member), 0U);
  EXPECT_EQ(member.store->last_sequence(), 1U);
  EXPECT_FALSE(member.store->read_object(1, push.tip, nullptr).has_value());
  EXPECT_TRUE(member.log->apply(2).has_value());
  EXPECT_EQ(ref_count(member), 2U);  // HEAD too
  EXPECT_TRUE(member.store->read_object(1, push.tip, nullptr).has_value());
  member.log->settle({2, 2, 3, true, false});
  pusher.join();
  EXPECT_TRUE(answered);
  EXPECT_FALSE(entry.rows_apart);
}

// Of two pushes to one ref the second is refused although the first is not applied yet.
TEST(ReplicaLog, changes_are_checked_against_what_is_appended) {
  Member member;
  lead(member, 1);
  make_repository(member, {});
  std::vector<Push> pushes;
  for (int i = 0; i < 4; ++i) pushes.push_back(make_push(std::nullopt, i, 2, "refs/heads/main", kNone));
  std::atomic<int> good = 0;
  std::vector<std::thread> pushers;
  for (const Push& push : pushes) {
    pushers.emplace_back([&] { good += run_push(*member.store, "a/b", push.request) ? 1 : 0; });
  }
  member.sink.wait_for(2);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // time enough for a second one
  EXPECT_EQ(good, 0);
  EXPECT_EQ(member.log->last().sequence, 2U);
  EXPECT_TRUE(member.log->apply(2).has_value());
  member.log->settle({.sequence = 2});
  for (std::thread& pusher : pushers) pusher.join();
  EXPECT_EQ(good, 1);
  EXPECT_EQ(member.log->last().sequence, 2U);
}

TEST(ReplicaLog, a_follower_has_the_same_rows) {
  Member primary;
  Member follower;
  Member third;
  const std::vector<Member*> others{&follower, &third};
  lead(primary, 1);
  make_repository(primary, others);
  std::optional<ObjectId> tip;
  for (int round = 0; round < 6; ++round) {
    const Push push = make_push(tip, round, round == 3 ? 4100 : 3, "refs/heads/main", tip.value_or(kNone));  // 4100: in files
    replicate(primary, others, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", push.request)); });
    tip = push.tip;
  }
  replicate(primary, others, [&] {
    const Actor actor;
    EXPECT_TRUE(primary.store->fork_repository("a/b", "c/fork", actor).has_value());
    EXPECT_TRUE(primary.store->create_account("ann", "correct horse battery", actor).has_value());
    EXPECT_TRUE(primary.store->grant("c/fork", "ann", Permission::kWrite, actor).has_value());
    EXPECT_TRUE(primary.store->rename_repository("c/fork", "c/renamed", actor).has_value());
    EXPECT_TRUE(primary.store->create_repository("d/gone", {}, actor).has_value());
    EXPECT_TRUE(run_push(*primary.store, "d/gone", make_push(std::nullopt, 77, 3, "refs/heads/main", kNone).request));
    EXPECT_TRUE(primary.store->delete_repository("d/gone", actor).has_value());
    EXPECT_TRUE(primary.store->purge_repository("d/gone", actor).has_value());
    // A branch at an old commit, and a tag of a repository that shares the objects.
    EXPECT_TRUE(run_push(*primary.store, "a/b", push_request(kNone, *tip, "refs/heads/second", PackBuilder().finish())));
    EXPECT_TRUE(run_push(*primary.store, "c/renamed", push_request(kNone, *tip, "refs/tags/t", PackBuilder().finish())));
    EXPECT_TRUE(run_push(*primary.store, "a/b", delete_request(*tip, "refs/heads/second")));
    EXPECT_TRUE(undo_ref(*primary.store, "a/b", "refs/heads/second", actor).has_value());
    EXPECT_TRUE(restore_repository_at(*primary.store, "a/b", 4, "e/early", actor).has_value());
    EXPECT_TRUE(restore_repository_at(*primary.store, "c/renamed", primary.log->last().sequence - 4, "", actor).has_value());
  });
  EXPECT_EQ(primary.log->last().sequence, follower.log->last().sequence);
  EXPECT_EQ(all_rows(*primary.backend), all_rows(*follower.backend));
  EXPECT_EQ(all_rows(*primary.backend), all_rows(*third.backend));
  const auto repository = follower.store->find_repository("a/b").value();
  expect_sound(*follower.store, repository->id);
  EXPECT_EQ(visible_objects(*primary.store, repository->id), visible_objects(*follower.store, repository->id));
}

TEST(ReplicaLog, a_tail_is_cut_and_its_numbers_are_used_again) {
  Member primary;
  Member follower;
  lead(primary, 1);
  make_repository(primary, {&follower});
  const Push base = make_push(std::nullopt, 0, 3, "refs/heads/main", kNone);
  replicate(primary, {&follower}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", base.request)); });
  // Two records that only the old primary has: one small, one in files.
  std::array<bool, 2> answers{true, true};
  std::vector<std::thread> pushers;
  for (std::size_t i = 0; i < 2; ++i) {
    const Push lost = make_push(base.tip, 10 + static_cast<int>(i), i == 0 ? 5 : 4100, "refs/heads/lost" + std::to_string(i), kNone);
    pushers.emplace_back([&answers, &primary, i, request = lost.request] { answers[i] = run_push(*primary.store, "a/b", request); });
    primary.sink.wait_for(3 + i);
  }
  ASSERT_TRUE(primary.log->follow().has_value());
  for (std::thread& pusher : pushers) pusher.join();
  EXPECT_FALSE(answers[0] || answers[1]);
  lead(follower, 2);
  const Push kept = make_push(base.tip, 20, 4, "refs/heads/main", base.tip);
  EXPECT_EQ(primary.log->append({}).has_value(), true);
  replicate(follower, {}, [&] { EXPECT_TRUE(run_push(*follower.store, "a/b", kept.request)); });
  const LogEntry entry = follower.log->read(3).value();
  EXPECT_EQ(primary.log->append({entry}).error().code(), Errc::kConflict);
  // Maintenance leaves the tail alone.
  EXPECT_TRUE(run_upkeep(*primary.store, only(MaintenanceTask::kMerge)).has_value());
  EXPECT_TRUE(run_upkeep(*follower.store, only(MaintenanceTask::kMerge)).has_value());
  EXPECT_EQ(primary.log->cut(1).error().code(), Errc::kInvalidArgument);
  ASSERT_TRUE(primary.log->cut(2).has_value());
  ship(*follower.log, *primary.log, entry);
  EXPECT_TRUE(primary.log->apply(3).has_value());
  EXPECT_EQ(all_rows(*primary.backend), all_rows(*follower.backend));
}

TEST(ReplicaLog, a_restart_keeps_the_tail_and_drops_rows_without_a_record) {
  Member primary;
  Member follower;
  lead(primary, 1);
  make_repository(primary, {&follower});
  const Push small = make_push(std::nullopt, 0, 3, "refs/heads/main", kNone);
  const Push large = make_push(std::nullopt, 1, 4100, "refs/heads/large", kNone);
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", small.request)); });
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", large.request)); });
  ship(*primary.log, *follower.log, primary.sink.wait_for(2));
  const LogEntry entry = primary.sink.wait_for(3);
  ASSERT_TRUE(entry.rows_apart);
  EXPECT_EQ(follower.log->append({entry}).error().code(), Errc::kNotFound);
  ship_rows(*primary.log, *follower.log, entry);
  follower.reopen();
  EXPECT_EQ(follower.log->last().sequence, 2U);
  EXPECT_EQ(follower.log->applied(), 1U);
  EXPECT_EQ(follower.log->append({entry}).error().code(), Errc::kNotFound);  // swept at the start
  ship(*primary.log, *follower.log, entry);
  follower.reopen();
  EXPECT_EQ(follower.log->last().sequence, 3U);
  EXPECT_TRUE(follower.log->apply(3).has_value());
  EXPECT_EQ(all_rows(*primary.backend), all_rows(*follower.backend));
}

// A takeover waits for it, and gigabytes may have come ahead.
TEST(ReplicaLog, rows_that_came_ahead_are_dropped_without_being_read) {
  Member primary;
  Member follower;
  lead(primary, 1);
  make_repository(primary, {&follower});
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", make_push(std::nullopt, 1, 4100, "refs/heads/large", kNone).request)); });
  const LogEntry entry = primary.sink.wait_for(2);
  const auto before = all_rows(*follower.backend);
  for (const bool is_claimed : {false, true}) {
    ship_rows(*primary.log, *follower.log, entry);
    if (is_claimed) EXPECT_TRUE(follower.log->claim_rows(entry.record));
    sys::Batch unreadable;
    const auto extents = family_rows(*follower.backend, sys::Family::kExtents);
    ASSERT_FALSE(extents.empty());
    for (const auto& [key, value] : extents) unreadable.put(sys::Family::kExtents, key, "x");
    ASSERT_TRUE(follower.backend->commit(unreadable, sys::Durability::kSynced).has_value());
    ASSERT_TRUE(follower.log->follow().has_value());
    EXPECT_EQ(all_rows(*follower.backend), before);
  }
}

// The same of a push here, when this server is not the primary any more.
TEST(ReplicaLog, rows_of_a_push_that_waits_for_others_are_dropped_without_being_read) {
  Member primary;
  lead(primary, 1);
  make_repository(primary, {});
  const auto before = all_rows(*primary.backend);
  std::promise<void> is_there;
  std::promise<void> may_go_on;
  primary.sink.on_stage = [&](const std::string&) -> std::unique_ptr<StagedCopies> {
    is_there.set_value();
    may_go_on.get_future().wait();
    return nullptr;
  };
  bool done = true;
  std::thread pusher([&] { done = run_push(*primary.store, "a/b", make_push(std::nullopt, 1, 4100, "refs/heads/large", kNone).request); });
  is_there.get_future().wait();
  sys::Batch unreadable;
  for (const auto& [key, value] : family_rows(*primary.backend, sys::Family::kExtents)) unreadable.put(sys::Family::kExtents, key, "x");
  ASSERT_FALSE(unreadable.ops().empty());
  ASSERT_TRUE(primary.backend->commit(unreadable, sys::Durability::kSynced).has_value());
  auto followed = std::async(std::launch::async, [&] { return primary.log->follow(ReplicaLog::Waiting::kGoesOn).has_value(); });
  while (primary.store->core().committer->role() != store::Committer::Role::kReplica) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // nothing tells of it
  may_go_on.set_value();  // it waits for who asks the sink
  EXPECT_TRUE(followed.get());
  pusher.join();
  EXPECT_FALSE(done);
  EXPECT_EQ(all_rows(*primary.backend), before);
}

TEST(ReplicaLog, a_new_primary_commits_the_tail_first) {
  Member primary;
  Member follower;
  lead(primary, 1);
  make_repository(primary, {&follower});
  const Push push = make_push(std::nullopt, 0, 3, "refs/heads/main", kNone);
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", push.request)); });
  replicate(primary, {}, [&] { EXPECT_TRUE(primary.store->create_repository("x/y", {}, {}).has_value()); });
  ship(*primary.log, *follower.log, primary.sink.wait_for(2));
  ship(*primary.log, *follower.log, primary.sink.wait_for(3));
  lead(follower, 2);
  EXPECT_EQ(ref_count(follower), 0U);
  // The ref exists in the tail: a push that thinks it does not is refused, and the name x/y is taken.
  bool pushed = true;
  std::thread pusher([&] { pushed = run_push(*follower.store, "a/b", make_push(std::nullopt, 5, 3, "refs/heads/main", kNone).request); });
  EXPECT_FALSE(follower.store->create_repository("x/y", {}, {}).has_value());
  EXPECT_TRUE(follower.log->apply(3).has_value());
  pusher.join();
  EXPECT_FALSE(pushed);
  EXPECT_EQ(follower.log->last().sequence, 3U);
  EXPECT_EQ(ref_count(follower), 2U);
  replicate(follower, {&primary}, [] {});
  ASSERT_TRUE(primary.log->follow().has_value());
  replicate(follower, {&primary}, [&] {
    const auto made = follower.store->create_repository("x/z", {}, {});
    ASSERT_TRUE(made.has_value());
    EXPECT_GT(made.value().id, 2U);
    EXPECT_TRUE(run_push(*follower.store, "a/b", make_push(push.tip, 6, 3, "refs/heads/main", push.tip).request));
  });
  EXPECT_EQ(all_rows(*primary.backend), all_rows(*follower.backend));
}

// Q4: the tail that a refusal comes from may be lost.
TEST(ReplicaLog, a_refusal_is_told_when_what_it_comes_from_is_confirmed) {
  Member member;
  lead(member, 1);
  make_repository(member, {});
  EXPECT_EQ(member.store->create_repository("a/b", {}, {}).error().code(), Errc::kConflict);
  EXPECT_EQ(member.sink.confirmations, 1);
  member.sink.confirms = false;
  EXPECT_EQ(member.store->create_repository("a/b", {}, {}).error().code(), Errc::kUnavailable);
  EXPECT_EQ(member.sink.confirmations, 2);
}

// A hand-over: what was given to the others is told by what they say, also after the end of the reign.
TEST(ReplicaLog, who_waits_for_what_was_sent_is_told_after_the_reign) {
  Member primary;
  Member follower;
  lead(primary, 1);
  make_repository(primary, {&follower});
  std::array<bool, 2> answers{false, true};
  std::vector<std::thread> pushers;
  for (std::size_t i = 0; i < 2; ++i) {
    const Push push = make_push(std::nullopt, static_cast<int>(i), 3, "refs/heads/b" + std::to_string(i), kNone);
    pushers.emplace_back([&answers, &primary, i, request = push.request] { answers[i] = run_push(*primary.store, "a/b", request); });
    primary.sink.wait_for(2 + i);
  }
  ASSERT_TRUE(primary.log->follow(ReplicaLog::Waiting::kGoesOn).has_value());
  ASSERT_TRUE(primary.log->cut(2).has_value());  // the second one was given to nobody
  pushers[1].join();
  EXPECT_FALSE(answers[1]);
  EXPECT_TRUE(primary.log->apply(2).has_value());
  primary.log->settle({2, 2, 3, true, false, false});
  pushers[0].join();
  EXPECT_TRUE(answers[0]);
}

// Rows ahead of their record, at a member: they go unless the record claims them, and are not written under it.
TEST(ReplicaLog, rows_that_came_ahead_are_dropped_or_claimed) {
  Member primary;
  Member follower;
  lead(primary, 1);
  make_repository(primary, {&follower});
  const Push push = make_push(std::nullopt, 1, 4100, "refs/heads/large", kNone);
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", push.request)); });
  const LogEntry entry = primary.sink.wait_for(2);
  ASSERT_TRUE(entry.rows_apart);
  const auto before = all_rows(*follower.backend);
  EXPECT_FALSE(follower.log->claim_rows(entry.record));
  ship_rows(*primary.log, *follower.log, entry);
  EXPECT_NE(all_rows(*follower.backend), before);
  ASSERT_TRUE(follower.log->drop_rows(entry.record).has_value());
  EXPECT_EQ(all_rows(*follower.backend), before);
  EXPECT_EQ(follower.log->append({entry}).error().code(), Errc::kNotFound);
  ship_rows(*primary.log, *follower.log, entry);
  EXPECT_TRUE(follower.log->claim_rows(entry.record));
  ASSERT_TRUE(follower.log->drop_rows(entry.record).has_value());  // too late
  const auto writer = follower.log->write_rows(entry.record);
  const auto reader = primary.log->read_rows_of(entry.record);
  ASSERT_TRUE(writer.has_value() && reader.has_value());
  ASSERT_TRUE(follower.log->append({entry}).has_value());
  ASSERT_TRUE(follower.log->apply(2).has_value());
  // A second copy that was on its way meanwhile.
  EXPECT_EQ(writer.value()->add(reader.value()->next().value()).error().code(), Errc::kConflict);
  EXPECT_TRUE(follower.log->drop_rows(entry.record).has_value());
  EXPECT_EQ(all_rows(*primary.backend), all_rows(*follower.backend));
  follower.reopen();
  EXPECT_EQ(all_rows(*primary.backend), all_rows(*follower.backend));
}

// A push that is large by its objects, and small in its rows: read again, the record comes with them.
TEST(ReplicaLog, rows_that_came_ahead_and_come_again_with_their_record_stay) {
  Member primary;
  Member follower;
  Member other;
  lead(primary, 1);
  make_repository(primary, {&follower, &other});
  PackBuilder pack;
  const ObjectId tip = add_commit(pack, std::nullopt, 1, 3);
  for (int i = 0; i < 4100; ++i) pack.add(ObjectType::kBlob, std::to_string(i));
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", push_request(kNone, tip, "refs/heads/large", pack.finish()))); });
  const LogEntry entry = primary.sink.wait_for(2);
  ASSERT_TRUE(entry.rows_apart);
  ship_rows(*primary.log, *follower.log, entry);
  // At the other one they are still on their way.
  const auto late = other.log->write_rows(entry.record);
  const auto reader = primary.log->read_rows_of(entry.record);
  ASSERT_TRUE(late.has_value() && reader.has_value());
  for (std::string piece = reader.value()->next().value(); !piece.empty(); piece = reader.value()->next().value()) ASSERT_TRUE(late.value()->add(piece).has_value());
  // The primary has them in other extents by now.
  ASSERT_TRUE(run_upkeep(*primary.store, only(MaintenanceTask::kRedelta)).has_value());
  ASSERT_TRUE(run_upkeep(*primary.store, only(MaintenanceTask::kMerge)).has_value());
  const LogEntry again = primary.log->read(2).value();
  ASSERT_FALSE(again.rows_apart);
  for (Member* const member : {&follower, &other}) {
    ASSERT_TRUE(member->log->append({again}).has_value());
    ASSERT_TRUE(member->log->apply(2).has_value());
    const auto applied = all_rows(*member->backend);
    ASSERT_TRUE(member->log->drop_rows(entry.record).has_value());  // the call that they came by ends
    EXPECT_EQ(all_rows(*member->backend), applied);
    const auto finished = member == &other ? late.value()->finish() : Result<void>(Error(Errc::kConflict, ""));
    EXPECT_TRUE(finished.has_error() && finished.error().code() == Errc::kConflict);
    const auto later = member->log->write_rows(entry.record);
    const auto more = primary.log->read_rows_of(entry.record);
    ASSERT_TRUE(later.has_value() && more.has_value());
    const auto added = later.value()->add(more.value()->next().value());
    EXPECT_TRUE(added.has_error() && added.error().code() == Errc::kConflict);
    EXPECT_EQ(all_rows(*member->backend), applied);
    member->reopen();
    EXPECT_EQ(all_rows(*member->backend), applied);
    const auto repository = member->store->find_repository("a/b").value();
    expect_sound(*member->store, repository->id);
    EXPECT_EQ(visible_objects(*member->store, repository->id), visible_objects(*primary.store, repository->id));
  }
}

// Stops where a large push has its numbers and is about to write.
class PausingBackend final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<std::unique_ptr<sys::BulkWriter>> bulk_writer(sys::Family family) override {
    if (const auto pause = std::exchange(on_bulk, nullptr)) pause();
    return Forwarding::bulk_writer(family);
  }
  std::function<void()> on_bulk;
};

// Stops where files are let in.
class SlowIngest final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<void> ingest(std::vector<std::unique_ptr<sys::BulkWriter>> files) override {
    if (const auto pause = std::exchange(on_ingest, nullptr)) pause();
    return Forwarding::ingest(std::move(files));
  }
  std::function<void()> on_ingest;
};

TEST(ReplicaLog, other_records_do_not_wait_for_rows_that_are_let_in) {
  Member primary;
  Member follower;
  auto slow = std::make_unique<SlowIngest>(*follower.backend);
  SlowIngest& backend = *slow;
  follower.log.reset();
  follower.store = std::move(Store::open(std::move(slow), StoreOptions{})).value();
  follower.log = std::move(join_replica_set(*follower.store)).value();
  lead(primary, 1);
  make_repository(primary, {&follower});
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", make_push(std::nullopt, 1, 3, "refs/heads/small", kNone).request)); });
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", make_push(std::nullopt, 2, 4100, "refs/heads/large", kNone).request)); });
  const LogEntry small = primary.sink.wait_for(2);
  const LogEntry large = primary.sink.wait_for(3);
  ASSERT_TRUE(large.rows_apart);
  std::promise<void> is_there;
  std::promise<void> may_go_on;
  backend.on_ingest = [&] {
    is_there.set_value();
    may_go_on.get_future().wait();
  };
  std::thread shipper([&] { ship_rows(*primary.log, *follower.log, large); });
  is_there.get_future().wait();
  auto appended = std::async(std::launch::async, [&] { return follower.log->append({small}).has_value() && follower.log->apply(2).has_value() && !follower.log->claim_rows(large.record); });
  const bool is_done = appended.wait_for(std::chrono::seconds(20)) == std::future_status::ready;
  EXPECT_TRUE(is_done);
  may_go_on.set_value();
  shipper.join();
  EXPECT_TRUE(appended.get());
  EXPECT_TRUE(follower.log->claim_rows(large.record));
  ASSERT_TRUE(follower.log->append({large}).has_value());
  ASSERT_TRUE(follower.log->apply(3).has_value());
  EXPECT_EQ(all_rows(*primary.backend), all_rows(*follower.backend));
}

// A disk that takes no more.
class FailingBackend final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<void> commit(const sys::Batch& batch, sys::Durability durability) override {
    if (fails) return Error(Errc::kIo, "the disk is gone");
    return Forwarding::commit(batch, durability);
  }
  std::atomic<bool> fails = false;
};

TEST(ReplicaLog, a_primary_whose_write_fails_says_so) {
  Member primary;
  auto failing = std::make_unique<FailingBackend>(*primary.backend);
  FailingBackend& backend = *failing;
  primary.log.reset();
  primary.store = std::move(Store::open(std::move(failing), StoreOptions{})).value();
  primary.log = std::move(join_replica_set(*primary.store)).value();
  lead(primary, 1);
  make_repository(primary, {});
  EXPECT_EQ(primary.sink.failures, 0);
  const auto last = primary.log->last().sequence;
  backend.fails = true;
  const Push push = make_push(std::nullopt, 1, 3, "refs/heads/a", kNone);
  EXPECT_FALSE(run_push(*primary.store, "a/b", push.request));
  EXPECT_EQ(primary.sink.failures, 1);
  EXPECT_EQ(primary.log->last().sequence, last);
}

// The numbers of a push that began in an earlier reign may be another's by now.
TEST(ReplicaLog, a_push_does_not_outlive_the_reign_that_numbered_it) {
  Member primary;
  auto pausing = std::make_unique<PausingBackend>(*primary.backend);
  PausingBackend& backend = *pausing;
  primary.log.reset();
  primary.store = std::move(Store::open(std::move(pausing), StoreOptions{})).value();
  primary.log = std::move(join_replica_set(*primary.store)).value();
  lead(primary, 1);
  make_repository(primary, {});
  const Push late = make_push(std::nullopt, 1, 4100, "refs/heads/late", kNone);
  std::promise<void> reached;
  std::promise<void> go_on;
  backend.on_bulk = [&] {  // on the thread of the late push
    reached.set_value();
    go_on.get_future().wait();
  };
  bool pushed = true;
  std::thread pusher([&] { pushed = run_push(*primary.store, "a/b", late.request); });
  reached.get_future().wait();
  ASSERT_TRUE(primary.log->follow().has_value());
  lead(primary, 3);
  const Push other = make_push(std::nullopt, 2, 4200, "refs/heads/other", kNone);
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", other.request)); });
  const auto committed = all_rows(*primary.backend);
  replicate(primary, {}, [&] {  // whatever comes of it
    go_on.set_value();
    pusher.join();
  });
  EXPECT_FALSE(pushed);
  EXPECT_EQ(all_rows(*primary.backend), committed);
  const RepositoryId id = primary.store->find_repository("a/b").value()->id;
  expect_sound(*primary.store, id);
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", late.request)); });
  expect_sound(*primary.store, id);
}

// The same of a small one, which writes with its record.
TEST(ReplicaLog, numbers_of_an_earlier_reign_get_no_record) {
  Member primary;
  lead(primary, 1);
  make_repository(primary, {});
  store::Committer& committer = *primary.store->core().committer;
  store::Change change;
  change.reign = committer.reign();
  change.record.pool = 1;
  change.record.object_count = 1;
  change.rows.put(sys::Family::kExtents, format::extent_key(1, 0), "x");
  ASSERT_TRUE(primary.log->follow().has_value());
  lead(primary, 1);  // a hand-over that was given up: rows without a record were swept all the same
  const auto before = all_rows(*primary.backend);
  EXPECT_EQ(committer.submit(std::move(change)).error().code(), Errc::kUnavailable);
  EXPECT_EQ(all_rows(*primary.backend), before);
}

// Catching up from a store that maintenance has rewritten meanwhile.
TEST(ReplicaLog, entries_are_read_again_after_merge_and_redelta) {
  Member primary;
  Member follower;
  lead(primary, 1);
  make_repository(primary, {});
  std::optional<ObjectId> tip;
  for (int round = 0; round < 30; ++round) {
    const Push push = make_push(tip, round, 12, "refs/heads/main", tip.value_or(kNone));
    replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", push.request)); });
    tip = push.tip;
  }
  EXPECT_TRUE(run_upkeep(*primary.store, only(MaintenanceTask::kRedelta)).has_value());
  EXPECT_TRUE(run_upkeep(*primary.store, only(MaintenanceTask::kMerge)).has_value());
  const std::uint64_t last = primary.log->last().sequence;
  for (std::uint64_t sequence = 1; sequence <= last; ++sequence) {
    const auto entry = primary.log->read(sequence);
    ASSERT_TRUE(entry.has_value()) << entry.error().message();
    ship(*primary.log, *follower.log, entry.value());
    ASSERT_TRUE(follower.log->apply(sequence).has_value());
    if (sequence % 7 == 0) {
      expect_sound(*follower.store, 1);  // no delta upon what is still to come
    }
  }
  EXPECT_EQ(visible_objects(*primary.store, 1), visible_objects(*follower.store, 1));
  expect_sound(*follower.store, 1);
}

TEST(ReplicaLog, malformed_entries_change_nothing) {
  Member primary;
  lead(primary, 1);
  make_repository(primary, {});
  const Push push = make_push(std::nullopt, 0, 3, "refs/heads/main", kNone);
  replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", push.request)); });
  Member follower;
  ship(*primary.log, *follower.log, primary.sink.wait_for(1));
  const LogEntry good = primary.sink.wait_for(2);
  const auto before = all_rows(*follower.backend);
  for (std::size_t at = 0; at < good.rows.size(); ++at) {
    LogEntry bad = good;
    bad.rows[at] = static_cast<char>(bad.rows[at] ^ 0x10);
    // Not every octet of a payload is covered by ids: those are found when objects are hashed.
    const auto done = follower.log->append({bad});
    if (done.has_value()) {
      ASSERT_TRUE(follower.log->cut(1).has_value());
      continue;
    }
    ASSERT_EQ(all_rows(*follower.backend), before) << at;
  }
  for (std::size_t size = 0; size < good.rows.size(); ++size) {
    LogEntry bad = good;
    bad.rows.resize(size);
    EXPECT_FALSE(follower.log->append({bad}).has_value()) << size;
  }
  for (std::size_t at = 0; at < good.record.size(); ++at) {
    LogEntry bad = good;
    bad.record[at] = static_cast<char>(bad.record[at] ^ 0x10);
    EXPECT_FALSE(follower.log->append({bad}).has_value()) << at;
  }
  EXPECT_EQ(all_rows(*follower.backend), before);
  ship(*primary.log, *follower.log, good);
}

TEST(ReplicaLog, entries_say_in_which_turn_they_were_appended) {
  Member primary;
  ASSERT_TRUE(primary.log->lead(1, primary.sink, 7).has_value());
  std::thread first([&] { (void)primary.store->create_repository("a/b", {}, {}); });
  EXPECT_EQ(primary.sink.wait_for(1).turn, 7U);
  ASSERT_TRUE(primary.log->take_back(0, 8).has_value());
  first.join();
  ASSERT_TRUE(primary.log->take_back(0, 9).has_value());  // nothing is there
  std::thread second([&] { (void)primary.store->create_repository("c/d", {}, {}); });
  for (int i = 0; i < 2000 && primary.log->last().sequence == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the sink still has the first one
  ASSERT_TRUE(primary.log->follow(ReplicaLog::Waiting::kGoesOn).has_value());
  ASSERT_TRUE(primary.log->cut(0).has_value());  // behind what the sink was given
  second.join();
  EXPECT_EQ(primary.sink.latest(1).turn, 9U);
}

TEST(ReplicaLog, a_primary_takes_back_what_it_gave_to_nobody) {
  Member member;
  lead(member, 1);
  make_repository(member, {});
  const Push first = make_push(std::nullopt, 1, 3, "refs/heads/one", kNone);
  const Push second = make_push(std::nullopt, 2, 3, "refs/heads/two", kNone);
  bool one = false;
  bool two = true;
  std::thread first_pusher([&] { one = run_push(*member.store, "a/b", first.request); });
  member.sink.wait_for(2);
  std::thread second_pusher([&] { two = run_push(*member.store, "a/b", second.request); });
  member.sink.wait_for(3);
  ASSERT_TRUE(member.log->take_back(2).has_value());
  second_pusher.join();
  EXPECT_FALSE(two);
  EXPECT_EQ(member.log->last().sequence, 2U);
  EXPECT_TRUE(member.log->apply(2).has_value());
  member.log->settle({.sequence = 2});
  first_pusher.join();
  EXPECT_TRUE(one);  // it went on waiting
  EXPECT_EQ(member.log->take_back(1).error().code(), Errc::kInvalidArgument);
  // The place in the log and the object numbers are used again.
  replicate(member, {}, [&] { EXPECT_TRUE(run_push(*member.store, "a/b", second.request)); });
  expect_sound(*member.store, 1);
}

// Objects of an appended record can be read, and a push leans on them, until it is taken back.
TEST(ReplicaLog, a_push_does_not_lean_on_what_was_taken_back) {
  Member member;
  lead(member, 1);
  make_repository(member, {});
  store::Committer& committer = *member.store->core().committer;
  const Push push = make_push(std::nullopt, 1, 3, "refs/heads/one", kNone);
  const std::uint64_t before = committer.withdrawals();
  bool done = true;
  std::thread pusher([&] { done = run_push(*member.store, "a/b", push.request); });
  member.sink.wait_for(2);
  store::Change leaning;  // a ref that names what that push brought
  leaning.reign = committer.reign();
  leaning.withdrawals = before;
  ASSERT_TRUE(member.log->take_back(1).has_value());
  pusher.join();
  EXPECT_FALSE(done);
  EXPECT_EQ(committer.submit(std::move(leaning)).error().code(), Errc::kConflict);
  EXPECT_EQ(member.log->last().sequence, 1U);
  for (const bool again : {false, true}) {  // to follow and to lead again sweeps what has no record
    store::Change late;
    late.withdrawals = committer.withdrawals();
    ASSERT_TRUE(member.log->follow().has_value());
    lead(member, again ? 2 : 1);
    EXPECT_EQ(committer.submit(std::move(late)).error().code(), Errc::kConflict);
  }
  replicate(member, {}, [&] { EXPECT_TRUE(run_push(*member.store, "a/b", push.request)); });
  expect_sound(*member.store, 1);
}

TEST(ReplicaLog, keeps_the_state_of_replication) {
  Member member;
  EXPECT_EQ(member.log->load_state().value(), "");
  ASSERT_TRUE(member.log->save_state("promised 7").has_value());
  member.reopen();
  EXPECT_EQ(member.log->load_state().value(), "promised 7");
  EXPECT_FALSE(member.log->save_state(std::string(kReplicationStateBytesMax + 1, 'x')).has_value());
}

}  // namespace
}  // namespace vexor
