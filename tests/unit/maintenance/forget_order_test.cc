// Records that forget, in any order of appending and applying: on a member that is behind, to one that asks for what it lacks, and by a pass that looked before
// another one's record was applied.
#include <chrono>

#include "format/log_rows.h"
#include "support/forgetting_set.h"

namespace vexor {
namespace {

using namespace test;

// What a member appends is appended in one go, as by a host that is given many entries at once.
void append_all(Member& from, Member& to, std::uint64_t first) {
  std::vector<LogEntry> entries;
  for (std::uint64_t next = first; next <= from.log->last().sequence; ++next) {
    const LogEntry entry = from.sink.wait_for(next);
    if (entry.rows_apart) ship_rows(*from.log, *to.log, entry);
    entries.push_back(entry);
  }
  const auto done = to.log->append(entries);
  ASSERT_TRUE(done.has_value()) << done.error().message();
}

class ForgetOrder : public Forget {
 protected:
  // What all do but near_, which hears of nothing.
  template <class F>
  void others(F change) { replicate(primary_, {&far_}, change); }
  // near_ appends and does not apply.
  template <class F>
  void near_lags(F change) {
    const std::uint64_t before = primary_.log->last().sequence;
    others(change);
    for (std::uint64_t next = before + 1; next <= primary_.log->last().sequence; ++next) ship(*primary_.log, *near_.log, primary_.sink.wait_for(next));
  }
  // Pushed, which near_ applies too; left, forgotten, and pushed again, which near_ has not appended.
  LogEntry come_again(const Push& side) {
    near_lags([&] { ASSERT_TRUE(run_push(*primary_.store, "a/b", side.request)); });
    EXPECT_TRUE(near_.log->apply(near_.log->last().sequence).has_value());
    near_lags([&] { ASSERT_TRUE(run_push(*primary_.store, "a/b", delete_request(side.tip, "refs/heads/side"))); });
    near_lags([&] { ASSERT_GT(run_upkeep(*primary_.store, forget_only()).value().objects_forgotten, 0U); });
    others([&] { ASSERT_TRUE(run_push(*primary_.store, "a/b", side.request)); });
    const LogEntry out = primary_.sink.wait_for(primary_.log->last().sequence);
    EXPECT_GT(format::decode_journal_record(out.record).value().object_count, 0U);
    return out;
  }
  void ship_to_all(std::uint64_t sequence) {
    const LogEntry entry = primary_.sink.wait_for(sequence);
    for (Member* member : {&near_, &far_}) ship(*primary_.log, *member->log, entry);
    for (Member* member : {&primary_, &near_, &far_}) ASSERT_TRUE(member->log->apply(sequence).has_value());
  }
  // A pass whose first record, of rows only, is applied, and whose second one is in the primary's log when the pass ends without an outcome. Returns its sequence.
  std::uint64_t forget_half() {
    const std::uint64_t before = primary_.log->last().sequence;
    std::optional<Errc> outcome;
    std::thread forgetting([&] {
      const auto done = run_upkeep(*primary_.store, forget_only());
      if (done.has_error()) outcome = done.error().code();
    });
    ship_to_all(before + 1);
    primary_.log->settle({before + 1, 3, 3, true, true});
    (void)primary_.sink.wait_for(before + 2);
    primary_.log->give_up(before + 2);
    forgetting.join();
    EXPECT_EQ(outcome, Errc::kIndeterminate);
    EXPECT_EQ(store::read_forgetting(*primary_.backend->snapshot().value(), 1).value().objects, 0U);
    return before + 2;
  }
  void expect_all_is_found(const Push& side) {
    for (Member* member : {&primary_, &near_, &far_}) EXPECT_TRUE(has(*member, side.tip));
    expect_agreement();
    EXPECT_GT(drop_bytes(near_), 0U);
    expect_agreement();
  }
};

// Index rows go in by appending, and go by applying.
TEST_F(ForgetOrder, what_comes_again_is_found_by_who_appended_that_before_it_applied_the_forgetting) {
  for (const int blobs : {7, 4100}) {
    SCOPED_TRACE(blobs);
    const Push side = make_push(main_, blobs, blobs, "refs/heads/side", kNone);
    const LogEntry pushed = come_again(side);
    EXPECT_EQ(pushed.rows_apart, blobs == 4100);
    ship(*primary_.log, *near_.log, pushed);
    EXPECT_EQ(scrubbed_damage(*near_.store), 0U);
    ASSERT_TRUE(near_.log->apply(near_.log->last().sequence).has_value());
    expect_all_is_found(side);
    drop(side.tip, "refs/heads/side");
  }
}

// The index of a large record goes in as a file, before the batch: not before that of records that come before it.
TEST_F(ForgetOrder, of_an_id_that_comes_twice_the_last_record_counts_however_they_are_appended) {
  const Push large = make_push(main_, 1, 4100, "refs/heads/side", kNone);
  const Push small = make_push(main_, 1, 7, "refs/heads/small", kNone);  // its blobs are those of the large one
  const std::uint64_t before = primary_.log->last().sequence;
  others([&] { ASSERT_TRUE(run_push(*primary_.store, "a/b", small.request)); });
  ASSERT_FALSE(primary_.sink.wait_for(before + 1).rows_apart);
  others([&] { ASSERT_TRUE(run_push(*primary_.store, "a/b", delete_request(small.tip, "refs/heads/small"))); });
  others([&] { ASSERT_EQ(run_upkeep(*primary_.store, forget_only()).value().objects_forgotten, 9U); });
  others([&] { ASSERT_TRUE(run_push(*primary_.store, "a/b", large.request)); });
  ASSERT_TRUE(primary_.sink.wait_for(primary_.log->last().sequence).rows_apart);
  append_all(primary_, near_, before + 1);
  ASSERT_TRUE(near_.log->apply(near_.log->last().sequence).has_value());
  expect_all_is_found(large);
}

// Says what is about to be committed, once.
class Watched final : public Forwarding {
 public:
  explicit Watched(std::unique_ptr<sys::StorageBackend> inner) : Forwarding(*inner), inner_(std::move(inner)) {}
  Result<void> commit(const sys::Batch& batch, sys::Durability durability) override {
    const auto is_erasure = [](const sys::Batch::Op& op) { return op.family == Family::kIndex && op.kind == sys::Batch::Kind::kErase; };
    if (on_erasure && std::any_of(batch.ops().begin(), batch.ops().end(), is_erasure)) std::exchange(on_erasure, nullptr)();
    return Forwarding::commit(batch, durability);
  }
  std::function<void()> on_erasure;  // of index rows

