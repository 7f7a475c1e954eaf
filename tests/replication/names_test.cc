// The names of stores: who is in sync is a store, not a number (docs/protocol/replication.md, N1-N5).
#include "replication/node.h"
#include "sim/world.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vexor::replication {
namespace {

constexpr NodeId kLeader = 1, kStandby = 2, kOther = 3;
constexpr StoreName kLeaderStore = 101, kStandbyStore = 102, kOtherStore = 103, kNewStore = 202;

using Set = std::vector<InSync>;

const ChangeRecord* find_change(const std::vector<Output>& outputs) {
  for (const Output& output : outputs)
    if (const auto* found = std::get_if<ChangeRecord>(&output)) return found;
  return nullptr;
}

VersionedRecord record_of(Set in_sync) {
  VersionedRecord out{6, {}};
  out.record = {4, kLeader, 10, std::move(in_sync), {{kLeader, Role::kStandby}, {kStandby, Role::kStandby}, {kOther, Role::kStandby}}, Copies::kTwo, 0};
  return out;
}

// --- a member that follows

// Whether member 2, started with the store `store`, takes over when it hears nothing of the primary of the record.
bool takes_over(const VersionedRecord& record, StoreName store, const Faults& faults = {}) {
  sim::SimLog log;
  Node node({kStandby, 20, store}, {}, log, 0, 0, faults);
  node.record_seen(0, record);
  node.tick(5000);
  return find_change(node.take_outputs()) != nullptr;
}

TEST(Names, only_the_store_that_is_named_takes_over) {
  const VersionedRecord named = record_of(Set{{kLeader, kLeaderStore}, {kStandby, kStandbyStore}});
  EXPECT_TRUE(takes_over(named, kStandbyStore));
  EXPECT_FALSE(takes_over(named, kNewStore));
  EXPECT_TRUE(takes_over(named, kNewStore, {.ignore_names = true}));
  VersionedRecord vacant = named;  // T1
  vacant.record.primary = kStandby;
  EXPECT_TRUE(takes_over(vacant, kStandbyStore));
  EXPECT_FALSE(takes_over(vacant, kNewStore));
  EXPECT_TRUE(takes_over(record_of(Set{kLeader, kStandby}), kNewStore)) << "0 stands for any (N4)";
}

TEST(Names, the_dead_are_followed_by_the_store_that_is_named) {  // T2
  for (const StoreName store : {kStandbyStore, kNewStore}) {
    sim::SimLog log;
    Node node({kStandby, 20, store}, {}, log, 0, 0);
    node.record_seen(0, record_of(Set{{kLeader, kLeaderStore}, {kStandby, kStandbyStore}}));
    node.peer_dead(800, kLeader, 10);
    EXPECT_EQ(find_change(node.take_outputs()) != nullptr, store == kStandbyStore);
  }
}

TEST(Names, nobody_leads_by_an_entry_of_another_store) {  // T4
  for (const StoreName store : {kStandbyStore, kNewStore}) {
    VersionedRecord record = record_of(Set{{kStandby, kStandbyStore}});
    record.record.primary = kStandby;
    record.record.primary_incarnation = 20;
    sim::SimLog log;
    Node node({kStandby, 20, store}, {}, log, 0, 0);
    node.record_seen(0, record);
    log.sync(log.written());
    node.log_durable(0, log.written());
    EXPECT_EQ(node.leads(), store == kStandbyStore);
  }
}

// --- a leader

struct Leading {  // member 1 leads epoch 4
  sim::SimLog log;
  Node node{{kLeader, 10, kLeaderStore}, {}, log, 0, 0};
  VersionedRecord record;
  Millis now = 0;
  std::vector<Output> outputs;

