// The thread of vexord that does what approved purges ask of this server, and tells the journal when it is done.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "vexorstore/purge.h"

namespace vexor::frontend {

struct PurgeThreadOptions {
  std::uint64_t member = 0;  // of a replica set; 0: none
  std::vector<std::filesystem::path> copies;
  std::uint64_t bytes_per_second = 32U << 20U;
  // Brings a report to the server that takes changes. kUnavailable: later.
  std::function<Result<void>(std::uint64_t request, const PurgeReport& report)> report;
};

class PurgeThread {
 public:
  PurgeThread(Store& store, PurgeThreadOptions options) : store_(store), options_(std::move(options)) {}
  ~PurgeThread() { stop(); }
  void start();
  // Waits for the step at hand: some tenths of a second, or as long as a file takes to be written.
  void stop();

 private:
  void run();
  // Milliseconds until there may be more to do.
  std::int64_t step(PurgeWork& work);
  void tell();

  Store& store_;
  PurgeThreadOptions options_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
};

}  // namespace vexor::frontend
