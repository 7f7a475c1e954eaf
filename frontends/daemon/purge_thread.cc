#include "daemon/purge_thread.h"

#include <algorithm>
#include <sys/resource.h>
#include <unistd.h>

#include "common/log.h"

namespace vexor::frontend {

namespace {
constexpr int kNice = 10;
constexpr std::int64_t kStepsPerSecond = 8;
constexpr std::int64_t kLookMs = 1000;        // between two looks for work, and while others are waited for
constexpr std::int64_t kAfterFailureMs = 30000;
}  // namespace

void PurgeThread::start() {
  thread_ = std::thread([this] { run(); });
}

void PurgeThread::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PurgeThread::run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNice);  // of this thread alone; if not, not
  const auto work = PurgeWork::begin(store_, options_.copies);
  for (std::int64_t rest_ms = 0;;) {
    {
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::milliseconds(rest_ms), [this] { return stopping_; });
      if (stopping_) return;
    }
    rest_ms = step(*work);
  }
}

std::int64_t PurgeThread::step(PurgeWork& work) {
  const auto done = work.work(std::max<std::uint64_t>(1, options_.bytes_per_second / static_cast<std::uint64_t>(kStepsPerSecond)));
  if (done.has_error()) {
    log_event("purge_failed", {{"why", done.error().message()}});
    return kAfterFailureMs;
  }
  if (done.value() == PurgeWork::Step::kWorking) return 1000 / kStepsPerSecond;
  tell();
  return kLookMs;
}

void PurgeThread::tell() {
  const auto reports = unreported_purges(store_, options_.member);
  if (reports.has_error()) return;
  for (const auto& [request, report] : reports.value()) {
    const auto told = options_.report(request, report);
    if (told.has_error() && told.error().code() == Errc::kUnavailable) continue;
    log_event("purged", {{"request", request}, {"journal_records", report.journal_records}, {"compacted_bytes", report.compacted_bytes}, {"milliseconds", report.ended_ms - report.began_ms},
                         {"told", told.has_value()}, {"message", told.has_error() ? told.error().message() : ""}});
  }
}

}  // namespace vexor::frontend