  explicit Leading(Set in_sync) : record(record_of(std::move(in_sync))) {
    node.record_seen(0, record);
    sync();
  }
  void sync() {
    log.sync(log.written());
    node.log_durable(now, log.written());
    take();
  }
  void take() { outputs = node.take_outputs(); }
  const ChangeRecord* change() const { return find_change(outputs); }
  // The change that was sent just now happens; what it made of the in-sync set.
  Set settle() {
    if (change() == nullptr) return {};
    const ChangeRecord sent = *change();
    record = {sent.expected_version + 1, sent.record};
    node.change_answered(now, sent.number, ChangeAnswer::kDone);
    take();
    return record.record.in_sync;
  }
  void answer(NodeId from, Incarnation incarnation, StoreName store, const EntryId& match = {}) {
    AppendAnswer told;
    told.epoch = 4;
    told.incarnation = incarnation;
    told.match = match;
    told.echo_time = now;
    told.promised = true;
    told.store = store;
    node.receive(now, from, told);
    take();
  }
  // A new process: it counts from the second answer on (S10).
  void start_anew(NodeId from, Incarnation incarnation, StoreName store) {
    ++now;
    answer(from, incarnation, store);
    ++now;
    answer(from, incarnation, store);
  }
  void tick() {
    node.tick(++now);
    take();
  }
  EntryId push(std::uint64_t id) {
    const Entry entry = sim::make_entry(4, node.head(), {id, {}});
    node.propose(now, id, entry);
    sync();
    return entry.id;
  }
  bool may_serve_reads() {
    node.read(now, 900, ReadLevel::kLinearizable, 0);
    take();
    return std::any_of(outputs.begin(), outputs.end(), [](const Output& output) {
      const auto* read = std::get_if<ReadOutcome>(&output);
      return read != nullptr && read->granted;
    });
  }
};

Set both_named() { return {{kLeader, kLeaderStore}, {kStandby, kStandbyStore}}; }

TEST(Names, a_void_member_leaves_although_the_rest_cannot_commit_and_enters_under_its_name_of_now) {  // N3
  Leading leader(both_named());
  leader.now = 10;
  leader.answer(kStandby, 20, kStandbyStore);
  const EntryId first = leader.push(1);
  leader.answer(kStandby, 20, kStandbyStore, first);
  EXPECT_EQ(leader.node.commit(), 1U);
  leader.start_anew(kStandby, 21, kNewStore);
  leader.tick();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.settle(), (Set{{kLeader, kLeaderStore}}));
  leader.tick();
  EXPECT_EQ(leader.change(), nullptr) << "it has nothing yet (C2)";
  leader.answer(kStandby, 21, kNewStore, first);
  leader.tick();
  EXPECT_EQ(leader.settle(), (Set{{kLeader, kLeaderStore}, {kStandby, kNewStore}}));
}

// A process of an older release that was silent when the names were written: it cannot read the record, so nobody would take over in its place.
TEST(Names, who_tells_no_name_does_not_enter_a_record_with_names) {  // N5
  Leading leader(Set{{kLeader, kLeaderStore}});
  leader.now = 10;
  leader.answer(kStandby, 20, 0);
  const EntryId first = leader.push(1);
  leader.answer(kStandby, 20, 0, first);
  leader.tick();
  EXPECT_EQ(leader.change(), nullptr);
  leader.start_anew(kStandby, 21, kStandbyStore);  // it was updated
  leader.answer(kStandby, 21, kStandbyStore, first);
  leader.tick();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.settle(), (Set{{kLeader, kLeaderStore}, {kStandby, kStandbyStore}}));
}

TEST(Names, what_another_store_has_or_promises_counts_for_nothing_while_the_entry_stands) {  // N2: C1, P4
  Leading leader(both_named());
  leader.now = 10;
  leader.answer(kStandby, 20, kStandbyStore);
  EXPECT_TRUE(leader.may_serve_reads());
  leader.start_anew(kStandby, 21, kNewStore);
  leader.tick();
  ASSERT_NE(leader.change(), nullptr);  // and no answer comes
  const EntryId entry = leader.push(1);
  leader.answer(kOther, 30, kOtherStore, entry);
  leader.now = 900;  // the promise of the store before is over
  leader.answer(kStandby, 21, kNewStore, entry);
  EXPECT_EQ(leader.node.commit(), 0U);
  EXPECT_FALSE(leader.may_serve_reads());
  leader.node.record_seen(leader.now, {7, record_of(Set{{kLeader, kLeaderStore}}).record});
  EXPECT_EQ(leader.node.commit(), 1U) << "it is a copy all the same";
}

TEST(Names, a_change_on_its_way_that_names_a_store_of_before_is_not_fulfilled_by_the_next) {
  Leading leader(Set{{kLeader, kLeaderStore}});
  leader.now = 10;
  leader.answer(kOther, 30, kOtherStore);
  leader.answer(kStandby, 20, kStandbyStore);
  leader.tick();
  leader.settle();  // one of them enters
  ASSERT_NE(leader.change(), nullptr);
  const Set on_its_way = leader.change()->record.in_sync;
  ASSERT_EQ(on_its_way.size(), 3U);
  EXPECT_TRUE(std::find(on_its_way.begin(), on_its_way.end(), InSync(kStandby, kStandbyStore)) != on_its_way.end());
  const ChangeRecord sent = *leader.change();
  leader.start_anew(kStandby, 21, kNewStore);
  const EntryId entry = leader.push(1);
  leader.answer(kOther, 30, kOtherStore, entry);
  leader.answer(kStandby, 21, kNewStore, entry);
  EXPECT_EQ(leader.node.commit(), 0U);
  // It comes to pass; the first that the leader does is to take it back.
  leader.node.change_answered(leader.now, sent.number, ChangeAnswer::kDone);
  leader.take();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_FALSE(leader.change()->record.is_in_sync(kStandby));
}

