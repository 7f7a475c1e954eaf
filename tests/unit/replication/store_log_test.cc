// The log of a node over a store that takes its time.
#include "replication/host/store_log.h"

#include "support/replica_pair.h"

namespace vexor {
namespace {

using namespace test;
using replication::Entry;

// Reads slowly; all else is the store's.
class SlowReplicaLog final : public ReplicaLog {
 public:
  explicit SlowReplicaLog(ReplicaLog& inner) : inner_(inner) {}
  Result<LogEntry> read(std::uint64_t sequence) const override {
    ++reads;
    std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
    return inner_.read(sequence);
  }
  LogPosition last() const override { return inner_.last(); }
  std::uint64_t applied() const override { return inner_.applied(); }
  Result<LogPosition> position(std::uint64_t sequence) const override { return inner_.position(sequence); }
  Result<void> lead(std::uint64_t epoch, LogSink& sink, std::uint64_t turn) override { return inner_.lead(epoch, sink, turn); }
  Result<void> follow(Waiting waiting) override { return inner_.follow(waiting); }
  Result<void> take_back(std::uint64_t sequence, std::uint64_t turn) override { return inner_.take_back(sequence, turn); }
  Result<void> append(const std::vector<LogEntry>& entries) override { return inner_.append(entries); }
  Result<void> cut(std::uint64_t sequence) override { return inner_.cut(sequence); }
  Result<void> apply(std::uint64_t sequence) override { return inner_.apply(sequence); }
  void settle(const Receipt& receipt) override { inner_.settle(receipt); }
  void give_up(std::uint64_t sequence) override { inner_.give_up(sequence); }
  Result<std::unique_ptr<RowsReader>> read_rows(std::uint64_t sequence) const override { return inner_.read_rows(sequence); }
  Result<std::unique_ptr<RowsReader>> read_rows_of(Bytes record) const override { return inner_.read_rows_of(record); }
  std::uint64_t reign() const override { return inner_.reign(); }
  Result<std::unique_ptr<RowsWriter>> write_rows(Bytes record, std::optional<std::uint64_t> reign) override { return inner_.write_rows(record, reign); }
  bool claim_rows(Bytes record) override { return inner_.claim_rows(record); }
  Result<void> drop_rows(Bytes record) override { return inner_.drop_rows(record); }
  Result<void> save_state(Bytes state) override { return inner_.save_state(state); }
  Result<std::string> load_state() const override { return inner_.load_state(); }

  unsigned delay_ms = 0;
  mutable std::atomic<int> reads = 0;

 private:
  ReplicaLog& inner_;
};

// The node's thread, which reads, has heartbeats to send.
TEST(StoreLog, a_read_of_a_slow_store_ends_with_what_it_has) {
  constexpr std::uint64_t kEntries = 40;
  Member member;
  ASSERT_TRUE(member.log->lead(1, member.sink).has_value());
  for (std::uint64_t i = 0; i < kEntries; ++i) {
    replicate(member, {}, [&] { ASSERT_TRUE(member.store->create_repository("a/r" + std::to_string(i), {}, {}).has_value()); });
  }
  SlowReplicaLog slow(*member.log);
  replication::StoreLog log(slow, member.sink, nullptr, {[](replication::LogTicket) {}, [](const Error&) {}});
  ASSERT_TRUE(log.open().has_value());
  EXPECT_EQ(log.read(1, 1000, 1U << 30U).size(), kEntries) << "of a store that is fast all come at once";
  slow.delay_ms = 20;
  std::uint64_t next = 1;
  int calls = 0;
  int rests = 0;  // of them, those that came at once and got nothing
  const auto read = [&] {
    slow.reads = 0;
    const std::vector<Entry> entries = log.read(next, 1000, 1U << 30U);
    EXPECT_LE(slow.reads, 3);  // 50 ms at most before the last one begins
    for (const Entry& entry : entries) EXPECT_EQ(entry.id.sequence, next++);
    return entries.size();
  };
  for (; next <= kEntries && calls < 1000; ++calls) {
    ASSERT_GT(read(), 0U);
    rests += next <= kEntries && read() == 0 ? 1 : 0;  // the node goes on asking in the same turn
    EXPECT_FALSE(log.is_gone(next));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(next, kEntries + 1);
  EXPECT_GT(calls, 5);
  EXPECT_GT(2 * rests, calls);  // unless this thread was not scheduled for 10 ms
  slow.delay_ms = 120;  // more than the time for all
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(log.read(1, 1000, 1U << 30U).size(), 1U);
  log.stop();
}

}  // namespace
}  // namespace vexor
