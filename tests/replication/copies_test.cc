// What a leader does about members that are damaged or late, and about itself (S2, S7, S10, S11).
#include "replication/limits.h"
#include "replication/node.h"
#include "sim/machine.h"
#include "sim/sim_log.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vexor::replication {
namespace {

constexpr NodeId kSelf = 1, kStandby = 2, kOther = 3;

struct Leading {  // member 1 leads epoch 4; 2 and 3 are standbys, 2 in sync
  sim::SimLog log;
  Node node;
  VersionedRecord record{6, {}};
  Millis now = 0;
  std::vector<Output> outputs;

  explicit Leading(const Options& options = {}) : node({kSelf, 10}, options, log, 0, 0) {
    record.record = {4, kSelf, 10, {kSelf, kStandby}, {{kSelf, Role::kStandby}, {kStandby, Role::kStandby}, {kOther, Role::kStandby}}, Copies::kTwo, 0};
    node.record_seen(0, record);
    sync();
  }
  void sync() {
    log.sync(log.written());
    node.log_durable(now, log.written());
    take();
  }
  void take() { outputs = node.take_outputs(); }
  const ChangeRecord* change() const {
    for (const Output& output : outputs)
      if (const auto* found = std::get_if<ChangeRecord>(&output)) return found;
    return nullptr;
  }
  // The change happens.
  void settle(const ChangeRecord& sent) {
    record = {sent.expected_version + 1, sent.record};
    node.change_answered(now, sent.number, ChangeAnswer::kDone);
    take();
  }
  void answer(NodeId from, Incarnation incarnation, Millis echo, const EntryId& match = {}) {
    AppendAnswer told;
    told.epoch = 4;
    told.incarnation = incarnation;
    told.match = match;
    told.echo_time = echo;
    told.promised = true;
    node.receive(now, from, told);
    take();
  }
  EntryId push(std::uint64_t id) {
    const Entry entry = sim::make_entry(4, node.head(), {id, {}});
    node.propose(now, id, entry);
    sync();
    return entry.id;
  }
};

TEST(Copies, a_member_that_withdraws_is_taken_out_although_the_rest_cannot_commit) {
  Leading leader;
  leader.now = 10;
  leader.answer(kStandby, 20, 5);
  EXPECT_FALSE(leader.node.leads_without(kStandby, 4));
  leader.node.withdraw(11, kStandby);
  leader.take();
  ASSERT_NE(leader.change(), nullptr);
  const ChangeRecord sent = *leader.change();
  EXPECT_EQ(sent.record.in_sync, std::vector<InSync>{kSelf});
  EXPECT_FALSE(leader.node.leads_without(kStandby, 4)) << "the change is on its way";
  leader.now = 12;
  leader.settle(sent);
  EXPECT_TRUE(leader.node.leads_without(kStandby, 4));
  EXPECT_FALSE(leader.node.leads_without(kStandby, 5));
  // The process that withdrew is heard no more.
  leader.now = 13;
  leader.answer(kStandby, 20, 12);
  leader.node.tick(14);
  leader.take();
  EXPECT_EQ(leader.change(), nullptr);
  // Another one is, once it is known to live.
  leader.now = 20;
  leader.answer(kStandby, 21, 19);
  leader.node.tick(21);
  leader.take();
  EXPECT_EQ(leader.change(), nullptr);
  leader.now = 30;
  leader.answer(kStandby, 21, 25);
  leader.node.tick(31);
  leader.take();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.change()->record.in_sync, (std::vector<InSync>{kSelf, kStandby}));
}

TEST(Copies, what_an_earlier_process_had_does_not_count_for_the_next) {
  Leading leader;
  leader.now = 10;
  leader.answer(kStandby, 20, 5);
  const EntryId first = leader.push(1);
  leader.answer(kStandby, 20, 10, first);
  EXPECT_EQ(leader.node.commit(), 1U);
  const EntryId second = leader.push(2);
  // An answer of a process before, which comes late, changes nothing.
  leader.now = 20;
  leader.answer(kStandby, 19, 8, second);
  EXPECT_EQ(leader.node.commit(), 1U);
  // The next one begins with nothing, and has to say again what it has.
  leader.now = 30;
  leader.answer(kStandby, 21, 25, second);
  EXPECT_EQ(leader.node.commit(), 1U) << "nobody knows yet that it lives";
  leader.now = 40;
  leader.answer(kStandby, 21, 35);
  EXPECT_EQ(leader.node.commit(), 1U);
  leader.answer(kStandby, 20, 34, second);  // late, of the one before
  EXPECT_EQ(leader.node.commit(), 1U);
  leader.answer(kStandby, 21, 36, second);
  EXPECT_EQ(leader.node.commit(), 2U);
}

