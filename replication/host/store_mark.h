// StoreMark: where the log of a store ended, in a file of its own, and the store's name. Spec: docs/format/mark.md,
// docs/protocol/replication.md (S8, N1).
//
// Threads: write() and sync() from any. write() leaves the octets to the kernel: they outlive the process; sync() makes
// them outlive the machine.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include "replication/types.h"
#include "vexorstore/result.h"

namespace vexor::replication {

struct Mark {
  EntryId last;
  Epoch promise = 0;
  friend bool operator==(const Mark&, const Mark&) = default;
};

std::string encode_mark_slot(std::uint64_t generation, const Mark& mark);
std::string encode_store_name(StoreName name);

class StoreMark {
 public:
  static constexpr const char* kFileName = "vexor-mark";

  // nullopt: there is no mark. Errors: kCorrupt (neither slot can be read), kIo.
  static Result<std::optional<Mark>> read(const std::filesystem::path& store);
  // Goes on with the mark in the directory of a store, or makes one, durably. A store without a name gets `name`, durably; 0: draws one.
  // Errors: kIo, kCorrupt.
  static Result<std::unique_ptr<StoreMark>> open(const std::filesystem::path& store, const Mark& first, StoreName name = 0);
  ~StoreMark();
  StoreMark(const StoreMark&) = delete;
  StoreMark& operator=(const StoreMark&) = delete;

  // Of the store, on the disk; not 0.
  StoreName name() const { return name_; }
  Result<void> write(const Mark& mark);
  // Cheap when nothing was written since.
  Result<void> sync();
  // Writes and syncs what is there already, to see whether the disk still takes it. Errors: kIo.
  Result<void> probe();

 private:
  StoreMark(int fd, StoreName name, std::uint64_t generation, const Mark& last) : fd_(fd), name_(name), generation_(generation), last_(last) {}
  Result<void> write_slot();  // with mutex_
  Result<void> write_name(StoreName name);  // durably

  int fd_;
  StoreName name_;
  std::mutex syncing_;  // taken before mutex_; whoever has had it finds on the disk what was written before
  std::mutex mutex_;
  std::uint64_t generation_;  // guarded by mutex_
  Mark last_;                 // guarded by mutex_; written
  bool dirty_ = false;        // guarded by mutex_
};

}  // namespace vexor::replication
