// Records whose order is not that of their numbers: what is sent of them again, and what a member takes.
#include "store/number_order.h"

#include <future>

#include "format/log_rows.h"
#include "support/replica_pair.h"
#include "support/upkeep.h"
#include "vexorstore/sys/fault_backend.h"

namespace vexor {
namespace {

using namespace test;
using format::JournalRecord;
using sys::Family;

const ObjectId kNone = ObjectId::null(kAlgorithm);

// Stops where a push looks at the ref that it moves: it has its numbers, and no record yet.
class HoldingBackend final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<std::shared_ptr<const sys::StorageSnapshot>> snapshot() override {
    VEXOR_TRY(auto inner, Forwarding::snapshot());
    return std::shared_ptr<const sys::StorageSnapshot>(std::make_shared<Held>(*this, std::move(inner)));
  }
  void hold(const std::string& ref, std::function<void()> pause) {
    const std::lock_guard lock(mutex_);
    key_ = format::ref_key(1, ref);
    pause_ = std::move(pause);
  }

 private:
  struct Held final : sys::StorageSnapshot {
    Held(HoldingBackend& backend_in, std::shared_ptr<const sys::StorageSnapshot> inner_in) : backend(backend_in), inner(std::move(inner_in)) {}
    Result<std::optional<sys::PinnedValue>> get(Family family, Bytes key) const override {
      if (family == Family::kRefs) backend.pass(key);
      return inner->get(family, key);
    }
    std::unique_ptr<sys::Cursor> cursor(Family family) const override { return inner->cursor(family); }
    HoldingBackend& backend;
    std::shared_ptr<const sys::StorageSnapshot> inner;
  };
  void pass(Bytes key) {
    std::function<void()> pause;
    {
      const std::lock_guard lock(mutex_);
      if (key == Bytes(key_)) pause = std::exchange(pause_, nullptr);
    }
    if (pause) pause();
  }
  std::mutex mutex_;
  std::string key_;              // guarded by mutex_
  std::function<void()> pause_;  // guarded by mutex_
};

// Texts begin alike, so that the shorter one is a delta upon the longer one.
Push push_of_text(std::size_t bytes, const std::string& ref) {
  std::string text;
  std::uint32_t state = 1;
  while (text.size() < bytes) {
    state = state * 1664525U + 1013904223U;
    text.push_back(static_cast<char>('a' + (state >> 24U) % 26));
  }
  PackBuilder pack;
  const ObjectId blob = pack.add(ObjectType::kBlob, text);
  const ObjectId tree = pack.add(ObjectType::kTree, std::string("100644 notes") + std::string(1, '\0') + std::string(blob.raw()));
  const ObjectId commit = pack.add(ObjectType::kCommit, "tree " + tree.hex() + "\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\n" + std::to_string(bytes) + "\n");
  return {commit, push_request(kNone, commit, ref, pack.finish())};
}

std::map<std::string, std::string> late_rows(sys::StorageBackend& backend) {
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : family_rows(backend, Family::kMeta)) {
    if (key[0] == 'o') out.emplace(key, value);
  }
  return out;
}

std::size_t deltas_of(Store& store, const JournalRecord& record, const JournalRecord& upon) {
  const auto now = store::open_repository_snapshot(store.core(), 1).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, Limits{});
  std::size_t out = 0;
  for (std::uint32_t i = 0; i < record.object_count; ++i) {
    const format::ExtentObject object = reader.entry(record.first_object + i).value().object;
    out += object.is_delta && object.base >= upon.first_object && object.base - upon.first_object < upon.object_count ? 1U : 0U;
  }
  return out;
}

JournalRecord record_at(sys::StorageBackend& backend, std::uint64_t sequence) {
  return format::decode_journal_record(backend.snapshot().value()->get(Family::kJournal, format::journal_key(sequence)).value()->bytes()).value();
}

