// The coordination record in etcd, under one key. Its version is etcd's own of that key, so every change is one
// compare-and-set; data never goes through etcd.
//
// While etcd is silent nothing piles up: a reading that has not begun stands for later ones, and a change that has not begun gives
// way to a later one; it is answered kUnknown, and never happens.
//
// Threads: one for calls, one for the watch; callbacks come through `run`.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "replication/coordinator.h"
#include "vexorstore/result.h"

namespace vexor::replication {

// What is known of the record from moment to moment: while it is not watched nobody can take over, join or leave the in-sync set.
enum class RecordWatch : std::uint8_t { kBegins, kWatched, kSilent, kMissing };  // kSilent: etcd does not answer; kMissing: it has no record

struct EtcdOptions {
  std::vector<std::string> endpoints;  // HOST:PORT; asked in turn
  std::string key = "/vexorstore/replica-set";
  // Files in PEM; empty: no TLS (loopback only).
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  unsigned call_ms_max = 1000;
  std::shared_ptr<std::atomic<RecordWatch>> watch;  // is told; null: nobody
};

class EtcdCoordinator final : public Coordinator {
 public:
  using Run = std::function<void(std::function<void()>)>;
  EtcdCoordinator(const EtcdOptions& options, Run run);
  ~EtcdCoordinator() override;

  void read(std::function<void(std::optional<VersionedRecord>)> done) override;
  void compare_and_set(std::uint64_t expected, const Record& record, std::function<void(ChangeAnswer)> done) override;
  void watch(std::function<void(const VersionedRecord&)> changed) override;
  // Calls that have not begun: a reading and a change at most.
  std::size_t waiting() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

// For commands, blocking. Errors: kUnavailable (no answer; a change may have happened), kCorrupt.
Result<std::optional<VersionedRecord>> read_record(const EtcdOptions& options);
// `expected` 0: there is no record yet.
Result<ChangeAnswer> change_record(const EtcdOptions& options, std::uint64_t expected, const Record& record);

}  // namespace vexor::replication
