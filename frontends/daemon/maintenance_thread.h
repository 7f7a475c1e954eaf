// The thread of vexord that keeps the store in shape: a pause, a pass over all pools, the next pause.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "vexorstore/maintenance.h"

namespace vexor::frontend {

struct MaintenanceSettings {
  std::string tasks;  // none: an operator turns it on
  std::vector<MaintenanceTask> task_list;  // of `tasks`
  int pause_seconds = 3600;
  std::uint64_t bytes_per_second = 32U << 20U;
  MaintenancePolicy policy;  // the store's
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
  void run_pass();
  // False: it is time to stop.
  bool sleep(std::int64_t ms);

  Store& store_;
  MaintenanceSettings settings_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
};

}  // namespace vexor::frontend