TEST(Copies, a_damaged_leader_hands_over_to_who_is_in_sync_and_answers) {
  Leading leader;
  leader.now = 10;
  leader.node.damaged(10);
  leader.take();
  EXPECT_EQ(leader.change(), nullptr) << "nobody answered yet";
  EXPECT_TRUE(leader.node.leads());
  leader.now = 12;
  leader.answer(kStandby, 20, 11);
  leader.node.tick(13);
  leader.take();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.change()->record.handover_target, kStandby);
}

// H1: what it answered last is from before it went away, and its disk may have lost its end since.
TEST(Copies, nothing_is_handed_over_to_who_was_not_heard_lately) {
  Leading leader;
  leader.now = 10;
  leader.answer(kStandby, 20, 5);
  leader.answer(kStandby, 20, 5, leader.push(1));
  ASSERT_EQ(leader.node.commit(), 1U);
  leader.now = 311;
  VersionedRecord to{7, leader.record.record};
  to.record.handover_target = kStandby;
  leader.node.record_seen(leader.now, to);
  leader.take();
  EXPECT_EQ(leader.change(), nullptr);
  EXPECT_FALSE(leader.node.takes_proposals());
  leader.answer(kStandby, 20, 310, leader.node.head());
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.change()->record.primary, kStandby);
}

// Clients wait for it.
TEST(Copies, it_is_handed_over_with_the_answer_to_the_last_entry) {
  Leading leader;
  leader.now = 10;
  leader.answer(kStandby, 20, 5);
  const EntryId last = leader.push(1);
  VersionedRecord to{7, leader.record.record};
  to.record.handover_target = kStandby;
  leader.node.record_seen(leader.now, to);
  leader.take();
  ASSERT_EQ(leader.change(), nullptr) << "that entry is not there yet";
  leader.answer(kStandby, 20, leader.now, last);
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.change()->record.primary, kStandby);
}

// The same when its own disk is the last to have it.
TEST(Copies, it_is_handed_over_when_the_last_entry_is_durable_here) {
  Leading leader;
  leader.now = 10;
  leader.answer(kStandby, 20, 5);
  const Entry entry = sim::make_entry(4, leader.node.head(), {1, {}});
  leader.node.propose(leader.now, 1, entry);
  VersionedRecord to{7, leader.record.record};
  to.record.handover_target = kStandby;
  leader.node.record_seen(leader.now, to);
  leader.answer(kStandby, 20, leader.now, entry.id);
  ASSERT_EQ(leader.change(), nullptr);
  leader.sync();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.change()->record.primary, kStandby);
}

// A log whose rows up to an entry cannot be read.
class DamagedLog final : public sim::SimLog {
 public:
  Sequence unreadable = 0;
  std::optional<EntryId> id_at(Sequence sequence) const override { return sequence != 0 && sequence <= unreadable ? std::nullopt : SimLog::id_at(sequence); }
};

// S11: it does not end, nor tell what it cannot read; it hands over.
TEST(Copies, a_leader_whose_log_cannot_be_read_lives_until_it_has_handed_over) {
  DamagedLog log;
  Node node({kSelf, 10}, {}, log, 0, 0);
  VersionedRecord record{6, {}};
  record.record = {4, kSelf, 10, {kSelf, kStandby}, {{kSelf, Role::kStandby}, {kStandby, Role::kStandby}, {kOther, Role::kOffsite}}, Copies::kTwo, 0};
  node.record_seen(0, record);
  log.sync(log.written());
  node.log_durable(0, log.written());
  const Entry entry = sim::make_entry(4, node.head(), {1, {}});
  node.propose(1, 1, entry);
  log.sync(log.written());
  node.log_durable(1, log.written());
  (void)node.take_outputs();
  log.unreadable = 1;
  AppendAnswer late;  // has nothing: asks for a copy, or for the first entry
  late.epoch = 4;
  late.incarnation = 30;
  late.samples = {{}};
  late.echo_time = 1;
  node.receive(2, kOther, late);
  node.tick(110);
  for (const Output& output : node.take_outputs())
    if (const auto* sent = std::get_if<Send>(&output)) EXPECT_TRUE(!std::holds_alternative<Append>(sent->message) || std::get<Append>(sent->message).previous.sequence == 0);
  node.damaged(111);
  AppendAnswer whole;
  whole.epoch = 4;
  whole.incarnation = 20;
  whole.match = entry.id;
  whole.echo_time = 110;
  whole.promised = true;
  node.receive(112, kStandby, whole);
  node.tick(113);
  EXPECT_TRUE(node.leads());
  bool hands_over = false;
  for (const Output& output : node.take_outputs())
    if (const auto* change = std::get_if<ChangeRecord>(&output)) hands_over = hands_over || change->record.handover_target == kStandby;
  EXPECT_TRUE(hands_over);
}

