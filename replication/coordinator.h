// The coordinator as a daemon's driver sees it (etcd). The node itself only puts ReadRecord and
// ChangeRecord into its outputs and takes the answers as inputs.
#pragma once

#include "replication/record.h"

#include <functional>
#include <optional>

namespace vexor::replication {

enum class ChangeAnswer : std::uint8_t {
  kDone,      // happened; the version is the expected one + 1
  kConflict,  // did not happen and never will: the version was another
  kUnknown,   // may have happened, or may happen later (R3)
};

// Threads: called from one thread. Non-blocking: callbacks come later, on the same thread, and
// must not be called from inside the call.
class Coordinator {
 public:
  virtual ~Coordinator() = default;
  // Linearizable (not from a cache or a lagging replica). nullopt: no answer.
  virtual void read(std::function<void(std::optional<VersionedRecord>)> done) = 0;
  // Replaces the record if its version is `expected`. Versions must not be reused: the version is
  // that of the key, the key is never erased, and a coordinator restored from a backup must be
  // given a larger epoch by hand.
  virtual void compare_and_set(std::uint64_t expected, const Record& record,
                               std::function<void(ChangeAnswer)> done) = 0;
  // Calls `changed` with new records: late, skipping some, but in order. One watcher.
  virtual void watch(std::function<void(const VersionedRecord&)> changed) = 0;
};

}  // namespace vexor::replication
