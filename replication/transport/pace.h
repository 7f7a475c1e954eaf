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

  using Time = std::chrono::steady_clock::time_point;

  // So many octets were sent: blocks until their time is over, and that of all before.
  void sent(std::uint64_t bytes) { std::this_thread::sleep_until(count(bytes, false)); }
  // The same of what goes before all else, which waits for others of its kind alone, while sent() waits for both.
  // Does not block: the end of its time.
  Time sent_first(std::uint64_t bytes) { return count(bytes, true); }

 private:
  Time count(std::uint64_t bytes, bool is_first) {
    if (bytes_per_second_ == 0) return {};
    const std::chrono::microseconds takes(bytes * 1'000'000 / bytes_per_second_);
    const std::lock_guard lock(mutex_);
    const Time now = std::chrono::steady_clock::now();
    until_ = std::max(until_, now) + takes;
    if (is_first) first_until_ = std::max(first_until_, now) + takes;
    return is_first ? first_until_ : until_;
  }

  const std::uint64_t bytes_per_second_;
  std::mutex mutex_;
  Time until_{};        // guarded by mutex_
  Time first_until_{};  // guarded by mutex_
};

}  // namespace vexor::replication
