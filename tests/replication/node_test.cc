#include "replication/node.h"

#include "replication/limits.h"
#include "sim/machine.h"
#include "sim/random.h"
#include "sim/sim_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

namespace vexor::replication {
namespace {

constexpr NodeId kSelf = 2, kLeader = 1;

struct Standby {  // a standby that follows member 1 in epoch 3
  sim::SimLog log;
  Node node{{kSelf, 20}, {}, log, 0, 0};

  Standby() {
    VersionedRecord record{5, {}};
    record.record = {3,
                     kLeader,
                     10,
                     {kLeader, kSelf},
                     {{kLeader, Role::kStandby}, {kSelf, Role::kStandby}},
                     Copies::kTwo,
                     0};
    node.record_seen(0, record);
    node.take_outputs();
  }
  void sync(Millis now) {
    log.sync(log.written());
    node.log_durable(now, log.written());
  }
  Append append(EntryId previous, std::vector<Entry> entries, Sequence commit = 0) const {
    return {3, 10, previous, std::move(entries), commit, 0};
  }
};

template <class Kind>
const Kind* find(const std::vector<Output>& outputs) {
  for (const Output& output : outputs)
    if (const auto* kind = std::get_if<Kind>(&output)) return kind;
  return nullptr;
}

TEST(Node, answers_only_what_is_durable) {
  Standby follower;
  const Entry entry = sim::make_entry(3, {}, {1, {}});
  follower.node.receive(1, kLeader, follower.append({}, {entry}));
  EXPECT_EQ(find<Send>(follower.node.take_outputs()), nullptr);  // the promise is not durable (A2)
  follower.sync(2);
  const auto outputs = follower.node.take_outputs();
  const Send* send = find<Send>(outputs);
  ASSERT_NE(send, nullptr);
  EXPECT_EQ(std::get<AppendAnswer>(send->message).match, entry.id);
}

// It says what there is (L5): a leader that heard nothing of it would take the log for empty, and offer a copy.
TEST(Node, the_first_answer_of_an_epoch_to_what_does_not_fit_says_what_there_is) {
  Standby follower;
  const Entry kept = sim::make_entry(3, {}, {1, {}});
  follower.node.receive(1, kLeader, follower.append({}, {kept}));
  follower.sync(2);
  follower.node.take_outputs();
  Append ahead = follower.append(sim::make_entry(4, kept.id, {2, {}}).id, {});
  ahead.epoch = 4;
  follower.node.receive(3, 7, ahead);
  EXPECT_EQ(find<Send>(follower.node.take_outputs()), nullptr);  // the promise is not durable (A2)
  follower.sync(4);
  const auto outputs = follower.node.take_outputs();
  const Send* send = find<Send>(outputs);
  ASSERT_NE(send, nullptr);
  const auto& samples = std::get<AppendAnswer>(send->message).samples;
  EXPECT_NE(std::find(samples.begin(), samples.end(), kept.id), samples.end());
}

TEST(Node, divergence_at_or_below_the_commit_is_quarantine) {
  Standby follower;
  const Entry entry = sim::make_entry(3, {}, {1, {}});
  follower.node.receive(1, kLeader, follower.append({}, {entry}, 1));
  follower.sync(2);
  EXPECT_EQ(follower.node.commit(), 1U);
  follower.node.take_outputs();
  Append other = follower.append({}, {sim::make_entry(4, {}, {2, {}})});
  other.epoch = 4;
  follower.node.receive(3, 7, other);
  const auto outputs = follower.node.take_outputs();
  const Alarm* alarm = find<Alarm>(outputs);
  ASSERT_NE(alarm, nullptr);
  EXPECT_EQ(alarm->kind, AlarmKind::kDivergence);
  EXPECT_TRUE(follower.node.stopped());
  EXPECT_EQ(follower.node.head(), entry.id);  // nothing repaired
}

TEST(Node, what_differs_from_an_entry_that_is_held_back_is_cut_off) {
  Standby follower;
  const Entry kept = sim::make_entry(3, {}, {1, {}});
  const Entry other = sim::make_entry(3, kept.id, {2, {}});
  follower.node.receive(1, kLeader, follower.append({}, {kept, other}, 1));
  follower.sync(2);
  EXPECT_TRUE(follower.node.follows_wholly());
  Append held = follower.append(kept.id, {});
  held.epoch = 4;
  follower.node.receive(3, 7, held);
  EXPECT_FALSE(
      follower.node.follows_wholly());  // of `other` nobody has said anything in this epoch
  held.differs_behind = true;
  follower.node.receive(4, 7, held);
  EXPECT_EQ(follower.node.head(), kept.id);
  EXPECT_TRUE(follower.node.follows_wholly());
  held.previous = {};  // below the commit
  follower.node.receive(5, 7, held);
  EXPECT_TRUE(follower.node.stopped());
}

// What an operator counts on when he promotes this member.
TEST(Node, tells_up_to_where_its_log_is_that_of_the_leader_it_follows) {
  Standby follower;
  const Entry kept = sim::make_entry(3, {}, {1, {}});
  const Entry tail = sim::make_entry(3, kept.id, {2, {}});
  follower.node.receive(1, kLeader, follower.append({}, {kept, tail}, 1));
  EXPECT_EQ(follower.node.compared(), 2U);
  follower.sync(2);
  Append beat = follower.append(sim::make_entry(4, sim::make_entry(4, kept.id, {3, {}}).id, {4, {}}).id, {}, 3);
  beat.epoch = 4;
  follower.node.receive(3, 7, beat);  // its entry 2 is another, and is not here yet
  EXPECT_EQ(follower.node.head(), tail.id);
  EXPECT_EQ(follower.node.compared(), 1U);  // what is committed
}

TEST(Node, dead_evidence_takes_over_at_once_but_only_that_of_the_leading_incarnation) {
  Standby follower;
  follower.node.receive(800, kLeader, follower.append({}, {}));
  follower.sync(801);
  follower.node.take_outputs();
  follower.node.peer_dead(810, kLeader, 9);  // an earlier one
  EXPECT_EQ(find<ChangeRecord>(follower.node.take_outputs()), nullptr);
  follower.node.peer_dead(811, kLeader, 10);
  const auto outputs = follower.node.take_outputs();
  const ChangeRecord* change = find<ChangeRecord>(outputs);
  ASSERT_NE(change, nullptr);
  EXPECT_EQ(change->record.epoch, 4U);
  EXPECT_EQ(change->record.in_sync, std::vector<InSync>{kSelf});
}

TEST(Node, silence_takes_over_after_the_detector_and_not_before) {
  Standby follower;
  follower.node.receive(800, kLeader, follower.append({}, {}));
  follower.sync(801);
  follower.node.take_outputs();
  follower.node.tick(1799);
  EXPECT_EQ(find<ChangeRecord>(follower.node.take_outputs()), nullptr);
  follower.node.tick(1800);
  EXPECT_NE(find<ChangeRecord>(follower.node.take_outputs()), nullptr);
}

TEST(Node, each_request_gets_an_outcome_where_nobody_leads) {
  Standby follower;
  follower.node.propose(1, 71, sim::make_entry(3, {}, {1, {}}));
  follower.node.confirm_head(1, 72);
  follower.node.read(1, 73, ReadLevel::kLinearizable, 0);
  follower.node.read(1, 74, ReadLevel::kEventual, 0);
  follower.node.tick(6000);
  const auto outputs = follower.node.take_outputs();
  const auto* outcome = find<ProposalOutcome>(outputs);
  ASSERT_NE(outcome, nullptr);
  EXPECT_EQ(outcome->fate, Fate::kNotStarted);
  EXPECT_EQ(outcome->retry_at, kLeader);
  ASSERT_NE(find<ConfirmOutcome>(outputs), nullptr);
  EXPECT_FALSE(find<ConfirmOutcome>(outputs)->confirmed);
  EXPECT_EQ(std::count_if(outputs.begin(), outputs.end(),
                          [](auto& output) { return std::holds_alternative<ReadOutcome>(output); }),
            2);
}

// A leader of two, for hand-overs.
struct Primary : Standby {
  Primary() {
    VersionedRecord record{6, {}};
    record.record = {4,
                     kSelf,
                     20,
                     {kSelf, kLeader},
                     {{kLeader, Role::kStandby}, {kSelf, Role::kStandby}, {9, Role::kOffsite}},
                     Copies::kTwo,
                     0};
    node.record_seen(1, record);
    sync(1);
    node.take_outputs();
  }
  VersionedRecord changed(Epoch epoch, NodeId primary, NodeId target) const {
    VersionedRecord out = *node.record();
    ++out.version;
    out.record.epoch = epoch;
    out.record.primary = primary;
    out.record.primary_incarnation = primary == kSelf ? 20 : 11;
    out.record.handover_target = target;
    return out;
  }
  void answer(Millis now, EntryId match) {
    node.receive(now, kLeader, AppendAnswer{4, 11, match, {}, now, true});
  }
};

TEST(Node, what_is_committed_is_told_when_the_reign_ends_though_a_copy_is_missing) {
  Primary primary;
  const Entry entry = sim::make_entry(4, {}, {1, {}});
  primary.node.propose(2, 71, entry);
  primary.sync(2);
  primary.answer(3, entry.id);
  EXPECT_EQ(primary.node.commit(), 1U);
  EXPECT_EQ(find<ProposalOutcome>(primary.node.take_outputs()),
            nullptr);  // waits for the off-site member
  primary.node.record_seen(4, primary.changed(5, kLeader, 0));
  const auto outputs = primary.node.take_outputs();
  const auto* outcome = find<ProposalOutcome>(outputs);
  ASSERT_NE(outcome, nullptr);
  EXPECT_EQ(outcome->fate, Fate::kCommitted);
  EXPECT_EQ(outcome->receipt.members.size(), 2U);
}

// C5: the off-site member, 9, answers from so far away.
Fate outcome_with_offsite(Millis round_trip, Millis waited, Copies copies, std::size_t servers) {
  Primary primary;
  VersionedRecord record = *primary.node.record();
  ++record.version;
  record.record.copies = copies;
  primary.node.record_seen(1, record);
  for (const Millis trip : {round_trip + 200, round_trip, round_trip + 100})  // some waited for the disk there
    primary.node.receive(300, 9, AppendAnswer{4, 90, {}, {}, 300 - trip, true});
  primary.node.tick(300);
  const Entry entry = sim::make_entry(4, {}, {1, {}});
  primary.node.propose(400, 71, entry);
  primary.sync(400);
  primary.answer(401, entry.id);
  EXPECT_EQ(primary.node.commit(), 1U);
  primary.node.tick(401 + waited);
  const auto outputs = primary.node.take_outputs();
  const auto* outcome = find<ProposalOutcome>(outputs);
  if (outcome == nullptr) return Fate::kUnknown;  // it waits
  EXPECT_EQ(outcome->receipt.members.size(), servers);
  return outcome->fate;
}

TEST(Node, an_off_site_copy_is_waited_for_if_its_link_is_as_short_as_the_wait) {
  const Millis wait = Options().offsite_wait_ms;
  EXPECT_EQ(outcome_with_offsite(wait, wait - 1, Copies::kTwo, 2), Fate::kUnknown);
  EXPECT_EQ(outcome_with_offsite(wait, wait, Copies::kTwo, 2), Fate::kCommitted);
  EXPECT_EQ(outcome_with_offsite(wait + 1, 0, Copies::kTwo, 2), Fate::kCommitted);
}

TEST(Node, with_copies_all_every_member_is_waited_for_over_any_link) {
  const Millis wait = Options().all_wait_ms;
  EXPECT_EQ(outcome_with_offsite(200, wait - 2, Copies::kAll, 2), Fate::kUnknown);
  EXPECT_EQ(outcome_with_offsite(200, wait, Copies::kAll, 2), Fate::kShort);
}

// A6. How many Appends a leader sends to the standby from 1 s on, in 10 s.
int appends_of(Primary& primary, bool answered, bool dead) {
  int count = 0;
  if (dead) {
    primary.answer(1, {});
    primary.node.peer_dead(2, kLeader, 11);
  }
  for (Millis now = 10; now <= 11010; now += 10) {
    if (answered) primary.answer(now, {});
    if (now % 500 == 0) primary.node.propose(now, static_cast<RequestId>(now), sim::make_entry(4, primary.node.head(), {static_cast<std::uint64_t>(now), {}}));
    primary.sync(now);
    primary.node.tick(now);
    for (const Output& output : primary.node.take_outputs()) {
      const auto* send = std::get_if<Send>(&output);
      count += now > 1010 && send != nullptr && send->to == kLeader && std::holds_alternative<Append>(send->message);
    }
  }
  return count;
}

TEST(Node, a_leader_that_nobody_answers_is_silent_for_longer_than_the_detector_waits) {
  Primary deaf;
  EXPECT_LE(appends_of(deaf, false, false), 2 * 5);  // a heartbeat and entries, every 2.4 s
  Primary heard, widowed;
  EXPECT_GE(appends_of(heard, true, false), 100);
  EXPECT_GE(appends_of(widowed, false, true), 100);
}

TEST(Node, a_leader_that_is_answered_again_speaks_at_once) {
  Primary primary;
  for (Millis now = 10; now <= 1100; now += 10) primary.node.tick(now);
  primary.node.take_outputs();
  primary.node.tick(1300);
  EXPECT_EQ(find<Send>(primary.node.take_outputs()), nullptr);
  primary.answer(1310, {});
  EXPECT_NE(find<Send>(primary.node.take_outputs()), nullptr);
  primary.node.tick(1410);
  EXPECT_NE(find<Send>(primary.node.take_outputs()), nullptr);
}

TEST(Node, a_leader_that_hands_over_takes_nothing) {
  Primary primary;
  EXPECT_TRUE(primary.node.takes_proposals());
  primary.node.record_seen(2, primary.changed(4, kSelf, kLeader));
  EXPECT_TRUE(primary.node.leads());
  EXPECT_FALSE(primary.node.takes_proposals());
  primary.node.propose(3, 71, sim::make_entry(4, {}, {1, {}}));
  const auto outputs = primary.node.take_outputs();
  ASSERT_NE(find<ProposalOutcome>(outputs), nullptr);
  EXPECT_EQ(find<ProposalOutcome>(outputs)->reason, Reason::kHandover);
}

TEST(Node, an_index_asked_for_before_reads_may_be_served_is_told_then) {
  Primary primary;
  primary.node.receive(2, kLeader, ReadIndex{11, 3});
  primary.node.receive(2, kLeader, ReadIndex{11, 2});           // a late one
  primary.node.receive(2, 77, ReadIndex{1, 1});                 // no member
  EXPECT_EQ(find<Send>(primary.node.take_outputs()), nullptr);  // no lease yet
  primary.answer(3, {});
  int answers = 0;
  for (const Output& output : primary.node.take_outputs()) {
    const auto* send = std::get_if<Send>(&output);
    const auto* answer = send == nullptr ? nullptr : std::get_if<ReadIndexAnswer>(&send->message);
    if (answer == nullptr) continue;
    ++answers;
    EXPECT_EQ(send->to, kLeader);
    EXPECT_EQ(answer->round, 3U);
  }
  EXPECT_EQ(answers, 1);
}

// S10: of whoever had its number before.
TEST(Node, an_answer_from_before_a_member_was_added_again_counts_for_nothing) {
  Primary primary;
  const Entry entry = sim::make_entry(4, {}, {1, {}});
  primary.node.propose(2, 71, entry);
  primary.sync(2);
  VersionedRecord without = *primary.node.record();
  ++without.version;
  std::erase_if(without.record.members, [](const Member& member) { return member.id == kLeader; });
  without.record.in_sync = {kSelf};
  primary.node.record_seen(100, without);
  VersionedRecord again = without;
  ++again.version;
  again.record.members.push_back({kLeader, Role::kStandby});
  primary.node.record_seen(200, again);
  const auto match = [&] {
    for (const Progress& member : *primary.node.members())
      if (member.id == kLeader) return member.match;
    return Sequence{99};
  };
  primary.node.take_outputs();
  primary.node.receive(201, kLeader, AppendAnswer{4, 11, entry.id, {}, 199, true});
  EXPECT_EQ(match(), 0U);
  EXPECT_EQ(find<ChangeRecord>(primary.node.take_outputs()), nullptr);
  primary.node.receive(202, kLeader, AppendAnswer{4, 12, entry.id, {}, 200, true});
  EXPECT_EQ(match(), entry.id.sequence);
}

// After a promotion: the member has what was lost.
TEST(Node, an_index_below_what_is_applied_here_is_divergence_and_grants_nothing) {
  Standby follower;
  const Entry first = sim::make_entry(3, {}, {1, {}});
  const Entry second = sim::make_entry(3, first.id, {2, {}});
  follower.node.receive(1, kLeader, follower.append({}, {first, second}, 2));
  follower.sync(2);
  follower.node.applied(2, 2);
  follower.node.take_outputs();
  const auto ask = [&](Millis now, RequestId request) {
    follower.node.read(now, request, ReadLevel::kLinearizable, 0);
    follower.node.tick(now);
    std::uint64_t round = 0;
    for (const Output& output : follower.node.take_outputs()) {
      const auto* send = std::get_if<Send>(&output);
      if (const auto* asked = send == nullptr ? nullptr : std::get_if<ReadIndex>(&send->message)) round = asked->round;
    }
    return round;
  };
  const auto round = ask(200, 5);
  follower.node.receive(201, kLeader, ReadIndexAnswer{20, round, 2});
  auto outputs = follower.node.take_outputs();
  ASSERT_NE(find<ReadOutcome>(outputs), nullptr);
  EXPECT_TRUE(find<ReadOutcome>(outputs)->granted);
  const auto later = ask(400, 6);
  follower.node.receive(401, kLeader, ReadIndexAnswer{20, later, 1});
  outputs = follower.node.take_outputs();
  ASSERT_NE(find<ReadOutcome>(outputs), nullptr);  // who waits is told: nothing is done any more
  EXPECT_FALSE(find<ReadOutcome>(outputs)->granted);
  ASSERT_NE(find<Alarm>(outputs), nullptr);
  EXPECT_EQ(find<Alarm>(outputs)->kind, AlarmKind::kDivergence);
  EXPECT_TRUE(follower.node.stopped());
}

TEST(Node, a_head_that_nobody_confirms_is_told_so) {
  Primary primary;
  primary.node.propose(2, 71, sim::make_entry(4, {}, {1, {}}));
  primary.sync(2);
  primary.node.confirm_head(3, 72);
  primary.node.tick(3 + Options().proposal_wait_ms - 1);
  EXPECT_EQ(find<ConfirmOutcome>(primary.node.take_outputs()), nullptr);
  primary.node.tick(3 + Options().proposal_wait_ms);
  const auto outputs = primary.node.take_outputs();
  ASSERT_NE(find<ConfirmOutcome>(outputs), nullptr);
  EXPECT_FALSE(find<ConfirmOutcome>(outputs)->confirmed);
}

TEST(Node, a_member_that_asks_for_the_index_is_told_the_commit_with_it) {
  Primary primary;
  const Entry entry = sim::make_entry(4, {}, {1, {}});
  primary.node.propose(2, 71, entry);
  primary.sync(2);
  primary.answer(3, entry.id);
  primary.node.take_outputs();
  for (const Millis now : {4, 5}) {
    primary.node.receive(now, kLeader, ReadIndex{11, static_cast<std::uint64_t>(now)});
    int appends = 0;
    for (const Output& output : primary.node.take_outputs()) {
      const auto* send = std::get_if<Send>(&output);
      const auto* append = send == nullptr ? nullptr : std::get_if<Append>(&send->message);
      if (append == nullptr) continue;
      ++appends;
      EXPECT_EQ(append->commit, 1U);
    }
    EXPECT_EQ(appends, now == 4 ? 1 : 0);  // once
  }
}

// Messages made of numbers that break things, mixed with ones that fit.
class Hostile {
 public:
  Hostile(std::uint64_t seed, const Log& log) : random_(seed), log_(log) {}

