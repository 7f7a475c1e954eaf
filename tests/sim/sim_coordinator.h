// The coordinator of a run: one record, compare-and-set, and answers that are late or lost.
#pragma once

#include "replication/coordinator.h"

#include <functional>
#include <optional>

namespace vexor::sim {

class World;

class SimCoordinator {
 public:
  using Record = replication::Record;
  using VersionedRecord = replication::VersionedRecord;
  using ChangeAnswer = replication::ChangeAnswer;

  explicit SimCoordinator(World& world) : world_(world) {}

  void begin(Record first) { record_ = {1, std::move(first)}; }

  const VersionedRecord& record() const { return record_; }
  void read(std::size_t host, std::function<void(const VersionedRecord&)> done);
  void compare_and_set(std::size_t host, std::uint64_t expected, Record record,
                       std::function<void(ChangeAnswer)> done);
  // At once: for operators, who have time. False: conflict, or it is away.
  bool set(const VersionedRecord& from, Record record);

  // Changes that were sent and may still happen.
  int changes_coming = 0;
  bool away = false;
  bool slow = false;            // answers take up to seconds, or never come
  std::uint64_t cut_hosts = 0;  // bit mask: who cannot reach it

 private:
  bool reaches(std::size_t host) const { return !away && (cut_hosts >> host & 1) == 0; }
  ChangeAnswer change(std::uint64_t expected, const Record& record);

  World& world_;
  VersionedRecord record_;
};

}  // namespace vexor::sim
