// Threads as a parameter: the library starts none itself.
#pragma once

#include <functional>

namespace vexor::sys {

// Runs independent pieces of work at the same time. Any thread may call, several at once.
class WorkerPool {
 public:
  virtual ~WorkerPool() = default;
  // Tasks of one run() that may go on at the same time, that of the calling thread included; at least 1.
  // The same for the whole life of the pool.
  virtual unsigned width() const = 0;
  // Calls task(0) to task(count - 1), each once, in any order and on any thread; returns when all are done.
  // The calling thread takes part: run() ends even if all other threads are busy for long. Tasks do not
  // call run(). What a task throws is thrown by run(), when the others are done.
  virtual void run(unsigned count, const std::function<void(unsigned)>& task) = 0;
};

// Width 1: one task after the other in the calling thread, 0 first.
WorkerPool& inline_worker_pool();

}  // namespace vexor::sys
