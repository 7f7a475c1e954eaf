// Pace: no more than so many octets a second, of all that share it. Any thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <thread>

namespace vexor::replication {

class Pace {
 public:
  explicit Pace(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}  // 0: any number

  // So many octets were sent: blocks until their time is over.
  void sent(std::uint64_t bytes) {
    if (bytes_per_second_ == 0) return;
    std::unique_lock lock(mutex_);
    until_ = std::max(until_, std::chrono::steady_clock::now()) + std::chrono::microseconds(bytes * 1'000'000 / bytes_per_second_);
    const auto until = until_;
    lock.unlock();
    std::this_thread::sleep_until(until);
  }

 private:
  const std::uint64_t bytes_per_second_;
  std::mutex mutex_;
  std::chrono::steady_clock::time_point until_{};  // guarded by mutex_
};

}  // namespace vexor::replication
