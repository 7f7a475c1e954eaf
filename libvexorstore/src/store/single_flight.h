// SingleFlight: many sessions ask for the same thing at once; one makes it, the others wait and find it in a cache.
//
// Threads: any. Whoever is inside must not enter again, nor wait for anybody who may enter. Nothing is handed over
// here: who comes out of the queue looks into the cache again, and makes it if the one before could not.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>

namespace vexor::store {

class SingleFlight {
 public:
  class Turn {
   public:
    // Blocks while another thread is inside with the same key.
    Turn(SingleFlight& flights, const std::string& key) : flights_(flights), key_(key) {
      std::unique_lock lock(flights_.mutex_);
      flights_.left_.wait(lock, [this] { return !flights_.inside_.contains(key_); });
      flights_.inside_.insert(key_);
    }
    ~Turn() {
      {
        const std::lock_guard lock(flights_.mutex_);
        flights_.inside_.erase(key_);
      }
      flights_.left_.notify_all();
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    SingleFlight& flights_;
    std::string key_;
  };

 private:
  std::mutex mutex_;
  std::condition_variable left_;
  std::set<std::string> inside_;  // guarded by mutex_
};

}  // namespace vexor::store
