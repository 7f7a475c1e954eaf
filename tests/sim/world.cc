#include "sim/world.h"

#include <utility>

namespace vexor::sim {

World::World(std::uint64_t seed, const replication::Faults& faults_in, bool tracing)
    : random(seed), faults(faults_in), coordinator(*this), tracing_(tracing) {
  coordinator.begin(first_record(seed % 4 != 0));
  if (seed % 2 == 0) options.offsite_wait_ms = 1000;  // waited for over any link of a world
  offsite_delay_us_ = random.between(5'000, 60'000);
  if (random.chance(500)) log_kept = static_cast<Sequence>(random.between(5, 60));
  for (std::size_t host = 0; host < servers.capacity(); ++host) {
    servers.push_back(std::make_unique<Server>(*this, host, host + 1));
    const std::int64_t drift = options.clock_drift_ppm * 9 / 10;
    servers[host]->set_clock(random.between(-drift, drift), random.between(0, 1'000'000'000));
  }
  for (std::size_t host = 0; host < servers.size(); ++host) {
    servers[host]->start();
    tick(host);
  }
}

// Mostly primary, standby, off-site; sometimes two to five members. Nobody leads yet. `has_names`: as in a set that has run before; stores draw
// theirs in the order of members, from 1 on.
replication::Record World::first_record(bool has_names) {
  static constexpr std::pair<int, int> kShapes[] = {{2, 1}, {2, 1}, {2, 1}, {2, 0},
                                                    {3, 0}, {3, 1}, {4, 1}};
  const auto [standbys, offsites] = kShapes[random.below(std::size(kShapes))];
  replication::Record record;
  for (int i = 0; i < standbys + offsites; ++i) {
    const bool offsite = i >= standbys;
    record.members.push_back(
        {next_id(), offsite ? replication::Role::kOffsite : replication::Role::kStandby});
    const NodeId id = record.members.back().id;
    if (!offsite) record.in_sync.push_back({id, has_names ? id : 0});
    offsite_[static_cast<std::size_t>(i)] = offsite;
  }
  record.primary = 1;  // vacant: its incarnation is nobody's
  record.copies = random.chance(150)   ? replication::Copies::kAll
                  : random.chance(150) ? replication::Copies::kLocal
                                       : replication::Copies::kTwo;
  servers.reserve(record.members.size());
  return record;
}

void World::after(std::int64_t delay_us, std::function<void()> run) {
  events_.push({now_us + delay_us, order_++, std::move(run)});
}

void World::run_until(std::int64_t time_us) {
  while (!events_.empty() && events_.top().time_us <= time_us) {
    // The queue gives const access; the event is popped before it runs.
    auto run = std::move(const_cast<Event&>(events_.top()).run);
    now_us = events_.top().time_us;
    events_.pop();
    run();
  }
  now_us = time_us;
}

void World::tick(std::size_t host) {
  servers[host]->tick();
  after(random.between(35'000, 50'000), [this, host] { tick(host); });
}

std::int64_t World::delay(std::size_t from, std::size_t to) {
  std::int64_t delay = random.skewed(50, network.delay_us_max);
  if (is_offsite(from) != is_offsite(to)) delay += offsite_delay_us_ + random.skewed(0, 5'000);
  return delay;
}

void World::send(const Server& from, NodeId to, replication::Message message) {
  // Members that answer answers: no rule is broken yet, and nothing else would happen any more.
  constexpr std::size_t kEventsMax = 100'000;
  if (events_.size() > kEventsMax) violate("messages multiply without end");
  const Server* target = find(to);
  if (target == nullptr || cut(from.host(), target->host())) return;
  if (random.chance(network.loss_per_thousand)) return;
  const std::size_t host = target->host();
  const int copies = random.chance(network.doubled_per_thousand) ? 2 : 1;
  const auto shared = std::make_shared<const replication::Message>(std::move(message));
  for (int copy = 0; copy < copies; ++copy)
    after(delay(from.host(), host), [this, source = from.id(), to, host, shared] {
      Server& server = *servers[host];
      if (server.id() == to && server.up()) server.deliver(source, *shared);
    });
}

Server* World::find(NodeId id) {
  for (const auto& server : servers)
    if (server->id() == id) return server.get();
  return nullptr;
}

bool World::holds(NodeId id, const EntryId& entry) const {
  const Server* server = find(id);
  return server != nullptr && server->log().durable(entry) && server->log().last().sequence > 0;
}

void World::crash(Server& server) {
  if (!server.up()) return;
  const NodeId id = server.id();
  const replication::Incarnation incarnation = server.incarnation();
  server.crash();
  const bool host_lives = random.chance(700);
  for (const auto& other : servers) {
    if (!host_lives || other.get() == &server || random.chance(200)) continue;
    const std::int64_t late = random.chance(150) ? 3'000'000 : 40'000;
    after(random.skewed(1'000, late),
          [this, host = other->host(), at = server.host(), id, incarnation] {
            if (servers[host]->up() && !cut(at, host)) servers[host]->peer_dead(id, incarnation);
          });
  }
}

void World::record_changed(const replication::VersionedRecord& record) {
  trace("record", record.version, "epoch", record.record.epoch, "primary", record.record.primary,
        "in_sync", record.record.in_sync, "members", record.record.members);
  for (const auto& server : servers) {
    if (coordinator.slow && random.chance(300)) continue;
    const std::int64_t late = coordinator.slow && random.chance(700)
                                  ? random.between(200, 2'500'000)
                                  : random.skewed(200, 10'000);
    after(late, [this, host = server->host(), record] {
      if (servers[host]->up() && !coordinator.away && (coordinator.cut_hosts >> host & 1) == 0)
        servers[host]->record_seen(record);
    });
  }
}

}  // namespace vexor::sim