TEST(Names, a_process_has_one_store) {
  Leading leader(both_named());
  leader.now = 10;
  leader.answer(kStandby, 20, kStandbyStore);
  const EntryId entry = leader.push(1);
  leader.answer(kStandby, 20, kNewStore, entry);
  EXPECT_EQ(leader.node.commit(), 0U);
  leader.answer(kStandby, 20, kStandbyStore, entry);
  EXPECT_EQ(leader.node.commit(), 1U);
}

TEST(Names, nothing_is_handed_over_to_a_store_that_is_not_named) {  // H1, S11
  Leading leader(Set{{kLeader, kLeaderStore}, {kStandby, kStandbyStore}, {kOther, kOtherStore}});
  leader.now = 10;
  leader.answer(kStandby, 20, kNewStore);
  leader.answer(kOther, 30, kOtherStore);
  leader.take();
  leader.node.damaged(++leader.now);
  leader.take();
  // The change that takes it out is on its way: while it may come, nothing else is sent.
  leader.tick();
  EXPECT_EQ(leader.change(), nullptr);
  VersionedRecord still{7, leader.record.record};
  still.record.handover_target = kStandby;
  leader.node.record_seen(++leader.now, still);
  leader.take();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.change()->record.epoch, 4U) << "it is taken out";
  EXPECT_FALSE(leader.change()->record.is_in_sync(kStandby));
}

TEST(Names, are_written_when_all_others_have_told_theirs) {  // N4, N5
  Leading leader(Set{kLeader, kStandby});
  leader.now = 10;
  leader.answer(kStandby, 20, kStandbyStore);
  leader.tick();
  EXPECT_EQ(leader.change(), nullptr) << "member 3 may be of an older release";
  leader.answer(kOther, 30, kOtherStore);
  leader.tick();
  EXPECT_EQ(leader.settle(), (Set{kLeader, kStandby, {kOther, kOtherStore}}));
  EXPECT_EQ(leader.settle(), (Set{{kLeader, kLeaderStore}, {kStandby, kStandbyStore}, {kOther, kOtherStore}}));
  EXPECT_EQ(leader.change(), nullptr);
}

TEST(Names, are_written_when_who_told_none_is_silent) {  // N5
  Leading leader(Set{kLeader});
  for (leader.now = 0; leader.now <= 990; leader.now += 90) {
    leader.answer(kStandby, 20, kStandbyStore);
    leader.tick();
    EXPECT_EQ(leader.change(), nullptr) << "nobody enters while it is not known whether with a name";
  }
  leader.now = 1010;
  leader.answer(kStandby, 20, kStandbyStore);
  leader.tick();
  EXPECT_EQ(leader.settle(), (Set{kLeader, {kStandby, kStandbyStore}}));
  EXPECT_EQ(leader.settle(), both_named());
}

TEST(Names, none_is_written_while_a_member_of_an_older_release_answers) {  // N5
  Leading leader(Set{kLeader});
  leader.now = 10;
  leader.answer(kStandby, 20, kStandbyStore);
  leader.answer(kOther, 30, 0);
  leader.tick();
  EXPECT_EQ(leader.settle(), (Set{kLeader, kStandby}));
  EXPECT_EQ(leader.settle(), (Set{kLeader, kStandby, kOther}));
  leader.tick();
  EXPECT_EQ(leader.change(), nullptr);
  leader.start_anew(kOther, 31, kOtherStore);  // updated
  leader.tick();
  EXPECT_EQ(leader.settle(), (Set{{kLeader, kLeaderStore}, {kStandby, kStandbyStore}, {kOther, kOtherStore}}));
}

