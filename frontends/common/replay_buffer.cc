#include "common/replay_buffer.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace vexor::frontend {

namespace {
Error failed(const char* what) { return Error(Errc::kIo, std::string(what) + " of a push that may be begun again: " + std::strerror(errno)); }
}  // namespace

ReplayBuffer::~ReplayBuffer() { clear(); }

void ReplayBuffer::clear() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  in_file_ = 0;
  memory_ = std::string();
}

Result<void> ReplayBuffer::append(Bytes bytes) {
  memory_.append(bytes);
  if (memory_.size() <= kMemoryBytesMax) return success();
  return flush();
}

Result<void> ReplayBuffer::flush() {
  if (fd_ < 0) fd_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd_ < 0) return failed("scratch file");
  for (std::size_t done = 0; done < memory_.size();) {
    const ssize_t step = ::pwrite(fd_, memory_.data() + done, memory_.size() - done, static_cast<off_t>(in_file_ + done));
    if (step < 0 && errno == EINTR) continue;
    if (step <= 0) return failed("write");
    done += static_cast<std::size_t>(step);
  }
  in_file_ += memory_.size();
  memory_.clear();
  return success();
}

Result<Bytes> ReplayBuffer::read(std::uint64_t offset, std::size_t count) {
  if (offset >= in_file_) return Bytes(memory_).substr(static_cast<std::size_t>(offset - in_file_), count);
  room_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(count, in_file_ - offset)));
  for (;;) {
    const ssize_t got = ::pread(fd_, room_.data(), room_.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failed("read");
    return Bytes(room_).substr(0, static_cast<std::size_t>(got));
  }
}

}  // namespace vexor::frontend
