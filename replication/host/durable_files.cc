#include "replication/host/durable_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

namespace vexor::replication {

namespace {

Error failed(const char* what) { return Error(Errc::kIo, std::string(what) + ": " + std::generic_category().message(errno)); }

}  // namespace

Result<void> sync_path(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed("cannot open a file to sync it");
  const bool done = ::fsync(fd) == 0;
  Error error = failed("cannot sync a file");
  ::close(fd);
  if (!done) return error;
  return success();
}

Result<void> write_file_durably(const std::filesystem::path& path, Bytes bytes) {
  const std::filesystem::path next = path.string() + ".next";
  const int fd = ::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return failed("cannot make a file");
  bool done = true;
  for (std::size_t at = 0; done && at < bytes.size();) {
    const ssize_t count = ::write(fd, bytes.data() + at, bytes.size() - at);
    done = count > 0;
    at += done ? static_cast<std::size_t>(count) : 0;
  }
  done = done && ::fsync(fd) == 0;
  Error error = failed("cannot write a file");
  ::close(fd);
  if (!done) return error;
  if (::rename(next.c_str(), path.c_str()) != 0) return failed("cannot rename a file");
  return sync_path(path.parent_path());
}

Result<void> exchange_directories(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code ignored;
  const unsigned how = std::filesystem::exists(b, ignored) ? RENAME_EXCHANGE : RENAME_NOREPLACE;
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), how) != 0) return failed("cannot exchange two directories");
  return sync_path(b.parent_path());
}

}  // namespace vexor::replication