TEST(Copies, nothing_is_handed_over_to_the_dead) {  // H1
  Leading leader;
  leader.now = 10;
  leader.answer(kStandby, 20, 5);
  leader.answer(kStandby, 20, 5, leader.push(1));
  leader.node.peer_dead(leader.now, kStandby, 20);
  VersionedRecord to{7, leader.record.record};
  to.record.handover_target = kStandby;
  leader.node.record_seen(leader.now, to);
  leader.take();
  ASSERT_NE(leader.change(), nullptr);
  EXPECT_EQ(leader.change()->record.primary, kSelf) << "it is taken out";
}

TEST(Copies, a_member_that_is_too_late_is_offered_one) {
  Options options;
  options.copy_lag_entries = 3;
  Leading leader(options);
  leader.now = 10;
  leader.answer(kStandby, 20, 5);
  for (std::uint64_t id = 1; id <= 6; ++id) leader.answer(kStandby, 20, 10, leader.push(id));
  leader.node.applied(10, leader.node.commit());
  ASSERT_EQ(leader.node.commit(), 6U);
  AppendAnswer empty;
  empty.epoch = 4;
  empty.incarnation = 30;
  empty.samples = {{}};
  const auto offered = [&](Millis now) {
    leader.node.tick(now);
    leader.take();
    for (const Output& output : leader.outputs)
      if (const auto* send = std::get_if<Send>(&output); send != nullptr && send->to == kOther && std::holds_alternative<SnapshotOffer>(send->message)) return true;
    return false;
  };
  EXPECT_FALSE(offered(150)) << "nothing is known of it";
  leader.node.receive(151, kOther, empty);
  leader.take();
  const auto to_other = [](const Output& output) {
    const auto* send = std::get_if<Send>(&output);
    return send != nullptr && send->to == kOther;
  };
  const auto first = std::find_if(leader.outputs.begin(), leader.outputs.end(), to_other);
  ASSERT_NE(first, leader.outputs.end());
  EXPECT_TRUE(std::holds_alternative<SnapshotOffer>(std::get<Send>(*first).message)) << "entries first would bring it too near for one";
  EXPECT_TRUE(offered(300));
  empty.samples.clear();  // it took the entries all the same
  empty.match = leader.node.head();
  leader.node.receive(301, kOther, empty);
  leader.take();
  EXPECT_FALSE(offered(450));
}

// Rows of an entry are on their way there for long, say: all that comes behind it is answered as what does not fit.
TEST(Copies, a_member_that_takes_nothing_is_not_sent_the_same_over_and_over) {
  Leading leader;
  leader.now = 10;
  leader.answer(kStandby, 20, 5);
  for (std::uint64_t id = 1; id <= 600; ++id) leader.answer(kStandby, 20, 10, leader.push(id));
  ASSERT_EQ(leader.node.commit(), 600U);
  AppendAnswer lost;
  lost.epoch = 4;
  lost.incarnation = 30;
  lost.samples = {{}};
  std::size_t sent = 0;
  const auto count = [&] {
    for (const Output& output : leader.outputs) {
      const auto* send = std::get_if<Send>(&output);
      if (send == nullptr || send->to != kOther) continue;
      if (const auto* append = std::get_if<Append>(&send->message)) sent += append->entries.size();
    }
  };
  for (int turn = 0; turn < 100; ++turn) {
    leader.now += 20;
    leader.answer(kStandby, 20, leader.now, leader.node.head());
    count();
    lost.echo_time = leader.now;
    for (int i = 0; i < 3; ++i) leader.node.receive(leader.now, kOther, lost);
    leader.node.tick(leader.now);
    leader.take();
    count();
  }
  EXPECT_GE(sent, kAppendEntriesMax);
  EXPECT_LE(sent, 6 * kAppendEntriesMax);  // in 2 s
  sent = 0;
  AppendAnswer taken = lost;
  taken.samples.clear();
  taken.match = *leader.log.id_at(kAppendEntriesMax);
  leader.node.receive(leader.now, kOther, taken);
  leader.take();
  count();
  EXPECT_EQ(sent, 600 - kAppendEntriesMax);  // the rest at once
}

}  // namespace
}  // namespace vexor::replication
