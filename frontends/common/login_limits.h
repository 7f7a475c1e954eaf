// Failed logins by key (an address, an account): after a few, each further one doubles the wait; with time they are forgotten.
//
// Threads: one at a time. Times are monotonic, in milliseconds.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace vexor::frontend {

class LoginLimits {
 public:
  static constexpr unsigned kFreeFailures = 5;
  static constexpr std::int64_t kBlockMsFirst = 1000;
  static constexpr std::int64_t kBlockMsMax = 15 * 60 * 1000;
  static constexpr std::int64_t kHalfLifeMs = 15 * 60 * 1000;  // what was counted halves each
  static constexpr std::size_t kTrackedMax = 100'000;          // keys; more are not counted until some are forgotten

  // Whether a login must wait. An empty key never does.
  bool is_blocked(const std::string& key, std::int64_t now_ms) const;
  void add_failure(const std::string& key, std::int64_t now_ms);
  void forget(const std::string& key) { failures_.erase(key); }
  std::size_t tracked() const { return failures_.size(); }

 private:
  struct Failures {
    unsigned count = 0;
    std::int64_t halved_ms = 0;  // when the count was last halved, or begun
    std::int64_t until_ms = 0;   // logins wait
  };
  static Failures decayed(Failures entry, std::int64_t now_ms);
  void make_room(std::int64_t now_ms);

  std::unordered_map<std::string, Failures> failures_;
};

}  // namespace vexor::frontend
