// What one member may make another believe: of who leads, of the record, of the end of a primary.
#include "replication/limits.h"
#include "replication/node.h"
#include "sim/machine.h"
#include "sim/sim_log.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vexor::replication {
namespace {

constexpr NodeId kLeader = 1, kSelf = 2, kArchive = 3;
constexpr Epoch kEpoch = 3;

struct Standby {  // follows member 1
  sim::SimLog log;
  Node node{{kSelf, 20}, {}, log, 0, 0};
  VersionedRecord record{5, {}};
  std::vector<Output> outputs;

  Standby() {
    record.record = {kEpoch, kLeader, 10, {kLeader, kSelf}, {{kLeader, Role::kStandby}, {kSelf, Role::kStandby}, {kArchive, Role::kOffsite}}, Copies::kTwo, 0};
    node.record_seen(0, record);
    receive(800, kLeader, append(kEpoch));
    sync(801);
  }
  static Append append(Epoch epoch) { return {epoch, 10, {}, {}, 0, 0}; }
  void receive(Millis now, NodeId from, const Message& message) {
    node.receive(now, from, message);
    outputs = node.take_outputs();
  }
  void sync(Millis now) {
    log.sync(log.written());
    node.log_durable(now, log.written());
    outputs = node.take_outputs();
  }
  template <class Kind>
  bool says() const {
    return std::any_of(outputs.begin(), outputs.end(), [](const Output& output) { return std::holds_alternative<Kind>(output); });
  }
  bool takes_over(Millis now) {
    node.tick(now);
    outputs = node.take_outputs();
    return says<ChangeRecord>();
  }
};

TEST(Peers, only_the_primary_resigns) {
  Standby standby;
  standby.receive(810, kArchive, Resignation{kEpoch});
  EXPECT_FALSE(standby.takes_over(811));
  standby.receive(812, kLeader, Resignation{kEpoch});
  EXPECT_TRUE(standby.takes_over(813));
}

TEST(Peers, the_end_of_another_member_is_not_that_of_the_primary) {
  Standby standby;
  standby.node.peer_dead(810, kArchive, 10);  // it told the primary's incarnation as its own
  EXPECT_FALSE(standby.takes_over(811));
  standby.node.peer_dead(812, kLeader, 10);
  standby.outputs = standby.node.take_outputs();
  EXPECT_TRUE(standby.says<ChangeRecord>());
}

TEST(Peers, only_who_was_asked_tells_the_index) {
  Standby standby;
  standby.node.read(810, 7, ReadLevel::kLinearizable, 0);
  standby.outputs = standby.node.take_outputs();
  const auto round = [&]() -> std::uint64_t {
    for (const Output& output : standby.outputs)
      if (const auto* sent = std::get_if<Send>(&output)) return std::get<ReadIndex>(sent->message).round;
    return 0;
  }();
  ASSERT_NE(round, 0U);
  standby.receive(811, kArchive, ReadIndexAnswer{20, round, 0});
  EXPECT_FALSE(standby.says<ReadOutcome>());
  standby.receive(812, kLeader, ReadIndexAnswer{20, round, 0});
  EXPECT_TRUE(standby.says<ReadOutcome>());
}

// H3: only what the primary may do to the record that is known; else the coordinator is asked.
TEST(Peers, a_record_is_not_believed_because_a_member_sends_it) {
  Standby standby;
  VersionedRecord next{6, handed_over(standby.record.record, kSelf, 20)};
  const auto is_refused = [&](NodeId from, const VersionedRecord& sent) {
    standby.receive(810, from, Handover{sent});
    return standby.says<ReadRecord>() && standby.node.record()->version == 5;
  };
  EXPECT_TRUE(is_refused(kArchive, next));
  VersionedRecord other = next;
  other.version = 1'000'000;
  EXPECT_TRUE(is_refused(kLeader, other));
  other = next;
  other.record.primary_incarnation = 10;
  EXPECT_TRUE(is_refused(kLeader, other));
  other = next;
  other.record.epoch += 1;
  EXPECT_TRUE(is_refused(kLeader, other));
  standby.receive(811, kLeader, Handover{next});
  EXPECT_EQ(standby.node.record()->version, 6U);
  standby.sync(812);
  EXPECT_TRUE(standby.node.leads());
}

// By a coordinator that was set back, or a record that was written by hand.
TEST(Peers, who_is_named_no_more_before_its_promise_is_durable_does_not_lead) {
  Standby standby;
  VersionedRecord next{6, handed_over(standby.record.record, kSelf, 20)};
  standby.receive(811, kLeader, Handover{next});
  next.version = 7;
  next.record.primary = kLeader;
  next.record.in_sync = {kLeader};
  standby.node.record_seen(812, next);
  standby.sync(813);
  EXPECT_FALSE(standby.node.leads());
}

// A promise is durable and cannot be taken back: the set's real leaders would be refused for ever.
TEST(Peers, an_epoch_far_ahead_of_the_record_is_not_promised) {
  Standby standby;
  standby.receive(810, kArchive, Standby::append(kEpoch + kEpochsAheadMax + 1));
  EXPECT_EQ(standby.node.head_epoch(), kEpoch);
  EXPECT_TRUE(standby.says<ReadRecord>());
  standby.receive(811, kArchive, Standby::append(kEpoch + kEpochsAheadMax));  // its record may be behind
  EXPECT_EQ(standby.node.head_epoch(), kEpoch + kEpochsAheadMax);
}

TEST(Peers, a_refusal_far_ahead_of_the_record_deposes_nobody) {
  Standby standby;
  standby.receive(811, kLeader, Handover{{6, handed_over(standby.record.record, kSelf, 20)}});
  standby.sync(812);
  ASSERT_TRUE(standby.node.leads());
  standby.receive(813, kArchive, Refusal{kEpoch + kEpochsAheadMax + 2});
  EXPECT_TRUE(standby.node.leads());
  standby.receive(814, kLeader, Refusal{kEpoch + 2});
  EXPECT_FALSE(standby.node.leads());
}

// S1: what it vouched for from then on would name a store that is given up.
TEST(Peers, a_damaged_follower_says_nothing_more) {
  Standby standby;
  standby.receive(810, kLeader, Standby::append(kEpoch));
  ASSERT_TRUE(standby.says<Send>());
  standby.node.read(811, 7, ReadLevel::kEventual, 5);
  (void)standby.node.take_outputs();
  standby.node.damaged(812);
  standby.outputs = standby.node.take_outputs();
  EXPECT_TRUE(standby.says<ReadOutcome>()) << "who waits is told";
  EXPECT_TRUE(standby.node.stopped());
  standby.receive(813, kLeader, Standby::append(kEpoch));
  EXPECT_FALSE(standby.says<Send>());
}

}  // namespace
}  // namespace vexor::replication
