// A whole cluster in one thread: virtual time, a network that misbehaves, servers, a coordinator.
#pragma once

#include "sim/history.h"
#include "sim/random.h"
#include "sim/server.h"
#include "sim/sim_coordinator.h"

#include <array>
#include <cstdio>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

namespace vexor::sim {

constexpr std::size_t kHostsMax = 6;

struct Network {
  int loss_per_thousand = 0;
  int doubled_per_thousand = 0;
  std::int64_t delay_us_max = 2'000;
};

class World : public Stores {
 public:
  World(std::uint64_t seed, const replication::Faults& faults_in, bool tracing);

  // --- time
  void after(std::int64_t delay_us, std::function<void()> run);
  void run_until(std::int64_t time_us);

  // --- network
  void send(const Server& from, NodeId to, replication::Message message);
  bool cut(std::size_t from, std::size_t to) const { return cuts_[from][to]; }
  void set_cut(std::size_t from, std::size_t to, bool on) { cuts_[from][to] = on; }
  Network network;

  // --- servers
  Server* find(NodeId id);
  const Server* find(NodeId id) const { return const_cast<World*>(this)->find(id); }
  bool is_offsite(std::size_t host) const { return offsite_[host]; }
  void crash(Server& server);  // and the others may notice at once
  replication::Incarnation next_incarnation() { return ++incarnations_; }
  NodeId next_id() { return ++ids_; }
  replication::StoreName next_store() { return ++stores_; }
  // Is the store that the entry names there?
  bool has_store(const replication::InSync& entry) const {
    const Server* server = find(entry.id);
    return server != nullptr && entry.names(server->store());
  }
  void record_changed(const replication::VersionedRecord& record);
  bool holds(NodeId id, const EntryId& entry) const override;
  bool destroyed(NodeId id) const override { return id <= ids_ && find(id) == nullptr; }
  bool lost(NodeId id, const EntryId& entry) const override {
    return find(id) != nullptr && entry.sequence <= find(id)->forgot();
  }

  template <class... Parts>
  void trace(const char* what, const Parts&... parts) {
    if (!tracing_) return;
    std::printf("%10.3f %-9s", static_cast<double>(now_us) / 1000, what);
    (print(parts), ...);
    std::printf("\n");
  }

  std::int64_t now_us = 0;
  Random random;
  replication::Options options;
  replication::Faults faults;
  History history;
  std::vector<std::unique_ptr<Server>> servers;  // one for each host
  SimCoordinator coordinator;
  Sequence log_kept = 0;  // entries behind the applied one; 0: all
  std::int64_t apply_us_max = 3'000;

 private:
  struct Event {
    std::int64_t time_us;
    std::uint64_t order;
    std::function<void()> run;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.time_us != b.time_us ? a.time_us > b.time_us : a.order > b.order;
    }
  };
  static void print(const char* text) { std::printf(" %s", text); }
  static void print(const std::vector<NodeId>& ids) {
    for (const NodeId id : ids) std::printf(" %llu", static_cast<unsigned long long>(id));
  }
  static void print(const std::vector<replication::InSync>& entries) {
    for (const auto& entry : entries)
      std::printf(" %llu:%llu", static_cast<unsigned long long>(entry.id), static_cast<unsigned long long>(entry.store));
  }
  static void print(const std::vector<replication::Member>& members) {
    for (const auto& member : members) print(member.id);
  }
  template <class Number>
  static void print(const Number& number) {
    std::printf(" %lld", static_cast<long long>(number));
  }
  replication::Record first_record(bool has_names);
  void tick(std::size_t host);
  std::int64_t delay(std::size_t from, std::size_t to);

  bool tracing_;
  std::priority_queue<Event, std::vector<Event>, Later> events_;
  std::uint64_t order_ = 0;
  std::array<std::array<bool, kHostsMax>, kHostsMax> cuts_{};
  std::array<bool, kHostsMax> offsite_{};
  std::int64_t offsite_delay_us_;
  NodeId ids_ = 0;
  replication::StoreName stores_ = 0;
  replication::Incarnation incarnations_ = 0;
};

}  // namespace vexor::sim
