// WorkQueue: a thread that runs what it is given, one after the other.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace vexor::replication {

class WorkQueue {
 public:
  // `name`: of the thread, as the system's tools show it; 15 octets of it. `idle`: runs whenever `period` went by since it ran last; may be empty.
  explicit WorkQueue(std::string name, std::chrono::milliseconds period = std::chrono::milliseconds(0), std::function<void()> idle = {});
  ~WorkQueue() { stop(); }
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // From any thread. After stop() nothing is taken.
  void post(std::function<void()> work);
  // Ends the thread after what it runs; drops the rest. Not from the thread itself.
  void stop();
  // What has not begun.
  std::size_t waiting() const;

 private:
  void run();

  std::string name_;
  std::chrono::milliseconds period_;
  std::function<void()> idle_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool stopping_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace vexor::replication
