#include "daemon/maintenance_thread.h"

#include <algorithm>
#include <chrono>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"

namespace vexor::frontend {

namespace {
constexpr int kNice = 10;
constexpr std::uint64_t kStepsPerSecond = 8;
constexpr std::uint64_t kStepBytesMin = 64U << 10U;
constexpr std::int64_t kLookMs = 1000;           // between two looks whether a pool is to be thawed
constexpr std::int64_t kThawAgainMs = 60 * 1000;  // after a pass that found none that it could thaw
}  // namespace

void MaintenanceThread::start() {
  if (settings_.task_list.empty() && !is_archive()) return;
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
  MaintenanceOptions options;
  options.tasks = settings_.task_list;
  while (pause()) {
    if (!options.tasks.empty()) run_pass(options);
  }
}

bool MaintenanceThread::has(MaintenanceTask task) const {
  return std::find(settings_.task_list.begin(), settings_.task_list.end(), task) != settings_.task_list.end();
}

bool MaintenanceThread::pause() {
  std::int64_t until_pass_ms = std::int64_t{settings_.pause_seconds} * 1000;
  std::int64_t until_thaw_ms = 0;
  std::int64_t until_freeze_ms = std::int64_t{settings_.archive_freeze_seconds} * 1000;
  while (until_pass_ms > 0) {
    const std::int64_t ms = std::min(until_pass_ms, kLookMs);
    if (!sleep(ms)) return false;
    for (std::int64_t* rest : {&until_pass_ms, &until_thaw_ms, &until_freeze_ms}) *rest -= ms;
    if (is_archive() && until_freeze_ms <= 0) {
      freeze_news();
      until_freeze_ms = std::int64_t{settings_.archive_freeze_seconds} * 1000;
    } else if (has(MaintenanceTask::kThaw) && until_thaw_ms <= 0 && thaw_wanted(store_)) {
      MaintenanceOptions options;
      options.tasks = {MaintenanceTask::kThaw};
      run_pass(options);
      if (thaw_wanted(store_)) until_thaw_ms = kThawAgainMs;
    }
  }
  return true;
}

void MaintenanceThread::freeze_news() {
  const JournalSequence now = store_.last_sequence();
  if (frozen_sequence_ == now) return;
  MaintenanceOptions options;
  options.tasks = {MaintenanceTask::kFreeze};
  options.policy = settings_.policy;
  options.policy->freeze_idle_seconds = 0;
  if (run_pass(options)) frozen_sequence_ = now;
}

bool MaintenanceThread::run_pass(const MaintenanceOptions& options) {
  auto begun = begin_maintenance(store_, options);
  if (begun.has_error()) return false;  // an operator's pass is running
  MaintenanceRun& pass = *begun.value();
  const std::uint64_t step = std::max(kStepBytesMin, settings_.bytes_per_second / kStepsPerSecond);
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    const auto step_start = std::chrono::steady_clock::now();
    const std::uint64_t before = pass.figures().bytes;
    const auto done = pass.maintain_some(step);
    if (done.has_error()) {
      log_event("maintenance_failed", {{"why", done.error().message()}});
      return false;
    }
    if (done.value()) break;
    const std::uint64_t used = pass.figures().bytes - before;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - step_start).count();
    const auto due = static_cast<std::int64_t>(used * 1000 / settings_.bytes_per_second);
    if (!sleep(std::max<std::int64_t>(used == 0 ? 10 : 0, due - took))) return false;
  }
  const MaintenanceFigures& figures = pass.figures();
  const bool is_small = options.tasks != settings_.task_list;
  if (is_small && figures.objects_frozen + figures.objects_thawed == 0) return true;
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count();
  log_event("maintenance", {{"pools", figures.pools}, {"bytes", figures.bytes}, {"extents_merged", figures.extents_merged},
                            {"objects_forgotten", figures.objects_forgotten}, {"objects_swept", figures.objects_swept}, {"objects_redeltaed", figures.objects_redeltaed},
                            {"bytes_saved", figures.bytes_saved}, {"objects_scrubbed", figures.objects_scrubbed},
                            {"records_scrubbed", figures.records_scrubbed}, {"damage_found", figures.damage_found},
                            {"objects_frozen", figures.objects_frozen}, {"objects_thawed", figures.objects_thawed}, {"milliseconds", took}});
  return true;
}

}  // namespace vexor::frontend
