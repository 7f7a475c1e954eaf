#include "sim/scenario.h"

#include <algorithm>

namespace vexor::sim {

using replication::Copies;
using replication::Record;
using replication::Role;

// Half of the runs mix what there is, a quarter each have what makes certain races likely.
void Scenario::choose_faults(Profile profile) {
  Random& random = world_.random;
  const auto only = [](auto... kinds) { return ((1U << kinds) | ...); };
  const std::size_t drawn = random.below(4);
  switch (profile == Profile::kDrawn ? drawn : static_cast<std::size_t>(profile)) {
    case 0:  // leaders, candidates and changes that overtake each other
      kinds_ = only(kFlap, kFlapSlow, kOneWay, kPartition, kHandover);
      pause_us_ = random.between(100'000, 600'000);
      if (random.chance(500)) {
        Record record = world_.coordinator.record().record;
        record.copies = Copies::kLocal;  // a leader alone goes on
        world_.coordinator.begin(record);
      }
      return;
    case 1:  // all start again, and some of them with nothing
      kinds_ = only(kPowerCut, kRot, kCrash, kMembers, kSlowDisk, kLoseTail, kWipe);
      pause_us_ = random.between(100'000, 600'000);
      return;
    case static_cast<std::size_t>(Profile::kDeposed):  // primaries that do not know it yet, and what they sent before
      kinds_ = only(kPause, kOneWay, kBadNetwork, kHandover);
      pause_us_ = random.between(50'000, 300'000);
      return;
    case static_cast<std::size_t>(Profile::kEmptied):  // stores that are gone when a change that counts on them comes to pass
      kinds_ = only(kWipe, kLoseTail, kCrash, kPartition, kOneWay, kCoordinatorAway, kCoordinatorSlow, kCoordinatorCut);
      pause_us_ = random.between(30'000, 200'000);
      return;
    case static_cast<std::size_t>(Profile::kJumps):  // what no promise holds against: no push may be lost for it
      clocks_jump_ = true;
      world_.history.clocks_jump();
      [[fallthrough]];
    default:
      kinds_ = static_cast<unsigned>(random.next()) &
               static_cast<unsigned>(random.next() | random.next());
      pause_us_ = random.between(150'000, 1'500'000);
  }
}

void Scenario::run(std::int64_t faults_us, Profile profile) {
  choose_faults(profile);
  keep_alive();
  schedule();
  world_.run_until(faults_us);
  heal();
  await_service(30'000'000);
}

void Scenario::schedule() {
  world_.after(world_.random.between(1, 2 * pause_us_), [this] {
    if (healed_) return;
    const auto kind = static_cast<Kind>(world_.random.below(kKinds));
    if (kinds_ >> kind & 1) strike(kind);
    if (clocks_jump_ && world_.random.chance(300)) any_server().jump_clock(world_.random.skewed(100'000, 3'600'000'000));
    schedule();
  });
}

void Scenario::strike(Kind kind) {
  Random& random = world_.random;
  const std::int64_t span = random.skewed(50'000, 4'000'000);
  Server& server = any_server();
  const std::size_t host = server.host();
  world_.trace("fault", static_cast<int>(kind), "host", host, "ms", span / 1000);
  switch (kind) {
    case kCrash:
      return crash(server, span);
    case kPause:
      server.pause();
      return world_.after(span, [&server] { server.resume(); });
    case kPartition:
      return partition();
    case kOneWay: {
      const std::size_t to = any_server().host();
      world_.set_cut(host, to, true);
      return world_.after(span, [this, host, to] { world_.set_cut(host, to, false); });
    }
    case kBadNetwork:
      world_.network = {static_cast<int>(random.between(0, 200)),
                        static_cast<int>(random.between(0, 200)), random.skewed(2'000, 300'000)};
      return world_.after(span, [this] { world_.network = {}; });
    case kSlowDisk:
      server.slow_disk(random.skewed(5'000, 400'000));
      return world_.after(span, [&server] { server.slow_disk(300); });
    case kFullDisk:
      server.fill_disk();
      return world_.after(span, [&server] { server.free_disk(); });
    case kRot:
      return rot(server);
    case kCoordinatorAway:
      world_.coordinator.away = true;
      return world_.after(span, [this] { world_.coordinator.away = false; });
    case kCoordinatorSlow:
      world_.coordinator.slow = true;
      return world_.after(span, [this] { world_.coordinator.slow = false; });
    case kCoordinatorCut:
      world_.coordinator.cut_hosts |= 1U << host;
      return world_.after(span, [this, host] { world_.coordinator.cut_hosts &= ~(1U << host); });
    case kHandover: {
      const auto seen = world_.coordinator.record();
      if (const auto to = with_handover(seen.record, server.id()))
        world_.coordinator.set(seen, *to);
      return;
    }
    case kMembers:
      return change_members();
    case kPolicy: {
      const auto seen = world_.coordinator.record();
      Record to = seen.record;
      to.copies = static_cast<Copies>(random.below(3));
      world_.coordinator.set(seen, to);
      return;
    }
    case kPowerCut:
      for (const auto& each : world_.servers) crash(*each, random.skewed(50'000, 1'000'000));
      return;
    case kFlapSlow:
      world_.coordinator.slow = true;
      world_.after(2 * span, [this] { world_.coordinator.slow = false; });
      [[fallthrough]];
    case kFlap:
      return flap(host, random.chance(500) ? ~0ULL : 1ULL << any_server().host(), true,
                  world_.now_us + 3 * span);
    case kDisaster:
      return disaster();
    case kLoseTail:
    case kWipe:
      if (!may_lose_store(server)) return;
      if (kind == kWipe) server.wipe();
      else server.lose_tail();
      return world_.after(random.between(20'000, 1'500'000), [&server] {
        if (!server.up()) server.start();
      });
    case kKinds:
      return;
  }
}

void Scenario::crash(Server& server, std::int64_t down_us) {
  if (!server.up()) return;
  world_.crash(server);
  world_.after(down_us, [&server] {
    if (!server.up()) server.start();
  });
}

void Scenario::partition() {
  Random& random = world_.random;
  const std::size_t side = random.next();
  std::vector<std::pair<std::size_t, std::size_t>> cuts;
  for (std::size_t a = 0; a < world_.servers.size(); ++a)
    for (std::size_t b = 0; b < world_.servers.size(); ++b)
      if ((side >> a & 1) != (side >> b & 1)) cuts.emplace_back(a, b);
  for (const auto& [a, b] : cuts) world_.set_cut(a, b, true);
  world_.after(random.skewed(50'000, 4'000'000), [this, cuts] {
    for (const auto& [a, b] : cuts) world_.set_cut(a, b, false);
  });
}

// Links that come and go: candidates and leaders that hear of each other again.
void Scenario::flap(std::size_t host, std::uint64_t others, bool on, std::int64_t until_us) {
  on = on && !healed_ && world_.now_us < until_us;
  for (std::size_t other = 0; other < world_.servers.size(); ++other) {
    if (other == host || (others >> other & 1) == 0) continue;
    world_.set_cut(host, other, on);
    world_.set_cut(other, host, on);
  }
  if (healed_ || world_.now_us >= until_us) return;
  const std::int64_t next =
      on ? world_.random.between(200'000, 1'600'000) : world_.random.between(20'000, 600'000);
  world_.after(next, [=, this] { flap(host, others, !on, until_us); });
}

// A checksum fails at a start: the store must not take part any more.
// One at a time, and another whole store is in sync, whatever changes are on their way.
bool Scenario::may_lose_store(const Server& server) const {
  const Record& record = world_.coordinator.record().record;
  if (!gone_.empty() || !returning_.empty() || any_given_up() || world_.coordinator.changes_coming > 0) return false;
  if (record.find(server.id()) == nullptr) return false;
  return std::any_of(record.in_sync.begin(), record.in_sync.end(), [&](const replication::InSync& entry) { return entry.id != server.id() && world_.has_store(entry); });
}

bool Scenario::any_given_up() const {
  return std::any_of(world_.servers.begin(), world_.servers.end(), [](const auto& server) { return server->given_up() || server->is_unmarked() || server->log().lost(); });
}

void Scenario::rot(Server& server) {
  if (any_given_up()) return;
  const Record& record = world_.coordinator.record().record;
  std::size_t stores = 0;
  for (const auto& each : world_.servers)
    stores += each.get() != &server && record.find(each->id()) != nullptr &&
              each->log().last().sequence > 0;
  const replication::Member* member = record.find(server.id());
  if (stores > 0 && member != nullptr && gone_.empty()) lose(server);
}

// The data center burns: all standbys at once. Operators promote the off-site member.
void Scenario::disaster() {
  const Record record = world_.coordinator.record().record;
  const bool offsite =
      std::any_of(record.members.begin(), record.members.end(), [this](auto& member) {
        return member.role == Role::kOffsite && world_.find(member.id) != nullptr;
      });
  if (!offsite || !gone_.empty() || any_given_up() || world_.random.chance(700)) return;
  for (const auto& server : world_.servers)
    if (const auto* member = record.find(server->id()); member && member->role == Role::kStandby)
      lose(*server);
}

void Scenario::lose(Server& server) {
  const Role role = world_.coordinator.record().record.find(server.id())->role;
  gone_.push_back({server.id(), role, server.host(), false});
  world_.crash(server);
  server.destroy(world_.next_id());
  world_.after(world_.random.skewed(100'000, 2'000'000), [&server] {
    if (!server.up()) server.start();
  });
}

void Scenario::change_members() {
  if (!gone_.empty() || any_given_up()) return;  // operators do one thing at a time
  const auto seen = world_.coordinator.record();
  const Server& server = any_server();
  if (const replication::Member* member = seen.record.find(server.id())) {
    if (seen.record.members.size() < 3) return;
    const Role role = member->role;
    if (const auto to = without_member(seen.record, server.id())) {
      if (!world_.coordinator.set(seen, *to)) return;
      returning_.push_back(
          {{server.id(), role}, world_.now_us + world_.random.skewed(500'000, 5'000'000)});
    }
  }
}

void Scenario::keep_alive() {
  for (const auto& server : world_.servers)  // the log failed: a supervisor restarts the process
    if (server->up() && !server->paused() && server->node().stopped())
      crash(*server, world_.random.between(100'000, 500'000));
  replace_destroyed();
  return_members();
  world_.after(200'000, [this] { keep_alive(); });
}

void Scenario::replace_destroyed() {
  for (Gone& gone : gone_) {
    const auto seen = world_.coordinator.record();
    if (!gone.added) {
      const NodeId id = world_.servers[gone.host]->id();
      const auto to = with_member(seen.record, {id, gone.role});
      gone.added = seen.record.find(id) != nullptr || (to && world_.coordinator.set(seen, *to));
    } else if (std::none_of(seen.record.in_sync.begin(), seen.record.in_sync.end(),
                            [this](const auto& entry) { return world_.has_store(entry); })) {
      promote_best();
    } else if (const auto to = without_member(seen.record, gone.id)) {
      world_.coordinator.set(seen, *to);
    }
  }
  std::erase_if(gone_, [this](const Gone& gone) {
    return gone.added && world_.coordinator.record().record.find(gone.id) == nullptr;
  });
}

void Scenario::return_members() {
  std::erase_if(returning_, [this](const Returning& returning) {
    if (world_.now_us < returning.due_us) return false;
    if (world_.find(returning.member.id) == nullptr) return true;
    const auto seen = world_.coordinator.record();
    const auto to = with_member(seen.record, returning.member);
    return to && world_.coordinator.set(seen, *to);
  });
}

// All of the in-sync set is destroyed. Of those who are left, the log that ends latest.
void Scenario::promote_best() {
  if (!returning_.empty()) return;  // a store that was removed may have the most
  const auto seen = world_.coordinator.record();
  Server* best = nullptr;
  std::pair<replication::Epoch, Sequence> best_end;
  for (const auto& server : world_.servers) {
    if (seen.record.find(server->id()) == nullptr) continue;
    if (!server->healthy()) return;  // wait until all can be looked at
    const Sequence last = server->log().last().sequence;
    const std::pair end{server->log().last_epoch(), last};
    if (best != nullptr && end <= best_end) continue;
    best = server.get();
    best_end = end;
  }
  if (best == nullptr) return;
  const auto to = promoted(seen.record, best->id(), best->incarnation());
  if (!to || !world_.coordinator.set(seen, *to)) return;
  std::vector<EntryId> ids;
  for (Sequence at = best->log().base().sequence + 1; at <= best->log().last().sequence; ++at)
    ids.push_back(*best->log().id_at(at));
  world_.history.promoted(ids, best->log().base().sequence, world_);
}

void Scenario::heal() {
  healed_ = true;
  world_.trace("heal");
  world_.network = {};
  world_.coordinator.away = world_.coordinator.slow = false;
  world_.coordinator.cut_hosts = 0;
  for (std::size_t a = 0; a < kHostsMax; ++a)
    for (std::size_t b = 0; b < kHostsMax; ++b) world_.set_cut(a, b, false);
  for (const auto& server : world_.servers) {
    server->slow_disk(300);
    server->free_disk();
    server->resume();
    if (!server->up()) server->start();
  }
}

bool Scenario::serves() const {
  return clients_.all_served() && agree();
}

// One leader, and all members have what it has committed, standbys in sync.
bool Scenario::agree() const {
  const Record& record = world_.coordinator.record().record;
  const Server* leader = world_.find(record.primary);
  if (leader == nullptr || !leader->healthy() || !leader->node().leads() || !gone_.empty() ||
      !returning_.empty())
    return false;
  for (const replication::Member& member : record.members) {
    const Server* server = world_.find(member.id);
    if (server == nullptr || !server->healthy()) return false;
    const bool is_counted = world_.faults.ignore_names ? record.is_in_sync(member.id) : record.is_in_sync(member.id, server->store());
    if (member.role == Role::kStandby && !is_counted) return false;
    if (server->node().commit() + 64 < leader->node().commit()) return false;
  }
  return true;
}

void Scenario::await_service(std::int64_t wait_us) {
  const std::int64_t end = world_.now_us + wait_us;
  clients_.begin_watch();
  while (!serves()) {
    if (world_.now_us > end) trace_servers();
    if (world_.now_us > end) violate("liveness: no service after the faults ended");
    world_.run_until(world_.now_us + 200'000);
  }
}

void Scenario::trace_servers() {
  for (const auto& server : world_.servers) {
    if (!server->up()) continue;
    const replication::Node& node = server->node();
    world_.trace("state", server->id(), "paused", server->paused(), "stopped", node.stopped(),
                 "leads", node.leads(), "epoch", node.head_epoch(), "commit", node.commit(), "end",
                 node.head().sequence);
  }
}

void Scenario::run_day() {
  keep_alive();
  const std::int64_t end = world_.now_us + 86'400'000'000;
  for (const auto& server : world_.servers) {
    world_.run_until(world_.now_us + 3'600'000'000);
    crash(*server, 2'000'000);
    world_.run_until(world_.now_us + 3'000'000);
    await_service(7'200'000'000);
  }
  world_.run_until(end);
  await_service(7'200'000'000);
}

}  // namespace vexor::sim
