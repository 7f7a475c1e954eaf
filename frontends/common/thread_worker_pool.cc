#include "common/thread_worker_pool.h"

#include <algorithm>
#include <exception>

namespace vexor::frontend {

// All guarded by mutex_ but the task itself.
struct ThreadWorkerPool::Job {
  const std::function<void(unsigned)>& task;
  unsigned count;
  unsigned taken = 0;
  unsigned done = 0;
  std::exception_ptr thrown{};
  std::condition_variable all_done{};
};

ThreadWorkerPool::ThreadWorkerPool(unsigned width) {
  for (unsigned i = 1; i < width; ++i) threads_.emplace_back([this] { serve(); });
}

ThreadWorkerPool::~ThreadWorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

unsigned ThreadWorkerPool::default_width() {
  constexpr unsigned kWidthMax = 16;
  return std::clamp(std::thread::hardware_concurrency(), 1U, kWidthMax);
}

// Tasks of the job until none is left to take.
void ThreadWorkerPool::take_part(Job& job, std::unique_lock<std::mutex>& lock) {
  while (job.taken < job.count) {
    const unsigned index = job.taken++;
    if (job.taken == job.count) {
      std::erase_if(jobs_, [&job](const std::shared_ptr<Job>& other) { return other.get() == &job; });
    }
    lock.unlock();
    std::exception_ptr thrown;
    try {
      job.task(index);
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    if (thrown && !job.thrown) job.thrown = thrown;
    if (++job.done == job.count) job.all_done.notify_all();
  }
}

void ThreadWorkerPool::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    const std::shared_ptr<Job> job = jobs_.front();
    take_part(*job, lock);
  }
}

void ThreadWorkerPool::run(unsigned count, const std::function<void(unsigned)>& task) {
  if (count == 0) return;
  if (count == 1) return task(0);
  const std::shared_ptr<Job> job(new Job{task, count});
  std::unique_lock lock(mutex_);
  jobs_.push_back(job);
  work_.notify_all();
  take_part(*job, lock);
  job->all_done.wait(lock, [&job] { return job->done == job->count; });
  if (job->thrown) std::rethrow_exception(job->thrown);
}

}  // namespace vexor::frontend
