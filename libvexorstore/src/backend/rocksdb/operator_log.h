// What RocksDB has to tell an operator, in the file LOG of the store; the file before it is LOG.old. RocksDB's own
// writer ends the process on the second line that a broken disk does not take; here such lines are dropped.
//
// The file is opened with the first line and gone on with: a second process, which then finds the store in use, leaves
// what the one that runs writes where it is.
#pragma once

#include <rocksdb/env.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>

namespace vexor::sys {

// Threads: any. Blocks: on the disk. Bytes: two files of kOperatorLogBytesMax or a line more.
class OperatorLog final : public rocksdb::Logger {
 public:
  explicit OperatorLog(std::filesystem::path directory);
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;

 private:
  struct Closer {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
  };
  void open_file();
  void begin_next_file();

  const std::filesystem::path directory_;
  std::mutex mutex_;
  std::unique_ptr<std::FILE, Closer> file_;  // guarded by mutex_; null: it is not open, or cannot be
  std::size_t bytes_ = 0;                    // of it; guarded by mutex_
};

constexpr std::size_t kOperatorLogBytesMax = 8U << 20U;

}  // namespace vexor::sys
