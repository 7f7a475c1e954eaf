// The thread of vexord that keeps the store in shape: a pause, a pass over all pools, the next pause. In between it thaws
// pools that are used, and, in an archive, freezes what has come.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "vexorstore/maintenance.h"

namespace vexor::frontend {

struct MaintenanceSettings {
  std::string tasks = "scrub";  // what rewrites or erases, an operator turns on
  std::vector<MaintenanceTask> task_list;  // of `tasks`
  int pause_seconds = 3600;
  std::uint64_t bytes_per_second = 32U << 20U;
  MaintenancePolicy policy;  // the store's
  int forgets_in_set = 0;    // 1: policy.forgets_in_set
  int archive_freeze_seconds = 0;  // an archive keeps everything cold: how often it looks; 0: no archive
};

class MaintenanceThread {
 public:
  MaintenanceThread(Store& store, MaintenanceSettings settings) : store_(store), settings_(std::move(settings)) {}
  ~MaintenanceThread() { stop(); }
  void start();
  // Waits for the step at hand: some tenths of a second.
  void stop();

 private:
  void run();
  bool has(MaintenanceTask task) const;
  bool is_archive() const { return settings_.archive_freeze_seconds > 0; }
  // Between two passes. False: it is time to stop.
  bool pause();
  void freeze_news();
  // False: it did not come to its end.
  bool run_pass(const MaintenanceOptions& options);
  // False: it is time to stop.
  bool sleep(std::int64_t ms);

  Store& store_;
  MaintenanceSettings settings_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
  std::optional<JournalSequence> frozen_sequence_;  // of an archive: all that was applied then is cold; this thread's
};

}  // namespace vexor::frontend
