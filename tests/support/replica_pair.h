// Stores that replicate to each other by hand, for tests of the log.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "store/store_core.h"
#include "support/push_builder.h"
#include "vexorstore/replica_log.h"

namespace vexor::test {

// Keeps what a primary appends.
class CollectingSink final : public LogSink {
 public:
  void appended(std::vector<LogEntry> entries) override {
    const std::lock_guard lock(mutex_);
    for (LogEntry& entry : entries) entries_.push_back(std::move(entry));
    wake_.notify_all();
  }
  void failed() override { ++failures; }
  std::atomic<int> failures = 0;
  Result<void> admit(CopyPolicy copies) override {
    if (refused.load() == copies) return Error(Errc::kRefused, "too few servers");
    return success();
  }
  Result<void> admit_forgetting() override {
    if (is_somebody_behind) return Error(Errc::kRefused, "somebody is behind");
    return success();
  }
  std::atomic<bool> is_somebody_behind = false;
  std::atomic<std::optional<CopyPolicy>> refused{std::optional<CopyPolicy>()};
  Result<void> confirm_head() override {
    ++confirmations;
    if (!confirms) return Error(Errc::kUnavailable, "not the primary any more");
    return success();
  }
  std::unique_ptr<StagedCopies> stage(const std::string& range) override { return on_stage ? on_stage(range) : nullptr; }
  std::function<std::unique_ptr<StagedCopies>(const std::string& range)> on_stage;
  std::atomic<bool> confirms = true;
  std::atomic<int> confirmations = 0;
  // Waits for the entry.
  LogEntry wait_for(std::uint64_t sequence) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(wake_.wait_for(lock, std::chrono::seconds(30), [&] { return find(sequence) != nullptr; }));
    const LogEntry* entry = find(sequence);
    return entry != nullptr ? *entry : LogEntry();
  }
  // The last one that was given of it.
  LogEntry latest(std::uint64_t sequence) {
    const std::lock_guard lock(mutex_);
    LogEntry out;
    for (const LogEntry& entry : entries_) {
      if (entry.position.sequence == sequence) out = entry;
    }
    return out;
  }

 private:
  const LogEntry* find(std::uint64_t sequence) const {
    for (const LogEntry& entry : entries_) {
      if (entry.position.sequence == sequence) return &entry;
    }
    return nullptr;
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<LogEntry> entries_;
};

struct Member {
  std::unique_ptr<sys::StorageBackend> backend = sys::make_memory_backend();
  std::unique_ptr<Store> store;
  std::unique_ptr<ReplicaLog> log;
  CollectingSink sink;

  Member() { reopen(); }
  void reopen() {
    log.reset();
    store.reset();
    store = open(*backend);
    log = std::move(join_replica_set(*store)).value();
  }
};

inline void ship_rows(const ReplicaLog& from, ReplicaLog& to, const LogEntry& entry) {
  const auto reader = from.read_rows(entry.position.sequence);
  ASSERT_TRUE(reader.has_value()) << reader.error().message();
  const auto writer = to.write_rows(entry.record);
  ASSERT_TRUE(writer.has_value()) << writer.error().message();
  for (;;) {
    const auto piece = reader.value()->next();
    ASSERT_TRUE(piece.has_value()) << piece.error().message();
    if (piece.value().empty()) break;
    const auto added = writer.value()->add(piece.value());
    ASSERT_TRUE(added.has_value()) << added.error().message();
  }
  const auto done = writer.value()->finish();
  ASSERT_TRUE(done.has_value()) << done.error().message();
}

inline void ship(const ReplicaLog& from, ReplicaLog& to, const LogEntry& entry) {
  if (entry.rows_apart) ship_rows(from, to, entry);
  const auto done = to.append({entry});
  ASSERT_TRUE(done.has_value()) << done.error().message();
}

// Runs a change at the primary and takes it to the others as it is appended; `change` runs in a thread.
template <class F>
void replicate(Member& primary, std::vector<Member*> others, F change) {
  const std::uint64_t before = primary.log->last().sequence;
  bool done = false;
  std::mutex mutex;
  std::thread pusher([&] {
    change();
    const std::lock_guard lock(mutex);
    done = true;
  });
  for (std::uint64_t next = before + 1;;) {
    {
      const std::lock_guard lock(mutex);
      if (done) break;
    }
    if (primary.log->last().sequence < next) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    const LogEntry entry = primary.sink.wait_for(next);
    for (Member* other : others) ship(*primary.log, *other->log, entry);
    EXPECT_TRUE(primary.log->apply(next).has_value());
    for (Member* other : others) EXPECT_TRUE(other->log->apply(next).has_value());
    primary.log->settle({next, 1 + static_cast<unsigned>(others.size()), 3, true, others.size() == 2});
    ++next;
  }
  pusher.join();
}

// All rows of a store but for what each server keeps for itself.
inline std::map<std::string, std::string> all_rows(sys::StorageBackend& backend) {
  std::map<std::string, std::string> out;
  const auto snapshot = backend.snapshot().value();
  for (std::size_t number = 0; number < sys::kFamilyCount; ++number) {
    const auto family = static_cast<sys::Family>(number);
    const auto cursor = snapshot->cursor(family);
    for (cursor->seek({}); cursor->valid(); cursor->next()) {
      if (family == sys::Family::kMeta && cursor->key()[0] != 'l') continue;
      out.emplace(std::string(sys::family_name(family)) + " " + std::string(cursor->key()), std::string(cursor->value()));
    }
  }
  return out;
}

}  // namespace vexor::test
