// A backend that fails on purpose, for tests: wraps another one.
#pragma once

#include "vexorstore/sys/storage_backend.h"

namespace vexor::sys {

class FaultBackend final : public StorageBackend {
 public:
  // What becomes of the operation that fails.
  enum class Mode : std::uint8_t {
    kBefore,  // nothing happened
    kAfter,   // it happened, and the caller is told that it did not
  };
  explicit FaultBackend(StorageBackend& inner) : inner_(inner) {}

  // The `countdown`-th changing operation from now fails (1 = the next), and all after it.
  void fail_at(std::uint64_t countdown, Mode mode);
  bool has_failed() const { return failed_; }

  Result<std::shared_ptr<const StorageSnapshot>> snapshot() override { return inner_.snapshot(); }
  Result<void> commit(const Batch& batch, Durability durability) override;
  Result<std::unique_ptr<BulkWriter>> bulk_writer(Family family) override;
  Result<void> ingest(std::vector<std::unique_ptr<BulkWriter>> writers) override;
  Result<void> checkpoint(const std::filesystem::path& directory) override { return inner_.checkpoint(directory); }
  Result<bool> check_some(std::string& position, std::uint64_t& bytes, std::vector<DamagedRows>& damaged) override {
    return inner_.check_some(position, bytes, damaged);
  }
  Result<bool> compact(Family family, Bytes first, Bytes end, std::string& position, std::uint64_t& bytes) override;
  Capabilities capabilities() const override { return inner_.capabilities(); }
  std::uint64_t approximate_bytes(Family family) override { return inner_.approximate_bytes(family); }
  MemoryUse memory_use() override { return inner_.memory_use(); }

 private:
  // True: this operation fails. `perform` says whether to do it all the same.
  bool step(bool& perform);
  StorageBackend& inner_;
  std::uint64_t countdown_ = 0;  // 0: off
  Mode mode_ = Mode::kBefore;
  bool failed_ = false;
};

}  // namespace vexor::sys
