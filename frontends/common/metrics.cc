#include "common/metrics.h"

#include <chrono>
#include <prometheus/text_serializer.h>

#include "common/version.h"
#include "vexorstore/maintenance.h"

namespace vexor::frontend {

namespace {
// Each has its series from the start: of one that begins with 1, Prometheus' increase() does not see the first.
constexpr const char* kAlarmKinds[] = {"collision", "corrupt", "log_failed", "divergence", "record_unsound"};

template <class Builder>
auto& make(Builder builder, const char* name, const char* help, prometheus::Registry& registry) {
  return builder.Name(name).Help(help).Register(registry);
}
}  // namespace

Metrics::Metrics()
    : requests_(make(prometheus::BuildCounter(), "vexor_requests_total", "Git requests", registry_)),
      received_(make(prometheus::BuildCounter(), "vexor_received_bytes_total", "Bytes of Git requests received", registry_)),
      sent_(make(prometheus::BuildCounter(), "vexor_sent_bytes_total", "Bytes of Git answers sent", registry_)),
      seconds_(make(prometheus::BuildCounter(), "vexor_request_seconds_total", "Time spent in Git requests", registry_)),
      logins_(make(prometheus::BuildCounter(), "vexor_logins_total", "Logins by outcome", registry_)),
      alarms_(make(prometheus::BuildCounter(), "vexor_alarms_total", "Findings that an operator must look at, by kind", registry_)),
      connections_(make(prometheus::BuildGauge(), "vexor_connections", "Open connections", registry_)),
      certificate_ends_(make(prometheus::BuildGauge(), "vexor_certificate_end_time_seconds", "Unix time when a certificate in use ends, by what for", registry_)),
      family_bytes_(make(prometheus::BuildGauge(), "vexor_family_bytes", "Bytes on disk of a row family, roughly", registry_)),
      memory_bytes_(make(prometheus::BuildGauge(), "vexor_memory_bytes", "Memory that the storage keeps to be fast, by what for, roughly", registry_)),
      maintenance_(make(prometheus::BuildGauge(), "vexor_maintenance_done", "What maintenance did since the start, by figure", registry_)),
      maintenance_running_(make(prometheus::BuildGauge(), "vexor_maintenance_running", "1 while a pass runs", registry_).Add({})),
      scrubbed_pools_(make(prometheus::BuildGauge(), "vexor_scrubbed_pools", "Repositories with their forks, by what scrubbing found last", registry_)),
      oldest_verified_(make(prometheus::BuildGauge(), "vexor_verified_time_seconds", "Unix time of the oldest complete verification; 0: none yet", registry_).Add({})),
      damage_(make(prometheus::BuildGauge(), "vexor_damage_found", "Findings of damaged bytes since the start", registry_).Add({})),
      replica_damaged_(make(prometheus::BuildGauge(), "vexor_replica_damaged", "1: this member's store is damaged, and it waits for another to take over", registry_).Add({})),
      replica_leads_(make(prometheus::BuildGauge(), "vexor_replica_leads", "1: this member is the primary of its replica set", registry_)),
      replica_epoch_(make(prometheus::BuildGauge(), "vexor_replica_epoch", "Epoch of the primary that this member follows or is", registry_)),
      replica_in_sync_(make(prometheus::BuildGauge(), "vexor_replica_in_sync", "1: this member is in the in-sync set, as far as it knows", registry_)),
      replica_watches_record_(make(prometheus::BuildGauge(), "vexor_replica_watches_record", "1: this member sees the record in etcd; 0: it could not take over", registry_)),
      replica_lag_records_(make(prometheus::BuildGauge(), "vexor_replica_lag_records", "Journal records that a member lacks", registry_)),
      replica_lag_bytes_(make(prometheus::BuildGauge(), "vexor_replica_lag_bytes", "Bytes of the entries that a member lacks", registry_)),
      replica_lag_seconds_(make(prometheus::BuildGauge(), "vexor_replica_lag_seconds", "Seconds since the first entry that a member lacks", registry_)),
      sequence_(make(prometheus::BuildGauge(), "vexor_journal_sequence", "Sequence of the last committed record", registry_).Add({})),
      start_time_(make(prometheus::BuildGauge(), "vexor_start_time_seconds", "Unix time of the start", registry_).Add({})) {
  make(prometheus::BuildGauge(), "vexor_build_info", "1; the version is its label", registry_).Add({{"version", version()}}).Set(1);
  for (const char* kind : kAlarmKinds) alarms_.Add({{"kind", kind}});
  start_time_.Set(static_cast<double>(std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count()));
}

void Metrics::request(const std::string& transport, const std::string& command, const std::string& outcome, std::uint64_t bytes_in,
                      std::uint64_t bytes_out, double seconds) {
  requests_.Add({{"transport", transport}, {"command", command}, {"outcome", outcome}}).Increment();
  received_.Add({{"transport", transport}, {"command", command}}).Increment(static_cast<double>(bytes_in));
  sent_.Add({{"transport", transport}, {"command", command}}).Increment(static_cast<double>(bytes_out));
  seconds_.Add({{"transport", transport}, {"command", command}}).Increment(seconds);
}

void Metrics::login(const std::string& transport, const std::string& outcome) {
  logins_.Add({{"transport", transport}, {"outcome", outcome}}).Increment();
}

void Metrics::alarm(const std::string& kind) { alarms_.Add({{"kind", kind}}).Increment(); }

void Metrics::replica(const ReplicaFigures& now) {
  const std::lock_guard lock(replica_mutex_);
  replica_damaged_.Set(now.is_damaged ? 1 : 0);
  replica_leads_.Add({}).Set(now.leads ? 1 : 0);
  replica_epoch_.Add({}).Set(static_cast<double>(now.epoch));
  replica_in_sync_.Add({}).Set(now.is_in_sync ? 1 : 0);
  replica_watches_record_.Add({}).Set(now.watches_record ? 1 : 0);
  for (const auto& [family, gauge] : lags_) family->Remove(gauge);
  lags_.clear();
  for (const ReplicaLag& lag : now.lags) {
    const auto tell = [&](prometheus::Family<prometheus::Gauge>& family, double value) {
      prometheus::Gauge& gauge = family.Add({{"node", std::to_string(lag.node)}});
      gauge.Set(value);
      lags_.emplace_back(&family, &gauge);
    };
    tell(replica_lag_records_, static_cast<double>(lag.records));
    if (lag.bytes) tell(replica_lag_bytes_, static_cast<double>(*lag.bytes));
    if (lag.seconds) tell(replica_lag_seconds_, *lag.seconds);
  }
}

void Metrics::connections(const std::string& transport, unsigned open) { connections_.Add({{"transport", transport}}).Set(open); }

void Metrics::certificate(const std::string& what, std::int64_t ends) { certificate_ends_.Add({{"for", what}}).Set(static_cast<double>(ends)); }

std::string Metrics::text(Store& store) {
  sequence_.Set(static_cast<double>(store.last_sequence()));
  for (std::size_t i = 0; i < sys::kFamilyCount; ++i) {
    const auto family = static_cast<sys::Family>(i);
    family_bytes_.Add({{"family", std::string(sys::family_name(family))}}).Set(static_cast<double>(approximate_bytes(store, family)));
  }
  const StoreMemory memory = memory_use(store);
  memory_bytes_.Add({{"for", "cached_blocks"}}).Set(static_cast<double>(memory.backend.cached_blocks));
  memory_bytes_.Add({{"for", "unwritten_rows"}}).Set(static_cast<double>(memory.backend.unwritten_rows));
  memory_bytes_.Add({{"for", "open_files"}}).Set(static_cast<double>(memory.backend.open_files));
  memory_bytes_.Add({{"for", "cached_sets"}}).Set(static_cast<double>(memory.cached_sets));
  const MaintenanceStatus status = maintenance_status(store);
  maintenance_running_.Set(status.is_running ? 1 : 0);
  const std::pair<const char*, std::uint64_t> figures[] = {
      {"pools", status.figures.pools}, {"bytes", status.figures.bytes}, {"extents_merged", status.figures.extents_merged},
      {"objects_forgotten", status.figures.objects_forgotten}, {"objects_swept", status.figures.objects_swept},
      {"objects_redeltaed", status.figures.objects_redeltaed}, {"bytes_saved", status.figures.bytes_saved},
      {"objects_scrubbed", status.figures.objects_scrubbed}, {"records_scrubbed", status.figures.records_scrubbed}, {"damage_found", status.figures.damage_found},
      {"objects_frozen", status.figures.objects_frozen}, {"objects_thawed", status.figures.objects_thawed}};
  for (const auto& [name, value] : figures) maintenance_.Add({{"figure", name}}).Set(static_cast<double>(value));
  damage_.Set(static_cast<double>(damage_log(store).count()));
  if (const auto scrubbed = scrub_summary(store); scrubbed.has_value()) {
    scrubbed_pools_.Add({{"found", "whole"}}).Set(static_cast<double>(scrubbed.value().verified_pools));
    scrubbed_pools_.Add({{"found", "damaged"}}).Set(static_cast<double>(scrubbed.value().damaged_pools));
    oldest_verified_.Set(static_cast<double>(scrubbed.value().oldest_verified_at_ms / 1000));
  }
  const std::lock_guard lock(replica_mutex_);
  return prometheus::TextSerializer().Serialize(registry_.Collect());
}

}  // namespace vexor::frontend
