#include "replication/durable_log.h"
#include "replication/limits.h"
#include "replication/promises.h"
#include "replication/read_queue.h"
#include "replication/record_change.h"
#include "sim/machine.h"
#include "sim/sim_log.h"

#include <gtest/gtest.h>

namespace vexor::replication {
namespace {

Entry entry_after(const EntryId& previous, std::uint64_t id) {
  return sim::make_entry(1, previous, {id, {}});
}

TEST(DurableLog, a_report_of_a_write_that_was_cut_does_not_count) {
  sim::SimLog log;
  DurableLog durable(log, false);
  const Entry first = entry_after({}, 1);
  const Entry second = entry_after(first.id, 2);
  durable.append(std::span(&first, 1));
  durable.append(std::span(&second, 1));
  const LogTicket of_second = log.written();
  durable.cut(1);
  durable.append(std::span(&second, 1));  // the same again
  durable.written(of_second);
  EXPECT_EQ(durable.durable(), 1U);
  durable.written(log.written());
  EXPECT_EQ(durable.durable(), 2U);
}

TEST(DurableLog, a_promise_counts_when_its_ticket_is_told) {
  sim::SimLog log;
  DurableLog durable(log, false);
  durable.promise(3);
  EXPECT_EQ(durable.promised(), 3U);
  EXPECT_FALSE(durable.promise_durable());
  durable.written(log.written());
  EXPECT_TRUE(durable.promise_durable());
}

VersionedRecord some_record() {
  VersionedRecord record{7, {}};
  record.record.members = {{1, Role::kStandby}, {2, Role::kStandby}, {3, Role::kOffsite}};
  record.record.in_sync = {1, 2};
  record.record.primary = 1;
  record.record.epoch = 4;
  return record;
}

TEST(RecordChange, stays_on_its_way_until_the_version_moved) {
  RecordChange change;
  std::vector<Output> outputs;
  const VersionedRecord from = some_record();
  change.propose(from, taken_over(from.record, 2, 22), 0, outputs);
  const auto number = std::get<ChangeRecord>(outputs.at(0)).number;
  EXPECT_FALSE(change.answered(number, ChangeAnswer::kUnknown, outputs));
  change.version_seen(7);
  EXPECT_NE(change.on_its_way(), nullptr);
  change.tick(999, 1000, outputs);
  EXPECT_EQ(outputs.size(), 1U);
  change.tick(1000, 1000, outputs);
  ASSERT_EQ(outputs.size(), 2U);
  EXPECT_EQ(std::get<ChangeRecord>(outputs[1]).record, std::get<ChangeRecord>(outputs[0]).record);
  // The late answer to the first request is still one to this change.
  const auto done = change.answered(number, ChangeAnswer::kDone, outputs);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->version, 8U);
  change.version_seen(8);
  EXPECT_EQ(change.on_its_way(), nullptr);
  EXPECT_FALSE(change.answered(number, ChangeAnswer::kDone, outputs));
}

TEST(RecordChange, a_conflict_asks_for_the_record_and_proves_nothing) {
  RecordChange change;
  std::vector<Output> outputs;
  const VersionedRecord from = some_record();
  change.propose(from, handed_over(from.record, 2, 22), 0, outputs);
  EXPECT_FALSE(change.answered(1, ChangeAnswer::kConflict, outputs));
  EXPECT_TRUE(std::holds_alternative<ReadRecord>(outputs.at(1)));
  EXPECT_NE(change.on_its_way(), nullptr);
}

TEST(Record, takeover_leaves_out_the_old_primary_and_who_is_no_member) {
  Record record = some_record().record;
  record.in_sync = {1, 9, 2};
  const Record to = taken_over(record, 2, 22);
  EXPECT_EQ(to.epoch, 5U);
  EXPECT_EQ(to.in_sync, std::vector<InSync>{2});
  EXPECT_EQ(to.primary_incarnation, 22U);
}

TEST(Record, an_off_site_member_takes_over_only_what_it_already_led) {
  Record record = some_record().record;
  EXPECT_FALSE(record.may_take_over(3));
  record = *promoted(record, 3, 33);
  EXPECT_TRUE(record.may_take_over(3));
  EXPECT_EQ(record.in_sync, std::vector<InSync>{3});
  record.in_sync.push_back(1);
  EXPECT_EQ(handed_over(record, 1, 11).in_sync, std::vector<InSync>{1});
}

TEST(Record, refuses_unsound_changes_of_operators) {
  Record record = some_record().record;
  EXPECT_FALSE(without_member(record, 1));
  EXPECT_FALSE(without_member(record, 8));
  EXPECT_FALSE(with_member(record, {2, Role::kStandby}));
  EXPECT_FALSE(with_handover(record, 3));
  EXPECT_FALSE(with_handover(record, 1));
  EXPECT_FALSE(promoted(record, 8, 1));
  for (NodeId id = 10; record.members.size() < kMembersMax; ++id)
    record = *with_member(record, {id, Role::kOffsite});
  EXPECT_FALSE(with_member(record, {99, Role::kOffsite}));
}

TEST(Promises, evidence_waives_those_to_the_dead_only) {
  Promises promises(100);
  EXPECT_TRUE(promises.running_but_to(5, 99));  // to somebody unknown, before the start
  promises.give(5, 300);
  EXPECT_FALSE(promises.running_but_to(5, 100));
  EXPECT_TRUE(promises.running(299));
  promises.give(6, 250);
  EXPECT_TRUE(promises.running_but_to(6, 299));
  EXPECT_FALSE(promises.running_but_to(6, 300));
  EXPECT_FALSE(promises.running(300));
}

TEST(ReadQueue, a_round_serves_only_reads_that_began_before_it) {
  ReadQueue reads;
  std::vector<Output> outputs;
  reads.add(1, true, 0, 1000);
  const auto round = reads.begin_round(0);
  reads.add(2, true, 0, 1000);
  reads.index_round(round, 5);
  reads.complete(5, 0, outputs);
  ASSERT_EQ(outputs.size(), 1U);
  EXPECT_EQ(std::get<ReadOutcome>(outputs[0]).request, 1U);
  EXPECT_TRUE(reads.wants_index());
  reads.index_round(reads.begin_round(0), 6);
  reads.complete(5, 0, outputs);
  EXPECT_EQ(outputs.size(), 1U);  // not applied yet
  reads.complete(5, 1000, outputs);
  EXPECT_FALSE(std::get<ReadOutcome>(outputs.at(1)).granted);
}

TEST(ReadQueue, an_index_below_what_was_applied_when_its_round_began_is_noticed) {
  ReadQueue reads;
  const auto first = reads.begin_round(7);
  const auto second = reads.begin_round(9);
  EXPECT_FALSE(reads.exceeds(first, 7));
  EXPECT_TRUE(reads.exceeds(first, 6));
  EXPECT_TRUE(reads.exceeds(second, 8));
  EXPECT_FALSE(reads.exceeds(second, 9));
  EXPECT_FALSE(reads.exceeds(second + 1, 0));  // no such round
  for (std::size_t i = 0; i < kRoundsKept; ++i) reads.begin_round(10);
  EXPECT_FALSE(reads.exceeds(second, 0));  // forgotten
}

TEST(ReadQueue, is_bounded) {
  ReadQueue reads;
  for (std::size_t i = 0; i < kReadsMax; ++i) EXPECT_TRUE(reads.add(i, false, 1, 1000));
  EXPECT_FALSE(reads.add(0, false, 1, 1000));
}

}  // namespace
}  // namespace vexor::replication
