// DamageLog: what reads and checks found damaged in stored bytes. One for a store; its backend notes what fails
// a checksum, scrubbing what does not hash to its id, and the host looks.
//
// Threads: any. Blocks: never. Memory: the last kDamageTextsMax findings.
#pragma once

#include <atomic>
#include <deque>
#include <mutex>
#include <string>

namespace vexor::sys {

constexpr std::size_t kDamageTextsMax = 32;

class DamageLog {
 public:
  // `where`: the row family; `what`: one line for an operator, without secrets.
  void note(std::string_view where, std::string_view what) {
    const std::lock_guard lock(mutex_);
    latest_.push_back(std::string(where) + ": " + std::string(what));
    if (latest_.size() > kDamageTextsMax) latest_.pop_front();
    count_.fetch_add(1);
  }
  // Findings since the start; the same damage may be found many times.
  std::uint64_t count() const { return count_.load(); }
  std::deque<std::string> latest() const {
    const std::lock_guard lock(mutex_);
    return latest_;
  }

 private:
  mutable std::mutex mutex_;
  std::deque<std::string> latest_;  // guarded by mutex_; youngest last
  std::atomic<std::uint64_t> count_{0};
};

}  // namespace vexor::sys