TEST(Names, a_store_that_lacks_entries_is_not_named) {  // N4
  Leading leader(Set{kLeader, kStandby, {kOther, kOtherStore}});
  EXPECT_EQ(leader.settle(), (Set{{kLeader, kLeaderStore}, kStandby, {kOther, kOtherStore}})) << "its own it knows";
  leader.now = 10;
  leader.answer(kStandby, 20, kStandbyStore);
  leader.answer(kOther, 30, kOtherStore);
  leader.tick();
  leader.settle();
  const EntryId entry = leader.push(1);
  leader.answer(kStandby, 20, kStandbyStore, entry);
  leader.answer(kOther, 30, kOtherStore, entry);
  ASSERT_EQ(leader.node.commit(), 1U);
  EXPECT_EQ(leader.record.record.in_sync[1], InSync(kStandby, kStandbyStore));
  // The same set of before names, and a store that was emptied.
  VersionedRecord unnamed{20, leader.record.record};
  unnamed.record.in_sync[1].store = 0;
  leader.start_anew(kStandby, 21, kNewStore);
  leader.node.record_seen(leader.now, unnamed);
  leader.take();
  EXPECT_EQ(leader.change(), nullptr);
  leader.answer(kStandby, 21, kNewStore, entry);
  leader.tick();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.change()->record.in_sync[1], InSync(kStandby, kNewStore));
}

// --- all of it: seed 66276 of the revision before names

// Three members, the last one off-site, and pushes that want two copies.
std::uint64_t seed_of_three() {
  for (std::uint64_t seed = 1;; ++seed) {
    const sim::World world(seed, {}, false);
    const Record& record = world.coordinator.record().record;
    if (record.members.size() == 3 && record.members[1].role == Role::kStandby && record.members[2].role == Role::kOffsite && record.copies == Copies::kTwo) return seed;
  }
}

class EmptiedWhileAdded {
 public:
  explicit EmptiedWhileAdded(const Faults& faults) : world_(seed_of_three(), faults, false) {}

  // Up to when the change has come to pass, with an empty store in the place of the one that it is about.
  void prepare() {
    run(5'000);
    ASSERT_TRUE(leader().up() && leader().node().leads());
    world_.crash(standby());
    run(5'000);
    ASSERT_FALSE(now().is_in_sync(kStandby)) << "it is taken out";
    for (std::uint64_t id = 1; id <= 4; ++id) leader().update({id, {{0, id - 1, id}}}, [](const sim::Answer&) {});
    run(1'000);
    ASSERT_EQ(leader().node().commit(), 4U) << "with the off-site member";
    world_.coordinator.cut_hosts = 1;  // from here on the leader's changes are on their way
    standby().start();
    run(2'000);
    named_ = standby().store();
    ASSERT_FALSE(leader().node().leads_without(kStandby, 1)) << "the change is sent";
    ASSERT_FALSE(now().is_in_sync(kStandby));
    standby().wipe();
    for (const auto& [from, to] : {std::pair(0, 1), std::pair(1, 0)}) world_.set_cut(from, to, true);
    standby().start();
    run(1'000);
    ASSERT_TRUE(standby().up()) << "the record does not count on it (S9)";
    ASSERT_NE(standby().store(), named_);
    world_.coordinator.cut_hosts = 0;
    for (int i = 0; i < 50'000 && !now().is_in_sync(kStandby); ++i) world_.run_until(world_.now_us + 100);
    ASSERT_EQ(now().find_in_sync(kStandby)->store, named_);
    world_.crash(leader());
  }
  void go_on() {
    run(10'000);
    standby().update({9, {{0, 0, 9}}}, [](const sim::Answer&) {});  // to a primary that has lost all that was pushed
    for (const auto& [from, to] : {std::pair(0, 1), std::pair(1, 0)}) world_.set_cut(from, to, false);
    leader().start();
    run(20'000);
  }
  sim::Server& leader() { return *world_.servers[0]; }
  sim::Server& standby() { return *world_.servers[1]; }
  const Record& now() const { return world_.coordinator.record().record; }

 private:
  void run(std::int64_t ms) { world_.run_until(world_.now_us + ms * 1000); }

  sim::World world_;
  StoreName named_ = 0;
};

TEST(Names, a_disk_emptied_while_its_member_is_added_takes_nothing_over) {
  EmptiedWhileAdded set({});
  ASSERT_NO_FATAL_FAILURE(set.prepare());
  set.go_on();
  EXPECT_EQ(set.now().primary, kLeader);
  EXPECT_TRUE(set.leader().node().leads());
  EXPECT_TRUE(set.now().is_in_sync(kStandby, set.standby().store()));
  EXPECT_NE(set.now().find_in_sync(kStandby)->store, 0U);
  EXPECT_EQ(set.standby().machine().at.sequence, 4U);
  EXPECT_EQ(set.standby().machine().at, set.leader().machine().at);
}

TEST(Names, without_them_it_takes_over_and_what_was_acknowledged_is_lost) {
  EmptiedWhileAdded set({.ignore_names = true});
  ASSERT_NO_FATAL_FAILURE(set.prepare());
  EXPECT_THROW(set.go_on(), sim::Violation);
  EXPECT_EQ(set.now().primary, kStandby);
}

}  // namespace
}  // namespace vexor::replication
