#include "backend/rocksdb/operator_log.h"

#include <array>
#include <ctime>

namespace vexor::sys {

namespace {

constexpr std::size_t kLineBytesMax = 4096;  // the rest of a line is cut off

}  // namespace

OperatorLog::OperatorLog(std::filesystem::path directory) : Logger(rocksdb::WARN_LEVEL), directory_(std::move(directory)) {}

void OperatorLog::open_file() {
  const std::filesystem::path path = directory_ / "LOG";
  file_.reset(std::fopen(path.c_str(), "ae"));
  std::error_code failed;
  const std::uintmax_t bytes = std::filesystem::file_size(path, failed);
  bytes_ = failed ? 0 : static_cast<std::size_t>(bytes);
}

void OperatorLog::begin_next_file() {
  file_.reset();
  std::error_code ignored;
  std::filesystem::rename(directory_ / "LOG", directory_ / "LOG.old", ignored);
  open_file();
}

void OperatorLog::Logv(const char* format, va_list arguments) {
  std::array<char, kLineBytesMax> text{};
  std::timespec now{};
  std::timespec_get(&now, TIME_UTC);
  std::tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  const std::size_t head = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ ", &parts);
  (void)std::vsnprintf(text.data() + head, text.size() - head, format, arguments);
  const std::lock_guard lock(mutex_);
  if (!file_) open_file();
  if (bytes_ >= kOperatorLogBytesMax) begin_next_file();
  if (!file_) return;
  const int written = std::fprintf(file_.get(), "%s\n", text.data());
  if (written > 0) bytes_ += static_cast<std::size_t>(written);
  if (std::fflush(file_.get()) != 0) std::clearerr(file_.get());
}

}  // namespace vexor::sys
