#include "pack/spool.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace vexor::pack {

namespace {
Error io_error(const char* what) {
  return Error(Errc::kIo, std::string("spool: ") + what + ": " + std::strerror(errno));
}
}  // namespace

Spool::~Spool() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> Spool::flush() {
  if (fd_ < 0) {
    fd_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd_ < 0) return io_error("open");
  }
  std::size_t done = 0;
  while (done < memory_.size()) {
    const ssize_t n = ::pwrite(fd_, memory_.data() + done, memory_.size() - done, static_cast<off_t>(flushed_ + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return io_error("write");
    done += static_cast<std::size_t>(n);
  }
  flushed_ += memory_.size();
  memory_.clear();
  return success();
}

Result<void> Spool::append(Bytes bytes) {
  memory_.append(bytes);
  if (memory_.size() > memory_bytes_max_) return flush();
  return success();
}

Result<Bytes> Spool::read(std::uint64_t offset, std::size_t count, std::string& room) const {
  if (offset + count > size()) return Error(Errc::kCorrupt, "spool: read behind the end");
  if (offset >= flushed_) return Bytes(memory_).substr(static_cast<std::size_t>(offset - flushed_), count);
  room.resize(count);
  const std::size_t in_file = static_cast<std::size_t>(std::min<std::uint64_t>(count, flushed_ - offset));
  std::size_t done = 0;
  while (done < in_file) {
    const ssize_t n = ::pread(fd_, room.data() + done, in_file - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return io_error("read");
    done += static_cast<std::size_t>(n);
  }
  if (in_file < count) std::memcpy(room.data() + in_file, memory_.data(), count - in_file);
  return Bytes(room);
}

}  // namespace vexor::pack
