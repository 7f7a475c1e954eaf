// RowsSender: brings the rows of large pushes from the primary to the members, before their records. Spec:
// docs/protocol/replication.md, "Rows ahead".
//
// Threads: one for each member and push; methods from any. Memory: a piece for each.
#pragma once

#include <chrono>
#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "replication/host/transport.h"
#include "replication/record.h"

namespace vexor::replication {

class RowsSender {
 public:
  static constexpr std::chrono::seconds kIdleMax{10};  // B3
  // `idle_max`: without a piece a member is given up, in however many tries.
  RowsSender(ReplicaLog& log, Transport& transport, std::chrono::milliseconds idle_max = kIdleMax);
  ~RowsSender();
  RowsSender(const RowsSender&) = delete;
  RowsSender& operator=(const RowsSender&) = delete;

  // The store takes changes in this epoch. / No more: stage() returns soon, also those that wait.
  void begin(Epoch epoch);
  void end();
  // See LogSink. Waits for standbys as long as they get on, and for off-site members as long again. `others`: the
  // members without this one.
  std::unique_ptr<StagedCopies> stage(const std::vector<Member>& others, const std::string& range);

 private:
  struct Gate {  // outlives this with whoever waits for an outcome
    std::mutex mutex;
    std::condition_variable changed;
  };
  struct Copy;
  struct Stage;
  class Held;

  void run(const std::shared_ptr<Stage>& stage, Copy& copy);
  Result<void> send(Stage& stage, Copy& copy, RowsCall& call);
  void wait(Stage& stage, std::unique_lock<std::mutex>& lock);
  void join_finished();

  ReplicaLog& log_;
  Transport& transport_;
  std::chrono::milliseconds idle_max_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::mutex& mutex_ = gate_->mutex;
  std::condition_variable& changed_ = gate_->changed;
  Epoch epoch_ = 0;                          // guarded by mutex_; 0: none
  unsigned running_ = 0;                     // guarded by mutex_
  std::list<std::shared_ptr<Stage>> stages_;  // guarded by mutex_
};

}  // namespace vexor::replication
