// What a member sends in one turn of its node.
#include "replication/host/outbox.h"

#include <gtest/gtest.h>

#include "replication/limits.h"

namespace vexor::replication {
namespace {

constexpr NodeId kOne = 1;
constexpr NodeId kOther = 2;

class Wire final : public Transport {
 public:
  void send(NodeId to, const Message& message) override { sent.emplace_back(to, message); }
  void leader_changed(NodeId) override {}
  Result<void> fetch_rows(NodeId, Bytes, RowsWriter&) override { return Error(Errc::kUnavailable, "not asked here"); }
  std::unique_ptr<RowsCall> offer_rows(NodeId, const RowsOffer&) override { return nullptr; }
  std::vector<std::pair<NodeId, Message>> sent;
};

EntryId id_at(Sequence sequence) {
  EntryId out{sequence, {}};
  out.hash[0] = static_cast<std::uint8_t>(sequence);
  out.hash[1] = static_cast<std::uint8_t>(sequence >> 8U);
  return out;
}

Append append_of(Sequence first, std::size_t count, Sequence commit = 0, Millis send_time = 0, std::size_t bytes = 10) {
  Append out{.epoch = 3, .incarnation = 7, .previous = id_at(first - 1), .entries = {}, .commit = commit, .send_time = send_time};
  for (std::size_t i = 0; i < count; ++i)
    out.entries.push_back({3, id_at(first + i), id_at(first + i - 1).hash, std::make_shared<const std::string>(bytes, 'x')});
  return out;
}

TEST(Outbox, appends_that_follow_on_each_other_are_one) {
  Append first = append_of(5, 2, 3, 100);
  Append next = append_of(7, 1, 4, 110);
  ASSERT_TRUE(merge(first, next));
  ASSERT_EQ(first.entries.size(), 3U);
  EXPECT_EQ(first.previous, id_at(4));
  EXPECT_EQ(first.entries.back().id, id_at(7));
  EXPECT_EQ(first.commit, 4U);
  EXPECT_EQ(first.send_time, 110);
}

TEST(Outbox, a_heartbeat_and_entries_behind_it_are_one) {
  Append beat = append_of(5, 0, 3);
  Append next = append_of(5, 1, 3);
  ASSERT_TRUE(merge(beat, next));
  EXPECT_EQ(beat.previous, id_at(4));
  EXPECT_EQ(beat.entries.size(), 1U);
}

TEST(Outbox, what_does_not_follow_stays_apart) {
  Append first = append_of(5, 2);
  Append gap = append_of(8, 1);
  EXPECT_FALSE(merge(first, gap));
  Append again = append_of(6, 1);
  EXPECT_FALSE(merge(first, again));
  Append of_another_epoch = append_of(7, 1);
  of_another_epoch.epoch = 4;
  EXPECT_FALSE(merge(first, of_another_epoch));
  Append of_another_run = append_of(7, 1);
  of_another_run.incarnation = 8;
  EXPECT_FALSE(merge(first, of_another_run));
  Append other_history = append_of(7, 1);
  other_history.previous.hash[5] = 1;
  EXPECT_FALSE(merge(first, other_history));
  EXPECT_EQ(first.entries.size(), 2U);
}

TEST(Outbox, no_message_grows_over_the_limits) {
  Append first = append_of(1, kAppendEntriesMax);
  Append next = append_of(kAppendEntriesMax + 1, 1);
  EXPECT_FALSE(merge(first, next));
  Append large = append_of(1, 1, 0, 0, kAppendBytesMax);
  Append small = append_of(2, 1, 0, 0, 1);
  EXPECT_FALSE(merge(large, small));
  EXPECT_EQ(large.entries.size(), 1U);
}

TEST(Outbox, to_each_member_in_order) {
  Outbox outbox;
  Wire wire;
  outbox.put(kOne, append_of(5, 1));
  outbox.put(kOther, append_of(5, 1));
  outbox.put(kOne, append_of(6, 1));
  outbox.put(kOther, append_of(6, 1));
  outbox.put(kOne, Resignation{3});
  outbox.put(kOne, append_of(7, 1));  // not before what was said in between
  outbox.send(wire);
  ASSERT_EQ(wire.sent.size(), 4U);
  EXPECT_EQ(wire.sent[0].first, kOne);
  EXPECT_EQ(std::get<Append>(wire.sent[0].second).entries.size(), 2U);
  EXPECT_EQ(wire.sent[1].first, kOther);
  EXPECT_EQ(std::get<Append>(wire.sent[1].second).entries.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Resignation>(wire.sent[2].second));
  EXPECT_EQ(std::get<Append>(wire.sent[3].second).entries.size(), 1U);
  outbox.send(wire);
  EXPECT_EQ(wire.sent.size(), 4U);
}

}  // namespace
}  // namespace vexor::replication
