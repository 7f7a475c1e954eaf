// Counters and gauges in Prometheus' text form. Names: docs/operations/monitor.md. Any thread.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "vexorstore/store.h"

namespace vexor::frontend {

class Metrics {
 public:
  Metrics();
  // `outcome`: "ok", "refused" or "failed". Bytes and time are of the whole request.
  void request(const std::string& transport, const std::string& command, const std::string& outcome, std::uint64_t bytes_in,
               std::uint64_t bytes_out, double seconds);
  // `outcome`: "ok", "remembered", "wrong", "limited" (too many failures) or "busy" (too many at once).
  void login(const std::string& transport, const std::string& outcome);
  // Something an operator must look at: "collision" or "corrupt".
  void alarm(const std::string& kind);
  void connections(const std::string& transport, unsigned open);
  // Of a member of a replica set: rows of its store cannot be read.
  void replica_damaged(bool damaged);
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
  prometheus::Family<prometheus::Gauge>& family_bytes_;
  prometheus::Family<prometheus::Gauge>& maintenance_;
  prometheus::Gauge& maintenance_running_;
  prometheus::Family<prometheus::Gauge>& scrubbed_pools_;
  prometheus::Gauge& oldest_verified_;
  prometheus::Gauge& damage_;
  prometheus::Gauge& replica_damaged_;
  prometheus::Gauge& sequence_;
  prometheus::Gauge& start_time_;
};

}  // namespace vexor::frontend