// Repository a/b, a push to main, and two to other branches: that of `late` has the lower numbers and the later record.
class OutOfOrder : public testing::Test {
 protected:
  OutOfOrder() {  // a store that is in no set yet
    primary_.log.reset();
    primary_.store.reset();
    primary_.backend = sys::make_memory_backend();
    auto holding = std::make_unique<HoldingBackend>(*primary_.backend);
    holding_ = holding.get();
    primary_.store = std::move(Store::open(std::move(holding), StoreOptions{})).value();
  }
  ~OutOfOrder() override {
    if (!late_.joinable()) return;
    release();
    if (primary_.log) (void)primary_.log->follow();  // frees who waits
    late_.join();
  }
  void join() {
    primary_.log = std::move(join_replica_set(*primary_.store)).value();
    ASSERT_TRUE(primary_.log->lead(1, primary_.sink).has_value());
  }
  void make_base() {
    ASSERT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value());
    ASSERT_TRUE(run_push(*primary_.store, "a/b", make_push(std::nullopt, 0, 3, "refs/heads/main", kNone).request));
  }
  void push(const Push& push) { ASSERT_TRUE(run_push(*primary_.store, "a/b", push.request)); }
  // Numbered, and held.
  void begin_late() {
    holding_->hold("refs/heads/late", [this] {
      reached_.set_value();
      go_on_.get_future().wait();
    });
    late_ = std::thread([this] { is_late_done_ = run_push(*primary_.store, "a/b", push_of_text(6000, "refs/heads/late").request); });
    ASSERT_EQ(reached_.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }
  void release() {
    if (!std::exchange(is_released_, true)) go_on_.set_value();
  }
  void end_late() {
    release();
    late_.join();
  }
  void make_history() {
    join();
    replicate(primary_, {}, [&] { make_base(); });
    begin_late();
    replicate(primary_, {}, [&] { push(push_of_text(4000, "refs/heads/soon")); });
    replicate(primary_, {}, [&] { end_late(); });
    ASSERT_TRUE(is_late_done_);
    soon_record_ = record_at(*primary_.backend, kSoon);
    late_record_ = record_at(*primary_.backend, kLate);
    ASSERT_LT(late_record_.first_object, soon_record_.first_object) << "the order is that of numbers: the test would show nothing";
  }
  static constexpr std::uint64_t kSoon = 3;
  static constexpr std::uint64_t kLate = 4;
  Member primary_;
  HoldingBackend* holding_ = nullptr;
  std::promise<void> reached_;
  std::promise<void> go_on_;
  bool is_released_ = false;
  std::thread late_;
  std::atomic<bool> is_late_done_ = false;
  JournalRecord soon_record_;
  JournalRecord late_record_;
};

// A member that has applied the earlier record reads its objects before the later one is there.
TEST_F(OutOfOrder, what_is_read_again_leans_on_no_later_record) {
  make_history();
  for (const MaintenanceTask task : {MaintenanceTask::kRedelta, MaintenanceTask::kMerge, MaintenanceTask::kFreeze}) {
    ASSERT_TRUE(run_upkeep(*primary_.store, only(task)).has_value());
    ASSERT_GT(deltas_of(*primary_.store, soon_record_, late_record_), 0U) << "no delta leads to the later record: the test would show nothing";
    Member follower;
    for (std::uint64_t sequence = 1; sequence <= primary_.log->last().sequence; ++sequence) {
      const auto entry = primary_.log->read(sequence);
      ASSERT_TRUE(entry.has_value()) << entry.error().message();
      ship(*primary_.log, *follower.log, entry.value());
      ASSERT_TRUE(follower.log->apply(sequence).has_value());
      expect_sound(*follower.store, 1);
      EXPECT_FALSE(testing::Test::HasFailure()) << "after record " << sequence << ", task " << static_cast<int>(task);
    }
    EXPECT_EQ(visible_objects(*primary_.store, 1), visible_objects(*follower.store, 1));
    EXPECT_EQ(late_rows(*follower.backend), late_rows(*primary_.backend));
  }
}

// The same when the rows are asked for by the name of their range, and when they go in pieces.
TEST_F(OutOfOrder, rows_that_go_apart_lean_on_no_later_record_either) {
  make_history();
  ASSERT_TRUE(run_upkeep(*primary_.store, only(MaintenanceTask::kRedelta)).has_value());
  const std::string named = range_of_record(primary_.log->read(kSoon).value().record).value();
  std::vector<std::unique_ptr<RowsReader>> readers;
  readers.push_back(primary_.log->read_rows(kSoon).value());
  readers.push_back(primary_.log->read_rows_of(named).value());
  for (const auto& reader : readers) {
    std::size_t seen = 0;
    for (;;) {
      const std::string piece = reader->next().value();
      if (piece.empty()) break;
      const format::LogRows rows = format::decode_log_rows(piece).value();
      for (const sys::Batch::Op& op : rows.rows.ops()) {
        if (op.family != Family::kExtents) continue;
        const format::ExtentHeader header = format::decode_extent_header(format::number_of_key(op.key).value(), kAlgorithm, op.value).value();
        for (const format::ExtentObject& object : header.objects) {
          ++seen;
          EXPECT_FALSE(object.is_delta && object.base < soon_record_.first_object && object.base >= late_record_.first_object);
        }
      }
    }
    EXPECT_EQ(seen, soon_record_.object_count);
  }
}

