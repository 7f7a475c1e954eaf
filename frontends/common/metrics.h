// Counters and gauges in Prometheus' text form. Names: docs/operations/monitor.md. Any thread.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "vexorstore/store.h"

namespace vexor::frontend {

// How far a member of a replica set is behind; what is not known has no series.
struct ReplicaLag {
  std::uint64_t node = 0;
  std::uint64_t records = 0;
  std::optional<std::uint64_t> bytes;
  std::optional<double> seconds;
};

// A member of a replica set, as it knows itself.
struct ReplicaFigures {
  bool leads = false;
  bool is_in_sync = false;
  bool is_damaged = false;  // rows of its store cannot be read
  bool watches_record = false;  // the record of the set: else nobody takes over
  std::uint64_t epoch = 0;
  std::vector<ReplicaLag> lags;  // of the others while it leads, else its own; empty: it has not heard a primary
};

class Metrics {
 public:
  Metrics();
  // `outcome`: "ok", "refused" or "failed". Bytes and time are of the whole request.
  void request(const std::string& transport, const std::string& command, const std::string& outcome, std::uint64_t bytes_in,
               std::uint64_t bytes_out, double seconds);
  // `outcome`: "ok", "remembered", "wrong", "limited" (too many failures) or "busy" (too many at once).
  void login(const std::string& transport, const std::string& outcome);
  // Something an operator must look at: "collision" or "corrupt"; of members "log_failed", "divergence", "record_unsound".
  void alarm(const std::string& kind);
  void connections(const std::string& transport, unsigned open);
  // `what`: "https", or "members" and "etcd" of what this member shows to those. `ends`: Unix time in seconds.
  void certificate(const std::string& what, std::int64_t ends);
  // Replaces what was told before.
  void replica(const ReplicaFigures& now);
  // The exposition text, with figures of the store as of now.
  std::string text(Store& store);

 private:
  prometheus::Registry registry_;
  prometheus::Family<prometheus::Counter>& requests_;
  prometheus::Family<prometheus::Counter>& received_;
  prometheus::Family<prometheus::Counter>& sent_;
  prometheus::Family<prometheus::Counter>& seconds_;
  prometheus::Family<prometheus::Counter>& logins_;
  prometheus::Family<prometheus::Counter>& alarms_;
  prometheus::Family<prometheus::Gauge>& connections_;
  prometheus::Family<prometheus::Gauge>& certificate_ends_;
  prometheus::Family<prometheus::Gauge>& family_bytes_;
  prometheus::Family<prometheus::Gauge>& memory_bytes_;
  prometheus::Family<prometheus::Gauge>& maintenance_;
  prometheus::Gauge& maintenance_running_;
  prometheus::Family<prometheus::Gauge>& scrubbed_pools_;
  prometheus::Gauge& oldest_verified_;
  prometheus::Gauge& damage_;
  prometheus::Gauge& replica_damaged_;
  prometheus::Family<prometheus::Gauge>& replica_leads_;
  prometheus::Family<prometheus::Gauge>& replica_epoch_;
  prometheus::Family<prometheus::Gauge>& replica_in_sync_;
  prometheus::Family<prometheus::Gauge>& replica_watches_record_;
  prometheus::Family<prometheus::Gauge>& replica_lag_records_;
  prometheus::Family<prometheus::Gauge>& replica_lag_bytes_;
  prometheus::Family<prometheus::Gauge>& replica_lag_seconds_;
  prometheus::Gauge& sequence_;
  prometheus::Gauge& start_time_;
  std::mutex replica_mutex_;  // so that nobody reads between what replica() takes away and adds
  std::vector<std::pair<prometheus::Family<prometheus::Gauge>*, prometheus::Gauge*>> lags_;  // guarded by replica_mutex_
};

}  // namespace vexor::frontend