  Message message() {
    switch (random_.below(10)) {
      case 0:
        return append();
      case 1:
        return AppendAnswer{number(), number(), id(), ids(), time(), random_.chance(500), number()};
      case 2:
        return Refusal{number()};
      case 3:
        return ReadIndex{number(), number()};
      case 4:
        return ReadIndexAnswer{number(), number(), number()};
      case 5:
        return SnapshotOffer{number(), id()};
      case 6:
        return Resignation{number()};
      case 7:
        return Handover{record()};
      default:
        return append();
    }
  }

 private:
  std::uint64_t number() {
    static constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    static constexpr std::uint64_t kNumbers[] = {0, 1, 2, 3, 4, 5, 20, 1ULL << 63, kMax - 1, kMax};
    return kNumbers[random_.below(random_.chance(900) ? 7 : std::size(kNumbers))];
  }
  Millis time() { return static_cast<Millis>(number()); }
  EntryId id() {
    if (const auto real = log_.id_at(number()); real && random_.chance(700)) return *real;
    return {number(), {static_cast<std::uint8_t>(random_.below(3))}};
  }
  std::vector<EntryId> ids() {
    std::vector<EntryId> ids(random_.chance(500) ? 0 : random_.below(2 * kSamplesMax));
    for (EntryId& one : ids) one = id();
    return ids;
  }
  VersionedRecord record() {
    VersionedRecord record{number(), {}};
    record.record.epoch = number();
    record.record.primary = number();
    record.record.primary_incarnation = random_.chance(500) ? 20 : number();
    record.record.handover_target = number();
    for (std::size_t i = random_.below(random_.chance(50) ? 100 : 4); i > 0; --i) {
      record.record.in_sync.push_back({number(), number()});
      record.record.members.push_back(
          {number(), random_.chance(300) ? Role::kOffsite : Role::kStandby});
    }
    return record;
  }
  Append append() {
    Append append{number(), number(), id(), {}, number(), time()};
    EntryId previous = append.previous;
    for (std::size_t i = random_.below(random_.chance(20) ? 2 * kAppendEntriesMax : 4); i > 0;
         --i) {
      if (random_.chance(50)) previous = id();
      Entry entry = sim::make_entry(random_.chance(900) ? 1 : number(), previous, {number(), {}});
      if (random_.chance(20)) entry.bytes = nullptr;
      previous = entry.id;
      append.entries.push_back(std::move(entry));
    }
    return append;
  }