TEST_F(OutOfOrder, a_record_out_of_order_has_a_row_until_it_goes) {
  make_history();
  const auto rows = late_rows(*primary_.backend);
  ASSERT_EQ(rows.size(), 2U);
  const format::LateRow row = format::decode_late_row(rows.at(format::late_key(1, late_record_.first_object))).value();
  EXPECT_EQ(row.sequence, kLate);
  EXPECT_EQ(row.object_count, late_record_.object_count);
  EXPECT_TRUE(rows.contains(format::late_rows_key()));
  Member follower;
  for (std::uint64_t sequence = 1; sequence <= kLate; ++sequence) ship(*primary_.log, *follower.log, primary_.log->read(sequence).value());
  EXPECT_EQ(late_rows(*follower.backend), rows);
  ASSERT_TRUE(follower.log->cut(kSoon).has_value());
  EXPECT_EQ(late_rows(*follower.backend).size(), 1U);
  ship(*primary_.log, *follower.log, primary_.log->read(kLate).value());
  EXPECT_EQ(late_rows(*follower.backend), rows);
  ASSERT_TRUE(follower.log->apply(kLate).has_value());
  replicate(primary_, {&follower}, [&] {
    ASSERT_TRUE(primary_.store->delete_repository("a/b", {}).has_value());
    ASSERT_TRUE(primary_.store->purge_repository("a/b", {}).has_value());
  });
  EXPECT_EQ(late_rows(*primary_.backend).size(), 1U);
  EXPECT_EQ(late_rows(*follower.backend).size(), 1U);
}

TEST_F(OutOfOrder, a_primary_that_takes_it_back_keeps_no_row) {
  join();
  replicate(primary_, {}, [&] { make_base(); });
  begin_late();
  replicate(primary_, {}, [&] { push(push_of_text(4000, "refs/heads/soon")); });
  release();
  primary_.sink.wait_for(kLate);
  EXPECT_EQ(late_rows(*primary_.backend).size(), 2U);
  ASSERT_TRUE(primary_.log->take_back(kSoon).has_value());
  late_.join();
  EXPECT_FALSE(is_late_done_);
  EXPECT_EQ(late_rows(*primary_.backend).size(), 1U);
}

// A store that was alone until now, or a member from before there were such rows; each write of it may be the last.
TEST_F(OutOfOrder, a_journal_without_rows_is_read_through_when_the_store_joins) {
  make_base();
  begin_late();
  push(push_of_text(4000, "refs/heads/soon"));
  end_late();
  ASSERT_TRUE(is_late_done_);
  EXPECT_TRUE(late_rows(*primary_.backend).empty());
  join();
  const auto rows = late_rows(*primary_.backend);
  EXPECT_EQ(rows.size(), 2U);
  primary_.log.reset();
  primary_.store.reset();
  for (const auto mode : {sys::FaultBackend::Mode::kBefore, sys::FaultBackend::Mode::kAfter}) {
    for (std::uint64_t countdown = 1;; ++countdown) {
      ASSERT_LT(countdown, 10U);
      sys::Batch none;
      for (const auto& [key, value] : rows) none.erase(Family::kMeta, key);
      ASSERT_TRUE(primary_.backend->commit(none, sys::Durability::kSynced).has_value());
      sys::FaultBackend fault(*primary_.backend);
      {
        const auto store = open(fault);
        fault.fail_at(countdown, mode);
        const bool has_failed = join_replica_set(*store).has_error();
        EXPECT_EQ(has_failed, fault.has_failed());
      }
      Member again;
      again.log.reset();
      again.store = open(*primary_.backend);
      again.log = std::move(join_replica_set(*again.store)).value();
      EXPECT_EQ(late_rows(*primary_.backend), rows);
      if (!fault.has_failed()) break;
    }
  }
}

