// The reference implementation of the seam: sorted maps, a snapshot is a set of shared pointers,
// a commit copies the families it changes.
#include <array>
#include <map>
#include <mutex>

#include "vexorstore/sys/backends.h"

namespace vexor::sys {

namespace {

using Value = std::shared_ptr<const std::string>;
using Rows = std::map<std::string, Value, std::less<>>;
using Families = std::array<std::shared_ptr<const Rows>, kFamilyCount>;

class MemoryCursor final : public Cursor {
 public:
  explicit MemoryCursor(std::shared_ptr<const Rows> rows) : rows_(std::move(rows)), at_(rows_->end()) {}
  bool valid() const override { return at_ != rows_->end(); }
  void seek(Bytes key) override { at_ = rows_->lower_bound(key); }
  void seek_for_prev(Bytes key) override {
    at_ = rows_->upper_bound(key);
    at_ = at_ == rows_->begin() ? rows_->end() : std::prev(at_);
  }
  void next() override { ++at_; }
  Bytes key() const override { return at_->first; }
  Bytes value() const override { return *at_->second; }
  Result<void> status() const override { return success(); }

 private:
  std::shared_ptr<const Rows> rows_;
  Rows::const_iterator at_;
};

class MemorySnapshot final : public StorageSnapshot {
 public:
  explicit MemorySnapshot(Families families) : families_(std::move(families)) {}
  Result<std::optional<PinnedValue>> get(Family family, Bytes key) const override {
    const Rows& rows = *families_[static_cast<std::size_t>(family)];
    const auto found = rows.find(key);
    if (found == rows.end()) return std::optional<PinnedValue>();
    return std::optional<PinnedValue>(PinnedValue(*found->second, found->second));
  }
  std::unique_ptr<Cursor> cursor(Family family) const override {
    return std::make_unique<MemoryCursor>(families_[static_cast<std::size_t>(family)]);
  }

 private:
  Families families_;
};

class MemoryBulkWriter final : public BulkWriter {
 public:
  explicit MemoryBulkWriter(Family family) : family_(family) {}
  Result<void> put(Bytes key, Bytes value) override {
    if (is_finished_) return Error(Errc::kInvalidArgument, "a bulk row behind the end");
    if (!rows_.empty() && key <= Bytes(rows_.rbegin()->first)) return Error(Errc::kInvalidArgument, "bulk rows out of order");
    rows_.emplace_hint(rows_.end(), std::string(key), std::make_shared<const std::string>(value));
    bytes_ += key.size() + value.size();
    return success();
  }
  Result<void> finish() override {
    is_finished_ = true;
    return success();
  }
  Family family() const override { return family_; }
  std::uint64_t rows() const override { return rows_.size(); }
  std::uint64_t bytes() const override { return bytes_; }
  Rows take() { return std::move(rows_); }

 private:
  Family family_;
  Rows rows_;
  std::uint64_t bytes_ = 0;
  bool is_finished_ = false;
};

class MemoryBackend final : public StorageBackend {
 public:
  MemoryBackend() {
    for (auto& family : families_) family = std::make_shared<const Rows>();
  }
  Result<std::shared_ptr<const StorageSnapshot>> snapshot() override {
    const std::lock_guard lock(mutex_);
    return std::shared_ptr<const StorageSnapshot>(std::make_shared<MemorySnapshot>(families_));
  }
  Result<void> commit(const Batch& batch, Durability) override {
    const std::lock_guard lock(mutex_);
    std::array<std::shared_ptr<Rows>, kFamilyCount> changed;
    const auto rows_of = [&](Family family) -> Rows& {
      auto& slot = changed[static_cast<std::size_t>(family)];
      if (!slot) slot = std::make_shared<Rows>(*families_[static_cast<std::size_t>(family)]);
      return *slot;
    };
    for (const Batch::Op& op : batch.ops()) {
      Rows& rows = rows_of(op.family);
      switch (op.kind) {
        case Batch::Kind::kPut: rows[op.key] = std::make_shared<const std::string>(op.value); break;
        case Batch::Kind::kErase: rows.erase(op.key); break;
        case Batch::Kind::kEraseRange:
          if (op.key < op.value) rows.erase(rows.lower_bound(op.key), rows.lower_bound(op.value));
          break;
      }
    }
    for (std::size_t i = 0; i < kFamilyCount; ++i) {
      if (changed[i]) families_[i] = std::move(changed[i]);
    }
    return success();
  }
  Result<std::unique_ptr<BulkWriter>> bulk_writer(Family family) override {
    return std::unique_ptr<BulkWriter>(std::make_unique<MemoryBulkWriter>(family));
  }
  Result<void> ingest(std::vector<std::unique_ptr<BulkWriter>> writers) override {
    Batch batch;
    for (auto& writer : writers) {
      auto* own = dynamic_cast<MemoryBulkWriter*>(writer.get());
      if (own == nullptr) return Error(Errc::kInvalidArgument, "bulk writer of another backend");
      for (const auto& [key, value] : own->take()) batch.put(own->family(), key, *value);
    }
    return commit(batch, Durability::kSynced);
  }
  Result<void> checkpoint(const std::filesystem::path&) override {
    return Error(Errc::kUnavailable, "a store in memory has no files to copy");
  }
  Result<bool> check_some(std::string&, std::uint64_t& bytes, std::vector<DamagedRows>&) override {
    bytes = 0;
    return false;
  }
  // Erased values go with the last snapshot that shows them.
  Result<bool> compact(Family, Bytes, Bytes, std::string&, std::uint64_t& bytes) override {
    bytes = 0;
    return false;
  }
  Capabilities capabilities() const override { return {false, SIZE_MAX, 8}; }
  std::uint64_t approximate_bytes(Family family) override {
    const std::lock_guard lock(mutex_);
    std::uint64_t bytes = 0;
    for (const auto& [key, value] : *families_[static_cast<std::size_t>(family)]) bytes += key.size() + value->size();
    return bytes;
  }

 private:
  std::mutex mutex_;
  Families families_;  // guarded by mutex_
};

}  // namespace

std::unique_ptr<StorageBackend> make_memory_backend() { return std::make_unique<MemoryBackend>(); }

}  // namespace vexor::sys
