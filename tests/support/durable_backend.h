// A backend that knows what power loss would leave: everything is visible in `live`, and `durable` holds
// only what was synced, with all that came before it. For tests; both are memory backends.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "vexorstore/sys/backends.h"

namespace vexor::test {

class DurableBackend final : public sys::StorageBackend {
 public:
  DurableBackend(sys::StorageBackend& live, sys::StorageBackend& durable) : live_(live), durable_(durable) {}

  Result<std::shared_ptr<const sys::StorageSnapshot>> snapshot() override { return live_.snapshot(); }
  // From now on nothing reaches the disk.
  void cut_power() {
    const std::lock_guard lock(mutex_);
    is_off_ = true;
  }
  // Called once, by the next synced commit, before it writes anything.
  void on_synced_commit(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    on_synced_commit_ = std::move(work);
  }
  // While it is set, commits that are not synced wait: those of records that are applied.
  std::atomic<bool> holds_unsynced = false;
  Result<void> commit(const sys::Batch& batch, sys::Durability durability) override {
    while (durability != sys::Durability::kSynced && holds_unsynced) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // until the test lets go
    if (durability == sys::Durability::kSynced) {
      if (const auto pause = take_pause()) pause();
    }
    const std::lock_guard lock(mutex_);
    if (is_off_) return Error(Errc::kIo, "no power");
    VEXOR_TRY(live_.commit(batch, durability));
    sys::Batch copy = batch;
    unsynced_.append(std::move(copy));
    return durability == sys::Durability::kSynced ? sync() : success();
  }
  Result<std::unique_ptr<sys::BulkWriter>> bulk_writer(sys::Family family) override {
    return std::unique_ptr<sys::BulkWriter>(std::make_unique<Rows>(family));
  }
  Result<void> ingest(std::vector<std::unique_ptr<sys::BulkWriter>> writers) override {
    const std::lock_guard lock(mutex_);
    if (is_off_) return Error(Errc::kIo, "no power");
    VEXOR_TRY(sync());
    for (sys::StorageBackend* backend : {&live_, &durable_}) {
      std::vector<std::unique_ptr<sys::BulkWriter>> copies;
      for (const auto& writer : writers) {
        VEXOR_TRY(auto copy, backend->bulk_writer(writer->family()));
        for (const auto& [key, value] : static_cast<Rows&>(*writer).all) {
          VEXOR_TRY(copy->put(key, value));
        }
        copies.push_back(std::move(copy));
      }
      VEXOR_TRY(backend->ingest(std::move(copies)));
    }
    return success();
  }
  Result<bool> check_some(std::string& position, std::uint64_t& bytes, std::vector<sys::DamagedRows>& damaged) override {
    return live_.check_some(position, bytes, damaged);
  }
  Result<bool> compact(sys::Family family, Bytes first, Bytes end, std::string& position, std::uint64_t& bytes) override {
    return live_.compact(family, first, end, position, bytes);
  }
  Result<void> checkpoint(const std::filesystem::path& directory) override { return live_.checkpoint(directory); }
  sys::Capabilities capabilities() const override { return live_.capabilities(); }
  std::uint64_t approximate_bytes(sys::Family family) override { return live_.approximate_bytes(family); }

 private:
  class Rows final : public sys::BulkWriter {
   public:
    explicit Rows(sys::Family family) : family_(family) {}
    Result<void> put(Bytes key, Bytes value) override {
      all.emplace_back(key, value);
      return success();
    }
    Result<void> finish() override { return success(); }
    sys::Family family() const override { return family_; }
    std::uint64_t rows() const override { return all.size(); }
    std::uint64_t bytes() const override { return all.size(); }
    std::vector<std::pair<std::string, std::string>> all;

   private:
    sys::Family family_;
  };
  std::function<void()> take_pause() {
    const std::lock_guard lock(mutex_);
    return std::exchange(on_synced_commit_, nullptr);
  }
  Result<void> sync() {
    VEXOR_TRY(durable_.commit(unsynced_, sys::Durability::kSynced));
    unsynced_ = sys::Batch();
    return success();
  }
  sys::StorageBackend& live_;
  sys::StorageBackend& durable_;
  std::mutex mutex_;
  std::function<void()> on_synced_commit_;  // guarded by mutex_
  bool is_off_ = false;
  sys::Batch unsynced_;
};

// Copies what power loss leaves into a fresh memory backend.
inline std::unique_ptr<sys::StorageBackend> copy_of(sys::StorageBackend& from) {
  auto out = sys::make_memory_backend();
  const auto snapshot = from.snapshot().value();
  sys::Batch batch;
  for (std::size_t i = 0; i < sys::kFamilyCount; ++i) {
    const auto family = static_cast<sys::Family>(i);
    const auto cursor = snapshot->cursor(family);
    for (cursor->seek({}); cursor->valid(); cursor->next()) batch.put(family, cursor->key(), cursor->value());
  }
  const auto done = out->commit(batch, sys::Durability::kSynced);
  if (done.has_error()) std::abort();
  return out;
}

}  // namespace vexor::test