// No octet more goes for a history in the order of its numbers.
TEST(NumberOrder, a_history_in_order_is_sent_as_it_is_stored) {
  Member primary;
  ASSERT_TRUE(primary.log->lead(1, primary.sink).has_value());
  replicate(primary, {}, [&] { ASSERT_TRUE(primary.store->create_repository("a/b", {}, {}).has_value()); });
  for (std::size_t round = 0; round < 20; ++round) {  // the first texts are the longest, the others deltas upon them; of commits it is the other way round
    const Push push = push_of_text(8000 - 300 * round, "refs/heads/b" + std::to_string(round));
    replicate(primary, {}, [&] { EXPECT_TRUE(run_push(*primary.store, "a/b", push.request)); });
  }
  ASSERT_TRUE(run_upkeep(*primary.store, only(MaintenanceTask::kRedelta)).has_value());
  EXPECT_EQ(late_rows(*primary.backend).size(), 1U);
  const auto now = store::open_repository_snapshot(primary.store->core(), 1).value();
  pack::ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, Limits{});
  std::size_t outside = 0;
  for (std::uint64_t sequence = 2; sequence <= primary.log->last().sequence; ++sequence) {
    const JournalRecord record = record_at(*primary.backend, sequence);
    const auto entry = primary.log->read(sequence).value();
    std::uint32_t number = record.first_object;
    const format::LogRows rows = format::decode_log_rows(entry.rows).value();
    for (const sys::Batch::Op& op : rows.rows.ops()) {
      if (op.family != Family::kExtents) continue;
      const format::ExtentHeader header = format::decode_extent_header(number, kAlgorithm, op.value).value();
      for (const format::ExtentObject& object : header.objects) {
        const format::ExtentObject stored = reader.entry(number).value().object;
        const bool is_early = stored.is_delta && stored.base >= record.first_object + record.object_count;
        EXPECT_EQ(object.is_delta, stored.is_delta && !is_early) << number;
        outside += object.is_delta && object.base < record.first_object ? 1U : 0U;
        ++number;
      }
    }
    EXPECT_EQ(number, record.first_object + record.object_count);
  }
  EXPECT_GT(outside, 0U) << "no delta leads out of its record: the test would show nothing";
}

// The entry with its first object that is none yet made a delta upon `base`. Its octets are no delta: nobody reads them here.
LogEntry leaning_on(LogEntry entry, format::ObjectNumber base) {
  const format::LogRows rows = format::decode_log_rows(entry.rows).value();
  sys::Batch changed;
  for (const sys::Batch::Op& op : rows.rows.ops()) {
    std::string value = op.value;
    if (op.family == Family::kExtents) {
      const auto first = format::number_of_key(op.key).value();
      auto header = format::decode_extent_header(first, kAlgorithm, op.value).value();
      header.objects[0].is_delta = true;
      header.objects[0].base = base;
      header.objects[0].depth = 1;
      value = format::encode_extent_header(first, header.objects) + op.value.substr(header.header_bytes);
    }
    changed.put(op.family, op.key, value);
  }
  entry.rows = format::encode_log_rows(kAlgorithm, changed);
  return entry;
}

class Leaning : public testing::Test {
 protected:
  Leaning() {
    EXPECT_TRUE(primary_.log->lead(1, primary_.sink).has_value());
    replicate(primary_, {}, [&] { EXPECT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value()); });
    replicate(primary_, {}, [&] { EXPECT_TRUE(run_push(*primary_.store, "a/b", push_of_text(100, "refs/heads/one").request)); });
    replicate(primary_, {}, [&] { EXPECT_TRUE(run_push(*primary_.store, "a/b", push_of_text(200, "refs/heads/two").request)); });
    replicate(primary_, {}, [&] { EXPECT_TRUE(run_push(*primary_.store, "a/b", push_of_text(300, "refs/heads/three").request)); });
    // As they can be sent now: in the order in which rows go apart.
    one_ = primary_.log->read(2).value();
    two_ = primary_.log->read(3).value();
    three_ = primary_.log->read(4).value();
    ship(*primary_.log, *follower_.log, primary_.sink.wait_for(1));
  }
  Member primary_;
  Member follower_;
  LogEntry one_;    // objects 0 to 2
  LogEntry two_;    // 3 to 5
  LogEntry three_;  // 6 to 8
};

TEST_F(Leaning, a_member_refuses_deltas_upon_records_that_are_not_here) {
  const auto before = all_rows(*follower_.backend);
  for (const format::ObjectNumber base : {3U, 5U, 6U, 1000U}) {
    const auto done = follower_.log->append({leaning_on(one_, base)});
    ASSERT_TRUE(done.has_error()) << base;
    EXPECT_EQ(done.error().code(), Errc::kNotFound);
    EXPECT_EQ(all_rows(*follower_.backend), before);
    EXPECT_EQ(follower_.log->last().sequence, 1U);
  }
  ASSERT_TRUE(follower_.log->append({leaning_on(one_, 2)}).has_value()) << "of the record itself";
  EXPECT_EQ(follower_.log->append({leaning_on(two_, 6)}).error().code(), Errc::kNotFound);
  ASSERT_TRUE(follower_.log->append({leaning_on(two_, 0)}).has_value()) << "of a record that is appended and not applied";
  ASSERT_TRUE(follower_.log->apply(3).has_value());
  ASSERT_TRUE(follower_.log->append({leaning_on(three_, 4)}).has_value()) << "of one that is applied";
}

