// Replica sets of real stores in one process: who leads, what a push is told, and what is left of it.
#include "replication/host/replica_host.h"

#include <future>

#include "replication/host/entry_codec.h"
#include "support/leftovers.h"
#include "support/replica_pair.h"
#include "support/replica_set.h"
#include "support/session_run.h"
#include "support/upkeep.h"

namespace vexor {
namespace {

using namespace test;

const ObjectId kNone = ObjectId::null(kAlgorithm);

Options quick() {
  Options options;
  options.heartbeat_ms = 20;
  // A thread that is not scheduled for a second is no fault.
  options.lease_ms = 2000;
  options.detector_ms = 4000;
  options.member_silence_ms = 4000;
  options.member_lag_ms = 5000;
  options.offsite_wait_ms = 20000;
  return options;
}

bool wait_for_standby(ReplicaSet& set) {
  for (int i = 0; i < 12'000 && set.record().get().record.in_sync.size() < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return set.record().get().record.in_sync.size() >= 2;
}

std::string receipt_of_push(Store& store, const Push& push) {
  protocol::ReceivePackOptions options;
  options.stateless = true;
  const auto repository = store.find_repository("a/b").value();
  const auto session = protocol::make_receive_pack(store, *repository, options);
  std::string request = push.request;
  const std::size_t at = request.find(" report-status");
  request.replace(at, 14, " report-status side-band-64k");
  char length[5];
  std::snprintf(length, sizeof length, "%04zx", std::strtoul(request.substr(0, 4).c_str(), nullptr, 16) + 14);
  request.replace(0, 4, length);
  const std::string answer = run_session(*session.value(), request);
  const std::size_t begin = answer.find("stored on");
  return begin == std::string::npos ? answer : answer.substr(begin, answer.find('\n', begin) - begin);
}

TEST(ReplicaHost, a_push_is_on_all_three_servers) {
  ReplicaSet set(3, quick());
  const NodeId leader = set.wait_for_leader();
  EXPECT_EQ(leader, 1U);
  Store& store = *set.server(leader).store;
  ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(set.wait_for_all());
  const Push small = make_push(std::nullopt, 0, 3, "refs/heads/main", kNone);
  EXPECT_EQ(receipt_of_push(store, small), "stored on 3 of 3 servers, off-site included, sequence 2");
  const Push large = make_push(small.tip, 1, 4100, "refs/heads/large", kNone);  // its rows go apart
  EXPECT_TRUE(run_push(store, "a/b", large.request));
  ASSERT_TRUE(set.wait_for_all());
  const auto rows = all_rows(*set.server(1).live);
  EXPECT_EQ(all_rows(*set.server(2).live), rows);
  EXPECT_EQ(all_rows(*set.server(3).live), rows);
  EXPECT_FALSE(set.server(2).store->create_repository("c/d", {}, {}).has_value());
}

// A follower knows the size of what it has and has not applied.
TEST(ReplicaHost, a_follower_tells_how_many_bytes_it_is_behind) {
  ReplicaSet set(3, quick());
  ASSERT_EQ(set.wait_for_leader(), 1U);
  Store& store = *set.server(1).store;
  ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(wait_for_standby(set));
  ASSERT_TRUE(set.wait_for_all());
  ReplicaHost& follower = *set.server(2).host;
  EXPECT_EQ(follower.status().behind_bytes, 0U);
  set.server(2).power->holds_unsynced = true;
  std::optional<ObjectId> tip;
  for (int round = 0; round < 3; ++round) {
    const Push push = make_push(tip, round, 3, "refs/heads/main", tip.value_or(kNone));
    EXPECT_TRUE(run_push(store, "a/b", push.request));
    tip = push.tip;
  }
  const Sequence last = store.last_sequence();
  for (int i = 0; i < 2000 && follower.status().told_commit < last; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the status is a copy: nothing tells of its changes
  const replication::HostStatus behind = follower.status();
  set.server(2).power->holds_unsynced = false;
  EXPECT_EQ(behind.told_commit, last);
  EXPECT_EQ(behind.applied, last - 3);
  std::uint64_t bytes = 0;
  for (Sequence sequence = last - 2; sequence <= last; ++sequence) bytes += replication::pack_entry_bytes(set.server(1).host->log().read(sequence).value()).size();
  EXPECT_EQ(behind.behind_bytes, bytes);
  ASSERT_TRUE(set.wait_for_all());
  EXPECT_EQ(follower.status().behind_bytes, 0U);
}

void expect_no_leftovers(ReplicaSet& set) {
  for (NodeId id = 1; id <= 3; ++id) EXPECT_EQ(Leftovers(set.server(id).live->snapshot().value()).run().value(), 0U) << "server " << id;
}

TEST(ReplicaHost, rows_of_large_pushes_are_there_before_their_records) {
  ReplicaSet set(3, quick());
  ASSERT_EQ(set.wait_for_leader(), 1U);
  Store& store = *set.server(1).store;
  ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(set.wait_for_all());
  set.server(1).calls_break = 2;  // the next ones go on where these stopped
  for (int i = 0; i < 3; ++i) {
    const Push large = make_push(std::nullopt, i, 9000, "refs/heads/large" + std::to_string(i), kNone);
    EXPECT_EQ(receipt_of_push(store, large), "stored on 3 of 3 servers, off-site included, sequence " + std::to_string(2 + i));
  }
  EXPECT_EQ(set.server(1).calls_break, 0);
  EXPECT_GE(set.server(1).pieces_known, 4);
  for (NodeId id = 1; id <= 3; ++id) EXPECT_EQ(set.server(id).fetches, 0);
  // One that is away when the rows go asks for them when the record comes.
  set.server(3).is_cut_off = true;
  EXPECT_TRUE(run_push(store, "a/b", make_push(std::nullopt, 7, 4100, "refs/heads/away", kNone).request));
  set.server(3).is_cut_off = false;
  ASSERT_TRUE(set.wait_for_all());
  EXPECT_EQ(set.server(2).fetches, 0);
  EXPECT_GE(set.server(3).fetches, 1);
  const auto rows = all_rows(*set.server(1).live);
  EXPECT_EQ(all_rows(*set.server(2).live), rows);
  EXPECT_EQ(all_rows(*set.server(3).live), rows);
  expect_no_leftovers(set);
}

TEST(ReplicaHost, alarms_are_counted_by_kind) {
  ReplicaSet set(2, quick());
  ASSERT_EQ(set.wait_for_leader(), 1U);
  ASSERT_TRUE(wait_for_standby(set));
  ReplicaHost& follower = *set.server(2).host;
  const auto counted = [&](const std::string& kind) {
    const auto alarms = follower.status().alarms;
    const auto found = alarms.find(kind);
    return found == alarms.end() ? 0 : found->second;
  };
  const auto wait_for = [&](const std::string& kind, std::uint64_t count) {
    for (int i = 0; i < 2000 && counted(kind) < count; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the status is a copy: nothing tells of its changes
    return counted(kind) >= count;
  };
  EXPECT_TRUE(follower.status().alarms.empty());
  VersionedRecord unsound;
  do {  // members change it too
    unsound = set.record().get();
    unsound.record.in_sync.clear();
  } while (set.record().change(unsound.version, unsound.record) != ChangeAnswer::kDone);
  EXPECT_TRUE(wait_for("record_unsound", 2));  // each time that it looks
  follower.failed();
  EXPECT_TRUE(wait_for("log_failed", 1));
  EXPECT_EQ(counted("log_failed"), 1U);
  EXPECT_EQ(follower.status().alarm, "log_failed");
}

// Takes no piece, and breaks off after a while.
class StuckTransport final : public replication::Transport {
 public:
  class Call final : public replication::RowsCall {
   public:
    explicit Call(StuckTransport& transport) : transport_(transport) {}
    Result<std::uint64_t> begin() override { return std::uint64_t{0}; }
    Result<void> send(const std::string&) override {
      // A member that is stuck: cancel() must end the wait.
      for (auto left = transport_.breaks_after; left.count() > 0 && !is_cancelled_; left -= std::chrono::milliseconds(5)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      return Error(Errc::kUnavailable, "stuck");
    }
    Result<void> finish() override { return Error(Errc::kUnavailable, "not reached"); }
    void cancel() override { is_cancelled_ = true; }

   private:
    StuckTransport& transport_;
    std::atomic<bool> is_cancelled_ = false;
  };
  void send(NodeId, const Message&) override {}
  void leader_changed(NodeId) override {}
  Result<void> fetch_rows(NodeId, Bytes, RowsWriter&) override { return Error(Errc::kUnavailable, "not asked here"); }
  std::unique_ptr<replication::RowsCall> offer_rows(NodeId, const replication::RowsOffer&) override {
    ++offers;
    return std::make_unique<Call>(*this);
  }
  std::chrono::milliseconds breaks_after{};
  std::atomic<int> offers = 0;
};

TEST(ReplicaHost, a_member_that_takes_no_piece_has_its_time_once_and_not_in_each_try) {
  ReplicaSet set(2, quick());
  ASSERT_EQ(set.wait_for_leader(), 1U);
  Store& store = *set.server(1).store;
  ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(run_push(store, "a/b", make_push(std::nullopt, 1, 4100, "refs/heads/large", kNone).request));
  ReplicaLog& log = set.server(1).host->log();
  const std::string range = range_of_record(log.read(store.last_sequence()).value().record).value();
  const auto offers = [&](std::chrono::milliseconds breaks_after, std::chrono::milliseconds idle_max) {
    StuckTransport transport;
    transport.breaks_after = breaks_after;
    replication::RowsSender sender(log, transport, idle_max);
    sender.begin(1);
    EXPECT_NE(sender.stage({{2, Role::kStandby}}, range), nullptr);
    return transport.offers.load();
  };
  EXPECT_LE(offers(std::chrono::milliseconds(700), std::chrono::seconds(1)), 2);
  EXPECT_EQ(offers(std::chrono::seconds(100), std::chrono::seconds(1)), 1);
  EXPECT_EQ(offers({}, std::chrono::seconds(100)), 3);  // it may have been the connection
}

// Two large pushes at once: one meets what the other added and begins anew.
TEST(ReplicaHost, rows_of_a_push_that_came_to_nothing_are_dropped) {
  ReplicaSet set(3, quick());
  ASSERT_EQ(set.wait_for_leader(), 1U);
  Store& store = *set.server(1).store;
  ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(set.wait_for_all());
  std::atomic<int> done = 0;
  std::vector<std::thread> pushers;
  for (int i = 0; i < 4; ++i) {
    pushers.emplace_back([&, i] { done += run_push(store, "a/b", make_push(std::nullopt, i, 4100, "refs/heads/b" + std::to_string(i), kNone).request); });
  }
  for (std::thread& pusher : pushers) pusher.join();
  EXPECT_EQ(done, 4);
  ASSERT_TRUE(set.wait_for_all());
  // Members drop rows when a call ends, which is after the push has its answer.
  for (int i = 0; i < 400 && set.server(1).calls > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_EQ(set.server(1).calls, 0);
  expect_no_leftovers(set);
  const auto rows = all_rows(*set.server(1).live);
  EXPECT_EQ(all_rows(*set.server(2).live), rows);
  EXPECT_EQ(all_rows(*set.server(3).live), rows);
}

TEST(ReplicaHost, the_standby_takes_over_and_nothing_acknowledged_is_lost) {
  ReplicaSet set(3, quick());
  ASSERT_EQ(set.wait_for_leader(), 1U);
  ASSERT_TRUE(set.server(1).store->create_repository("a/b", {}, {}).has_value());
  std::map<std::string, ObjectId> acknowledged;
  NodeId leader = 1;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 5; ++i) {
      const std::string ref = "refs/heads/r" + std::to_string(round) + "-" + std::to_string(i);
      const Push push = make_push(std::nullopt, round * 10 + i, 3, ref, kNone);
      if (run_push(*set.server(leader).store, "a/b", push.request)) acknowledged[ref] = push.tip;
    }
    // The set needs the standby in sync before it can take over.
    ASSERT_TRUE(wait_for_standby(set));
    const auto began = std::chrono::steady_clock::now();
    set.kill(leader, round % 2 == 0);
    const NodeId next = set.wait_for_leader(leader);
    ASSERT_NE(next, 0U);
    ASSERT_NE(next, 3U);
    const Push push = make_push(std::nullopt, 1000 + round, 3, "refs/heads/after" + std::to_string(round), kNone);
    ASSERT_TRUE(run_push(*set.server(next).store, "a/b", push.request));
    acknowledged["refs/heads/after" + std::to_string(round)] = push.tip;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
    std::printf("%s: a push was acknowledged %lld ms after the kill\n", round % 2 == 0 ? "refused connections" : "silence", static_cast<long long>(took));
    set.start(leader);
    leader = next;
    ASSERT_TRUE(set.wait_for_all());
  }
  EXPECT_GE(acknowledged.size(), 30U);
  const auto rows = all_rows(*set.server(1).live);
  for (NodeId id = 1; id <= 3; ++id) {
    Store& store = *set.server(id).store;
    EXPECT_EQ(all_rows(*set.server(id).live), rows);
    const auto repository = store.find_repository("a/b").value();
    expect_sound(store, repository->id);
    const auto refs = store.list_refs(repository->id).value();
    for (const auto& [name, tip] : acknowledged) {
      const auto found = std::find_if(refs.begin(), refs.end(), [&name = name](const RefInfo& ref) { return ref.name == name; });
      ASSERT_NE(found, refs.end()) << name;
      EXPECT_EQ(found->id, tip);
    }
  }
}

TEST(ReplicaHost, a_read_anywhere_shows_what_was_acknowledged) {
  ReplicaSet set(3, quick());
  ASSERT_EQ(set.wait_for_leader(), 1U);
  ASSERT_TRUE(set.server(1).store->create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(set.wait_for_all());
  for (int i = 0; i < 30; ++i) {
    const std::string ref = "refs/heads/b" + std::to_string(i);
    ASSERT_TRUE(run_push(*set.server(1).store, "a/b", make_push(std::nullopt, i, 2, ref, kNone).request));
    for (NodeId id = 1; id <= 3; ++id) {
      const auto ready = set.host_of(id)->wait_until_readable(replication::ReadLevel::kLinearizable, 0);
      ASSERT_TRUE(ready.has_value()) << ready.error().message();
      const auto refs = set.server(id).store->list_refs(1).value();
      EXPECT_TRUE(std::any_of(refs.begin(), refs.end(), [&](const RefInfo& one) { return one.name == ref; })) << ref << " at " << id;
    }
  }
}

// A primary that nobody hears appends and tells nobody; when it is back it takes that back.
TEST(ReplicaHost, a_primary_that_was_cut_off_gives_up_its_tail) {
  ReplicaSet set(3, quick());
  ASSERT_EQ(set.wait_for_leader(), 1U);
  ASSERT_TRUE(set.server(1).store->create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(set.wait_for_all());
  ASSERT_TRUE(wait_for_standby(set));
  set.server(1).is_cut_off = true;
  bool acknowledged = true;
  std::thread pusher([&] { acknowledged = run_push(*set.server(1).store, "a/b", make_push(std::nullopt, 1, 3, "refs/heads/lost", kNone).request); });
  const NodeId next = set.wait_for_leader(1);
  ASSERT_EQ(next, 2U);
  ASSERT_TRUE(run_push(*set.server(2).store, "a/b", make_push(std::nullopt, 2, 3, "refs/heads/kept", kNone).request));
  pusher.join();
  EXPECT_FALSE(acknowledged);
  EXPECT_FALSE(set.host_of(1)->wait_until_readable(replication::ReadLevel::kLinearizable, 0).has_value());
  set.server(1).is_cut_off = false;
  ASSERT_TRUE(set.wait_for_all());
  const auto rows = all_rows(*set.server(2).live);
  EXPECT_EQ(all_rows(*set.server(1).live), rows);
  const auto refs = set.server(1).store->list_refs(1).value();
  EXPECT_EQ(refs.size(), 1U);
}

// The write of a push stalls for longer than a hand-over is tried: the store is told to give its record up, and the node must not take it.
TEST(ReplicaHost, a_push_that_stalls_while_a_hand_over_is_given_up_is_in_no_log) {
  Options options = quick();
  options.handover_wait_ms = 200;
  ReplicaSet set(3, options);
  ASSERT_EQ(set.wait_for_leader(), 1U);
  Store& store = *set.server(1).store;
  ASSERT_TRUE(store.create_repository("a/b", {}, {}).has_value());
  ASSERT_TRUE(set.wait_for_all());
  ASSERT_TRUE(wait_for_standby(set));
  set.server(2).is_cut_off = true;  // the target does not answer, and lacks the record of this push
  const Sequence before = set.host_of(1)->status().last;
  bool open = false;
  std::thread open_pusher([&] { open = run_push(store, "a/b", make_push(std::nullopt, 3, 3, "refs/heads/open", kNone).request); });
  while (set.host_of(1)->status().last == before) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // as above
  std::promise<void> is_there;
  std::promise<void> may_go_on;
  set.server(1).power->on_synced_commit([&] {
    is_there.set_value();
    may_go_on.get_future().wait();
  });
  bool acknowledged = true;
  std::thread pusher([&] { acknowledged = run_push(store, "a/b", make_push(std::nullopt, 1, 3, "refs/heads/stalled", kNone).request); });
  is_there.get_future().wait();
  auto wanted = set.record().get();
  wanted.record.handover_target = 2;
  ASSERT_EQ(set.record().change(wanted.version, wanted.record), replication::ChangeAnswer::kDone);
  for (int i = 0; i < 4000 && set.record().get().record.handover_target != 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the primary clears it (H4)
  ASSERT_EQ(set.record().get().record.handover_target, 0U);
  ASSERT_EQ(set.record().get().record.primary, 1U);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // until it has begun again
  may_go_on.set_value();
  pusher.join();
  set.server(2).is_cut_off = false;
  EXPECT_FALSE(acknowledged);
  open_pusher.join();
  EXPECT_TRUE(open);
  ASSERT_EQ(set.wait_for_leader(), 1U);
  EXPECT_TRUE(run_push(store, "a/b", make_push(std::nullopt, 2, 3, "refs/heads/next", kNone).request));
  ASSERT_TRUE(set.wait_for_all());
  const auto rows = all_rows(*set.server(1).live);
  EXPECT_EQ(all_rows(*set.server(2).live), rows);
  EXPECT_EQ(all_rows(*set.server(3).live), rows);
  EXPECT_EQ(store.list_refs(1).value().size(), 2U);
}

}  // namespace
}  // namespace vexor
