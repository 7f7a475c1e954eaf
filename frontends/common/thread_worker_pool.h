// The library's worker pool on threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "vexorstore/sys/worker_pool.h"

namespace vexor::frontend {

// Any thread may call run(), several at once; they share the threads. Destroy it when no run() goes on.
class ThreadWorkerPool final : public sys::WorkerPool {
 public:
  // `width` includes the calling thread: width - 1 threads are started.
  explicit ThreadWorkerPool(unsigned width);
  ~ThreadWorkerPool() override;
  // The machine's processors, 16 at most.
  static unsigned default_width();

  unsigned width() const override { return static_cast<unsigned>(threads_.size()) + 1; }
  void run(unsigned count, const std::function<void(unsigned)>& task) override;

 private:
  struct Job;
  void serve();
  void take_part(Job& job, std::unique_lock<std::mutex>& lock);

  std::mutex mutex_;
  std::condition_variable work_;
  bool stopping_ = false;                   // guarded by mutex_
  std::deque<std::shared_ptr<Job>> jobs_;   // guarded by mutex_; those with tasks that nobody took
  std::vector<std::thread> threads_;
};

}  // namespace vexor::frontend
