// Descriptors of peers that may never be ready: each wait ends with the idle limit or with the server.
#pragma once

#include <atomic>
#include <fcntl.h>

#include "vexorstore/bytes.h"

namespace vexor::frontend {

// While it lives, writes to `fd` do not block; the flag goes back to what it was.
class NonBlocking {
 public:
  explicit NonBlocking(int fd) : fd_(fd), before_(::fcntl(fd, F_GETFL)) { ::fcntl(fd_, F_SETFL, before_ | O_NONBLOCK); }
  ~NonBlocking() { ::fcntl(fd_, F_SETFL, before_); }
  NonBlocking(const NonBlocking&) = delete;
  NonBlocking& operator=(const NonBlocking&) = delete;

 private:
  int fd_;
  int before_;
};

// Waits for `events` of poll(2). False: `idle_seconds_max` passed, or `stop` became true.
bool wait_for(int fd, short events, int idle_seconds_max, const std::atomic<bool>& stop);

// All of `bytes` to a NonBlocking `fd`. False: the peer is gone, or took nothing for `idle_seconds_max`, or `stop` became true.
bool write_all(int fd, Bytes bytes, int idle_seconds_max, const std::atomic<bool>& stop);

}  // namespace vexor::frontend