TEST_F(Leaning, records_of_one_batch_may_lean_on_each_other) {
  EXPECT_EQ(follower_.log->append({leaning_on(one_, 3), two_}).error().code(), Errc::kNotFound) << "but not on those behind them";
  ASSERT_TRUE(follower_.log->append({one_, leaning_on(two_, 2), leaning_on(three_, 5)}).has_value());
  EXPECT_EQ(follower_.log->last().sequence, 4U);
}

// Rows that were asked for, and rows that came ahead.
TEST_F(Leaning, neither_are_rows_taken_that_come_apart) {
  const auto write = [&](const std::string& record, const LogEntry& entry) {
    const auto writer = follower_.log->write_rows(record);
    EXPECT_TRUE(writer.has_value());
    EXPECT_TRUE(writer.value()->add(entry.rows).has_value());
    return writer.value()->finish();
  };
  EXPECT_EQ(write(one_.record, leaning_on(one_, 4)).error().code(), Errc::kNotFound);
  EXPECT_FALSE(follower_.log->claim_rows(one_.record));
  ASSERT_TRUE(write(one_.record, leaning_on(one_, 1)).has_value()) << "asked for again, it gets others";
  LogEntry apart = one_;
  apart.rows_apart = true;
  apart.rows.clear();
  ASSERT_TRUE(follower_.log->append({apart}).has_value());
  // Those ahead may come before what they lean on; not so their record.
  ASSERT_TRUE(write(range_of_record(two_.record).value(), leaning_on(two_, 6)).has_value());
  apart = two_;
  apart.rows_apart = true;
  apart.rows.clear();
  EXPECT_EQ(follower_.log->append({apart}).error().code(), Errc::kNotFound);
  EXPECT_EQ(follower_.log->last().sequence, 2U);
}

TEST_F(Leaning, what_came_ahead_and_has_no_record_is_nothing_to_lean_on) {
  const std::string range = range_of_record(two_.record).value();
  const auto writer = follower_.log->write_rows(range);
  ASSERT_TRUE(writer.has_value());
  ASSERT_TRUE(writer.value()->add(two_.rows).has_value());
  ASSERT_TRUE(writer.value()->finish().has_value());
  EXPECT_EQ(follower_.log->append({leaning_on(one_, 4)}).error().code(), Errc::kNotFound);
  ASSERT_TRUE(follower_.log->append({one_, two_}).has_value());
  ASSERT_TRUE(follower_.log->append({leaning_on(three_, 4)}).has_value());
}

TEST(LateRecords, tell_whose_a_number_is) {
  const auto backend = sys::make_memory_backend();
  sys::Batch batch;
  const std::map<format::ObjectNumber, format::LateRow> rows{{10, {7, 5}}, {15, {9, 1}}, {20, {8, 3}}};
  for (const auto& [first, row] : rows) batch.put(Family::kMeta, format::late_key(2, first), format::encode_late_row(row));
  batch.put(Family::kMeta, format::late_key(1, 0), format::encode_late_row({50, 100}));
  batch.put(Family::kMeta, format::late_key(3, 0), format::encode_late_row({60, 100}));
  batch.put(Family::kMeta, format::late_rows_key(), format::encode_late_rows_row());
  ASSERT_TRUE(backend->commit(batch, sys::Durability::kSynced).has_value());
  const auto snapshot = backend->snapshot().value();
  const auto expected = [&](format::ObjectNumber number) {
    for (const auto& [first, row] : rows) {
      if (number >= first && number - first < row.object_count) return row.sequence;
    }
    return std::uint64_t{0};
  };
  for (std::uint32_t step = 1; step < 40; ++step) {  // in many orders
    store::LateRecords late(*snapshot, 2);
    for (std::uint32_t i = 0; i < 41; ++i) {
      const format::ObjectNumber number = i * step % 41;
      ASSERT_EQ(late.sequence_of(number).value(), expected(number)) << number;
    }
    ASSERT_EQ(late.sequence_of(format::kObjectNumberMax).value(), 0U);
  }
  store::LateRecords none(*snapshot, 4);
  EXPECT_EQ(none.sequence_of(0).value(), 0U);
  EXPECT_EQ(none.sequence_of(7).value(), 0U);
}

}  // namespace
}  // namespace vexor