  sim::Random random_;
  const Log& log_;
};

// A failed check would abort the test.
TEST(Node, no_message_breaks_a_check) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Standby follower;
    Hostile hostile(seed, follower.log);
    if (seed % 2 == 0) {  // a leader
      VersionedRecord record{6, {}};
      record.record = {4,
                       kSelf,
                       20,
                       {kLeader, kSelf},
                       {{kLeader, Role::kStandby}, {kSelf, Role::kStandby}},
                       Copies::kTwo,
                       0};
      follower.node.record_seen(1, record);
      follower.sync(1);
      ASSERT_TRUE(follower.node.leads());
    }
    for (Millis now = 2; now < 200; ++now) {
      follower.node.receive(now, now % 3 == 0 ? 7 : kLeader, hostile.message());
      if (follower.node.leads())
        follower.node.propose(
            now, static_cast<RequestId>(now),
            sim::make_entry(follower.node.head_epoch(), follower.node.head(), {1, {}}));
      if (now % 5 == 0) follower.sync(now);
      if (now % 7 == 0) follower.node.tick(now);
      for (const Output& output : follower.node.take_outputs())
        if (const auto* apply = std::get_if<Apply>(&output))
          follower.node.applied(now, apply->sequence);
    }
  }
}

}  // namespace
}  // namespace vexor::replication
