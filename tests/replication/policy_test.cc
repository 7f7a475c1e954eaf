// What a leader does about entries whose repositories have policies of their own: rules C1, C4 to C7, T5.
#include "replication/limits.h"
#include "replication/node.h"
#include "sim/machine.h"
#include "sim/sim_log.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace vexor::replication {
namespace {

constexpr NodeId kSelf = 1, kStandby = 2, kOffsite = 3;

struct Leading {  // member 1 leads epoch 4; 2 is a standby, in sync or not, 3 is off-site
  sim::SimLog log;
  std::optional<Node> node;
  VersionedRecord record{6, {}};
  Millis now = 0;
  std::vector<Output> outputs;

  // `tail`: so many entries of the epoch before, which are in the log and not known to be committed.
  explicit Leading(std::vector<InSync> in_sync, Copies copies = Copies::kTwo, std::size_t tail = 0) {
    for (std::size_t i = 0; i < tail; ++i) {
      const Entry entry = sim::make_entry(3, log.last(), {900 + i, {}});
      log.append(std::span(&entry, 1));
    }
    log.sync(log.written());
    node.emplace(Identity{kSelf, 10}, Options(), log, 0, 0);
    record.record = {4, kSelf, 10, std::move(in_sync), {{kSelf, Role::kStandby}, {kStandby, Role::kStandby}, {kOffsite, Role::kOffsite}}, copies, 0};
    node->record_seen(0, record);
    sync();
    outputs.clear();
  }
  void take() {
    for (Output& output : node->take_outputs()) outputs.push_back(std::move(output));
  }
  void sync() {
    log.sync(log.written());
    node->log_durable(now, log.written());
    take();
  }
  void cluster(Copies copies) {
    ++record.version;
    record.record.copies = copies;
    node->record_seen(now, record);
    take();
  }
  void tick_at(Millis to) {
    now = to;
    node->tick(now);
    take();
  }
  void answer(NodeId from, const EntryId& match = {}) {
    node->receive(now, from, AppendAnswer{4, from * 10, match, {}, now, true});
    take();
  }
  EntryId push(RequestId request, std::optional<Copies> copies) {
    const Entry entry = sim::make_entry(4, node->head(), {request, {}});
    node->propose(now, request, entry, copies);
    sync();
    return entry.id;
  }
  const ProposalOutcome* outcome(RequestId request) const {
    for (const Output& output : outputs)
      if (const auto* found = std::get_if<ProposalOutcome>(&output); found != nullptr && found->request == request) return found;
    return nullptr;
  }
  std::optional<Fate> fate(RequestId request) const {
    const ProposalOutcome* found = outcome(request);
    return found == nullptr ? std::nullopt : std::optional(found->fate);
  }
  bool changes_record() const {
    return std::any_of(outputs.begin(), outputs.end(), [](const Output& output) { return std::holds_alternative<ChangeRecord>(output); });
  }
};

TEST(Policy, entries_are_committed_in_order_each_with_its_copies) {
  Leading leader({kSelf});
  leader.answer(kOffsite);
  leader.push(1, Copies::kLocal);
  EXPECT_EQ(leader.node->commit(), 1U);
  const EntryId two = leader.push(2, std::nullopt);
  const EntryId local = leader.push(3, Copies::kLocal);
  EXPECT_EQ(leader.node->commit(), 1U) << "what needs one copy waits behind what needs two";
  const EntryId last = leader.push(4, Copies::kTwo);
  leader.push(5, Copies::kLocal);
  leader.answer(kOffsite, two);
  EXPECT_EQ(leader.node->commit(), 3U);
  leader.answer(kOffsite, local);
  EXPECT_EQ(leader.node->commit(), 3U);
  leader.answer(kOffsite, last);
  EXPECT_EQ(leader.node->commit(), 5U);
  leader.tick_at(Options().offsite_wait_ms);
  for (const RequestId request : {1U, 2U, 3U, 4U, 5U}) EXPECT_EQ(leader.fate(request), Fate::kCommitted) << request;
  EXPECT_EQ(leader.outcome(1)->receipt.members.size(), 2U);
  EXPECT_EQ(leader.outcome(5)->receipt.members, std::vector<NodeId>{kSelf});
}

TEST(Policy, nobody_is_spared_the_members_in_sync) {
  Leading leader({kSelf, kStandby}, Copies::kLocal);
  leader.answer(kStandby);
  const EntryId entry = leader.push(1, Copies::kLocal);
  EXPECT_EQ(leader.node->commit(), 0U);
  leader.answer(kOffsite, entry);
  EXPECT_EQ(leader.node->commit(), 0U);
  leader.answer(kStandby, entry);
  EXPECT_EQ(leader.node->commit(), 1U);
}

// C4: a push to one repository does not cost the others their failover.
TEST(Policy, a_silent_standby_stays_in_sync_though_a_local_entry_waits_for_it) {
  Leading leader({kSelf, kStandby});
  leader.answer(kStandby);
  leader.push(1, Copies::kLocal);
  leader.tick_at(5000);
  EXPECT_FALSE(leader.changes_record());
  EXPECT_EQ(leader.node->commit(), 0U);
  leader.cluster(Copies::kLocal);
  leader.tick_at(5100);
  EXPECT_TRUE(leader.changes_record());
}

TEST(Policy, a_repository_may_ask_for_more_than_the_cluster) {
  Leading leader({kSelf}, Copies::kLocal);
  leader.answer(kOffsite);
  const EntryId entry = leader.push(1, Copies::kTwo);
  EXPECT_EQ(leader.node->commit(), 0U);
  leader.cluster(Copies::kAll);  // another policy of the cluster changes nothing for it
  EXPECT_EQ(leader.node->commit(), 0U);
  leader.answer(kOffsite, entry);
  EXPECT_EQ(leader.node->commit(), 1U);
  leader.tick_at(Options().offsite_wait_ms);
  EXPECT_EQ(leader.fate(1), Fate::kCommitted) << "it does not ask for all, though the cluster does";
}

TEST(Policy, without_one_of_its_own_an_entry_follows_the_cluster) {
  Leading leader({kSelf});
  leader.answer(kOffsite);
  leader.push(1, std::nullopt);
  EXPECT_EQ(leader.node->commit(), 0U);
  leader.cluster(Copies::kLocal);
  EXPECT_EQ(leader.node->commit(), 1U);
}

// C6 for one repository.
TEST(Policy, copies_of_all_are_asked_for_by_that_repository_alone) {
  const Options options;
  Leading leader({kSelf, kStandby});
  leader.answer(kStandby);
  leader.answer(kOffsite);
  leader.tick_at(options.member_silence_ms + 1);
  leader.answer(kStandby);
  EXPECT_TRUE(leader.node->refuses(Copies::kAll));
  EXPECT_FALSE(leader.node->refuses(Copies::kTwo));
  leader.push(1, Copies::kAll);  // 3 is away
  ASSERT_EQ(leader.fate(1), Fate::kNotStarted);
  EXPECT_EQ(leader.outcome(1)->reason, Reason::kMemberAway);
  EXPECT_EQ(leader.node->head().sequence, 0U);
  const EntryId plain = leader.push(2, std::nullopt);
  leader.answer(kStandby, plain);
  EXPECT_EQ(leader.fate(2), Fate::kCommitted);
  // It is there again, and does not take what is appended then.
  leader.answer(kOffsite);
  const EntryId all = leader.push(3, Copies::kAll);
  const EntryId behind = leader.push(4, std::nullopt);
  leader.answer(kStandby, behind);
  EXPECT_EQ(leader.node->commit(), behind.sequence);
  leader.tick_at(leader.now + options.all_wait_ms - 1);
  EXPECT_EQ(leader.fate(4), Fate::kCommitted) << "it is not held up by what another repository asks for";
  EXPECT_EQ(leader.fate(3), std::nullopt);
  leader.tick_at(leader.now + 1);
  EXPECT_EQ(leader.fate(3), Fate::kShort);
  EXPECT_EQ(all.sequence, leader.outcome(3)->entry.sequence);
  // And one that all have in time.
  leader.answer(kStandby, behind);
  leader.answer(kOffsite, behind);
  const EntryId whole = leader.push(5, Copies::kAll);
  leader.answer(kStandby, whole);
  EXPECT_EQ(leader.fate(5), std::nullopt);
  leader.answer(kOffsite, whole);
  EXPECT_EQ(leader.fate(5), Fate::kCommitted);
  EXPECT_TRUE(leader.outcome(5)->receipt.all);
}

// C7: it would stay in the log, and hold up what needs no second copy.
TEST(Policy, a_leader_alone_refuses_what_needs_a_second_copy_and_takes_the_rest) {
  const Options options;
  Leading leader({kSelf});
  leader.answer(kStandby);
  leader.answer(kOffsite);
  leader.tick_at(options.member_silence_ms + 1);
  for (const std::optional<Copies> copies : {std::optional<Copies>(), std::optional(Copies::kTwo), std::optional(Copies::kAll)}) {
    leader.outputs.clear();
    leader.push(1, copies);
    ASSERT_EQ(leader.fate(1), Fate::kNotStarted);
    EXPECT_EQ(leader.outcome(1)->reason, Reason::kMemberAway);
  }
  leader.push(2, Copies::kLocal);
  EXPECT_EQ(leader.fate(2), Fate::kCommitted);
  EXPECT_EQ(leader.outcome(2)->receipt.members, std::vector<NodeId>{kSelf});
  leader.answer(kOffsite);
  EXPECT_FALSE(leader.node->refuses(Copies::kTwo));
  leader.push(3, std::nullopt);
  EXPECT_EQ(leader.node->head().sequence, 2U);
}

TEST(Policy, members_that_were_not_heard_yet_have_time_to_start) {
  const Options options;
  Leading leader({kSelf});
  leader.tick_at(options.proposal_wait_ms);
  EXPECT_FALSE(leader.node->refuses(Copies::kTwo));
  leader.tick_at(options.proposal_wait_ms + 1);
  EXPECT_TRUE(leader.node->refuses(Copies::kTwo));
  EXPECT_FALSE(leader.node->refuses(Copies::kLocal));
}

// While another counts as in sync nothing could be committed, so nobody is held up: the outcome is unknown, as ever.
TEST(Policy, who_is_alone_while_another_counts_refuses_nothing) {
  Leading leader({kSelf, kStandby});
  leader.answer(kStandby);
  leader.answer(kOffsite);
  leader.tick_at(5000);
  EXPECT_FALSE(leader.node->refuses(Copies::kTwo));
  leader.push(1, std::nullopt);
  leader.tick_at(5000 + Options().proposal_wait_ms);
  EXPECT_EQ(leader.fate(1), Fate::kUnknown);
}

TEST(Policy, what_was_told_to_be_unknown_keeps_its_policy) {
  Leading leader({kSelf}, Copies::kLocal);
  leader.answer(kOffsite);
  const EntryId entry = leader.push(1, Copies::kTwo);
  leader.tick_at(Options().proposal_wait_ms);
  EXPECT_EQ(leader.fate(1), Fate::kUnknown);
  leader.push(2, Copies::kLocal);
  leader.tick_at(leader.now + 100);
  EXPECT_EQ(leader.node->commit(), 0U);
  leader.answer(kOffsite, entry);
  EXPECT_EQ(leader.node->commit(), 2U);
  leader.tick_at(leader.now + Options().offsite_wait_ms);
  EXPECT_EQ(leader.fate(2), Fate::kCommitted);
  EXPECT_EQ(std::count_if(leader.outputs.begin(), leader.outputs.end(), [](const Output& output) { return std::holds_alternative<ProposalOutcome>(output); }), 2);
}

// T5
TEST(Policy, the_tail_of_an_earlier_reign_goes_by_the_record) {
  Leading careful({kSelf}, Copies::kTwo, 3);
  const EntryId end = careful.node->head();
  careful.answer(kOffsite);
  careful.push(1, Copies::kLocal);
  EXPECT_EQ(careful.node->commit(), 0U);
  careful.answer(kOffsite, end);
  EXPECT_EQ(careful.node->commit(), 4U);
  Leading alone({kSelf}, Copies::kLocal, 3);
  EXPECT_EQ(alone.node->commit(), 3U);
}

TEST(Policy, a_tail_that_is_not_committed_is_bounded) {
  Leading leader({kSelf});
  leader.answer(kOffsite);
  leader.push(1, Copies::kTwo);
  for (RequestId request = 2; request <= kTailEntriesMax; ++request) leader.push(request, Copies::kLocal);
  EXPECT_EQ(leader.fate(kTailEntriesMax), std::nullopt);
  leader.push(kTailEntriesMax + 1, Copies::kLocal);
  ASSERT_EQ(leader.fate(kTailEntriesMax + 1), Fate::kNotStarted);
  EXPECT_EQ(leader.outcome(kTailEntriesMax + 1)->reason, Reason::kBusy);
  leader.answer(kOffsite, *leader.log.id_at(1));
  EXPECT_EQ(leader.node->commit(), kTailEntriesMax);
}

}  // namespace
}  // namespace vexor::replication
