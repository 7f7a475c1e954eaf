#include "vexorstore/sys/worker_pool.h"

namespace vexor::sys {

namespace {
class InlineWorkerPool final : public WorkerPool {
 public:
  unsigned width() const override { return 1; }
  void run(unsigned count, const std::function<void(unsigned)>& task) override {
    for (unsigned i = 0; i < count; ++i) task(i);
  }
};
}  // namespace

WorkerPool& inline_worker_pool() {
  static InlineWorkerPool pool;
  return pool;
}

}  // namespace vexor::sys
