#include "daemon/maintenance_thread.h"

#include <chrono>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"

namespace vexor::frontend {

namespace {
constexpr int kNice = 10;
constexpr std::uint64_t kStepsPerSecond = 8;
constexpr std::uint64_t kStepBytesMin = 64U << 10U;
}  // namespace

void MaintenanceThread::start() {
  if (settings_.task_list.empty()) return;
  thread_ = std::thread([this] { run(); });
}

void MaintenanceThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

bool MaintenanceThread::sleep(std::int64_t ms) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, std::chrono::milliseconds(ms), [this] { return stopping_; });
  return !stopping_;
}

void MaintenanceThread::run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);  // of this thread alone; if not, not
  const std::int64_t pause_ms = std::int64_t{settings_.pause_seconds} * 1000;
  while (sleep(pause_ms)) run_pass();
}

void MaintenanceThread::run_pass() {
  MaintenanceOptions options;
  options.tasks = settings_.task_list;
  auto begun = begin_maintenance(store_, options);
  if (begun.has_error()) return;  // an operator's pass is running
  MaintenanceRun& pass = *begun.value();
  const std::uint64_t step = std::max(kStepBytesMin, settings_.bytes_per_second / kStepsPerSecond);
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const auto step_start = std::chrono::steady_clock::now();
    const std::uint64_t before = pass.figures().bytes;
    const auto done = pass.maintain_some(step);
    if (done.has_error()) return log_event("maintenance_failed", {{"why", done.error().message()}});
    if (done.value()) break;
    const std::uint64_t used = pass.figures().bytes - before;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - step_start).count();
    const auto due = static_cast<std::int64_t>(used * 1000 / settings_.bytes_per_second);
    if (!sleep(std::max<std::int64_t>(used == 0 ? 10 : 0, due - took))) return;
  }
  const MaintenanceFigures& figures = pass.figures();
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
  log_event("maintenance", {{"pools", figures.pools}, {"bytes", figures.bytes}, {"extents_merged", figures.extents_merged},
                            {"objects_swept", figures.objects_swept}, {"objects_redeltaed", figures.objects_redeltaed},
                            {"bytes_saved", figures.bytes_saved}, {"objects_scrubbed", figures.objects_scrubbed}, {"damage_found", figures.damage_found}, {"milliseconds", took}});
}

}  // namespace vexor::frontend