 private:
  std::unique_ptr<sys::StorageBackend> inner_;
};

// A member has a thread that appends and one that applies.
TEST_F(ForgetOrder, nobody_appends_while_a_record_that_forgets_is_applied) {
  for (const int blobs : {7, 4100}) {
    SCOPED_TRACE(blobs);
    near_.log.reset();
    near_.store.reset();
    auto watched = std::make_unique<Watched>(std::move(near_.backend));
    Watched& watch = *watched;
    near_.backend = std::move(watched);
    near_.reopen();
    const Push side = make_push(main_, blobs, blobs, "refs/heads/side", kNone);
    const LogEntry pushed = come_again(side);
    const std::uint64_t last = pushed.position.sequence;
    if (pushed.rows_apart) ship_rows(*primary_.log, *near_.log, pushed);
    std::atomic<bool> is_appended = false;
    std::thread appending;
    watch.on_erasure = [&] {
      appending = std::thread([&] {
        EXPECT_TRUE(near_.log->append({pushed}).has_value());
        is_appended = true;
      });
      for (int i = 0; i < 100 && !is_appended; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // that it waits is shown by nothing but time
      EXPECT_FALSE(is_appended);
    };
    ASSERT_TRUE(near_.log->apply(last - 1).has_value());
    ASSERT_TRUE(appending.joinable()) << "no index row was erased: the test would show nothing";
    appending.join();
    ASSERT_TRUE(near_.log->apply(last).has_value());
    expect_all_is_found(side);
    drop(side.tip, "refs/heads/side");
  }
}

// What is lost of an apply is done again, when later records may be there.
TEST_F(ForgetOrder, a_record_that_forgets_is_applied_again_after_a_power_cut) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  const std::uint64_t before = primary_.log->last().sequence;
  EXPECT_EQ(forget().objects_forgotten, 9U);
  request(side.request);
  sys::Batch batch;
  batch.put(Family::kMeta, format::applied_key(), format::encode_applied_row(before));
  ASSERT_TRUE(near_.backend->commit(batch, sys::Durability::kSynced).has_value());
  near_.reopen();
  ASSERT_EQ(near_.log->applied(), before);
  ASSERT_TRUE(near_.log->apply(near_.log->last().sequence).has_value());
  expect_all_is_found(side);
}

// A push of two refs of which one is refused: no ref ever reached that commit, and it stays, as the other one is a delta upon it. What it names goes, and its
// graph row before that.
TEST_F(ForgetOrder, a_record_without_the_graph_rows_of_its_commits_is_not_sent) {
  const Push old = push("refs/heads/old", main_, 1, 3);
  drop(old.tip, "refs/heads/old");
  PackBuilder pack;
  const ObjectId blob = pack.add(ObjectType::kBlob, "text");
  const ObjectId tree = pack.add(ObjectType::kTree, std::string("100644 notes") + std::string(1, '\0') + std::string(blob.raw()));
  const auto commit_on = [&](const ObjectId& parent) {
    return "tree " + tree.hex() + "\nparent " + parent.hex() + "\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\n" + std::string(400, 'x') + "\n";
  };
  const ObjectId refused = pack.add(ObjectType::kCommit, commit_on(old.tip));
  const ObjectId good = pack.add_delta(ObjectType::kCommit, refused, commit_on(old.tip), commit_on(main_));
  std::string text;
  format::append_pkt_line(text, kNone.hex() + " " + good.hex() + " refs/heads/good" + std::string(1, '\0') + " report-status");
  format::append_pkt_line(text, kNone.hex() + " " + refused.hex() + " refs/heads/bad..name");
  format::append_flush(text);
  all([&] { EXPECT_FALSE(run_push(*primary_.store, "a/b", text + pack.finish())); });
  const std::uint64_t pushed = primary_.log->last().sequence;
  ASSERT_EQ(format::decode_journal_record(primary_.sink.wait_for(pushed).record).value().object_count, 4U);
  ASSERT_TRUE(has(near_, refused));
  ASSERT_TRUE(primary_.log->read(pushed).has_value());
  const std::uint64_t forgetting = forget_half();
  const auto expect_not_found = [&] {
    for (Member* member : {&primary_, &near_, &far_}) {
      const auto entry = member->log->read(pushed);
      EXPECT_TRUE(entry.has_error() && entry.error().code() == Errc::kNotFound);
      const auto rows = member->log->read_rows(pushed);
      EXPECT_TRUE(rows.has_error() && rows.error().code() == Errc::kNotFound);
      EXPECT_TRUE(has(*member, refused));
    }
  };
  expect_not_found();
  ship_to_all(forgetting);
  EXPECT_EQ(store::read_forgetting(*primary_.backend->snapshot().value(), 1).value().objects, 5U);
  expect_not_found();
  expect_agreement();
}

// Its record may be in the log, and applied later, when the pass that made it has ended without an outcome and the next one has looked.
TEST_F(ForgetOrder, nothing_is_forgotten_twice) {
  const Push side = push("refs/heads/side", main_, 1, 7);
  drop(side.tip, "refs/heads/side");
  const std::uint64_t forgetting = forget_half();
  MaintenanceFigures second;
  std::thread again([&] {
    const auto done = run_upkeep(*primary_.store, forget_only());
    EXPECT_TRUE(done.has_value()) << done.error().message();
    if (done.has_value()) second = done.value();
  });
  // The status is a copy: nothing tells of its changes.
  for (int i = 0; i < 5000 && maintenance_status(*primary_.store).total != 9; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(maintenance_status(*primary_.store).total, 9U) << "it has not looked: the test would show nothing";
  all([&] {
    ship_to_all(forgetting);
    again.join();
  });
  EXPECT_EQ(second.objects_forgotten, 0U);
  const auto snapshot = near_.backend->snapshot().value();
  const store::ForgettingRow row = store::read_forgetting(*snapshot, 1).value();
  EXPECT_EQ(row.objects, 9U);
  EXPECT_EQ(store::forgotten_since(*snapshot, 1, 0).value().cardinality(), 9U);
  EXPECT_EQ(forget().objects_forgotten, 0U);
  expect_agreement();
}

}  // namespace
}  // namespace vexor
