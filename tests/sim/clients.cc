#include "sim/clients.h"

#include <algorithm>
#include <utility>

namespace vexor::sim {

using replication::ReadLevel;

Clients::Clients(World& world, std::size_t count, std::int64_t think_us)
    : world_(world), clients_(count), think_us_(think_us), reads_watched_(kHostsMax) {
  for (std::size_t client = 0; client < count; ++client) rest(client);
}

void Clients::begin_watch() {
  pushes_watched_ = 0;
  reads_watched_.assign(kHostsMax, false);
}

bool Clients::all_served() const {
  for (const auto& server : world_.servers)
    if (server->up() && !reads_watched_[server->host()]) return false;
  return pushes_watched_ >= 3;
}

void Clients::rest(std::size_t client) {
  world_.after(world_.random.between(think_us_ / 2, think_us_ * 2),
               [this, client] { act(client); });
}

void Clients::act(std::size_t client) {
  const std::size_t host = world_.random.below(world_.servers.size());
  const std::uint64_t operation = clients_[client].operation = ++operations_;
  if (world_.random.chance(600)) {
    push(client, host, 4);
  } else {
    read(client, host);
  }
  if (!unknown_.empty() && world_.random.chance(50))
    world_.servers[host]->ask_fate(unknown_[world_.random.below(unknown_.size())]);
  // Clients give up waiting; what they asked for may happen all the same.
  world_.after(3'000'000, [this, client, operation] {
    if (clients_[client].operation != operation) return;
    clients_[client].operation = 0;
    act(client);
  });
}

Operation Clients::make(const Client& client) {
  Operation operation;
  operation.id = ++operations_;
  // Of three repositories one has a policy of its own.
  if (world_.random.chance(400)) operation.copies = static_cast<replication::Copies>(world_.random.below(3));
  const std::size_t first = world_.random.below(kRefs);
  const std::size_t count = world_.random.chance(300) ? 2 + world_.random.below(2) : 1;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t ref = (first + i) % kRefs;
    const std::uint64_t value = world_.random.chance(100) ? 0 : operation.id;
    operation.updates.push_back({static_cast<std::uint8_t>(ref), client.seen[ref], value});
  }
  return operation;
}

void Clients::push(std::size_t client, std::size_t host, int tries) {
  const Operation operation = make(clients_[client]);
  const std::uint64_t current = clients_[client].operation;
  const History::Start start = world_.history.begin();
  const auto reply = [=, this](const Answer& answer) {
    world_.after(world_.random.skewed(100, 3'000), [=, this] {
      pushed(client, start, operation, answer);
      if (clients_[client].operation != current) return;
      const Server* other = world_.find(answer.retry_at);
      if (answer.kind == Answer::Kind::kNotStarted && other != nullptr && tries > 1) {
        push(client, other->host(), tries - 1);
        return;
      }
      clients_[client].operation = 0;
      rest(client);
    });
  };
  world_.after(world_.random.skewed(100, 3'000),
               [this, host, operation, reply] { world_.servers[host]->update(operation, reply); });
}

void Clients::pushed(std::size_t client, History::Start start, const Operation& operation,
                     const Answer& answer) {
  switch (answer.kind) {
    case Answer::Kind::kDone:
    case Answer::Kind::kShort:
      world_.history.acknowledged(start, operation.id, answer.entry);
      update_refs(clients_[client].seen, operation);
      clients_[client].token = std::max(clients_[client].token, answer.entry.sequence);
      ++pushes_watched_;
      break;
    case Answer::Kind::kRefused:
      world_.history.refused(start, operation, answer.entry);
      break;
    case Answer::Kind::kUnknown:
      if (unknown_.size() < 64) unknown_.push_back(answer.entry);
      break;
    case Answer::Kind::kNotStarted:
    case Answer::Kind::kRead:
      break;
  }
}

void Clients::read(std::size_t client, std::size_t host) {
  const std::uint64_t current = clients_[client].operation;
  const History::Start start = world_.history.begin();
  const bool linearizable = world_.random.chance(800);
  const Sequence token = std::min(clients_[client].token, world_.history.length());
  const auto reply = [=, this](const Answer& answer) {
    world_.after(world_.random.skewed(100, 3'000), [=, this] {
      if (answer.kind == Answer::Kind::kRead) {
        if (linearizable) {
          world_.history.was_read(start, answer.machine, token);
          reads_watched_[host] = true;
        } else {
          world_.history.was_read({0, start.generation}, answer.machine, token);
        }
        clients_[client].seen = answer.machine.refs;
      }
      if (clients_[client].operation != current) return;
      clients_[client].operation = 0;
      rest(client);
    });
  };
  world_.after(world_.random.skewed(100, 3'000), [=, this] {
    world_.servers[host]->read(linearizable ? ReadLevel::kLinearizable : ReadLevel::kEventual,
                               token, reply);
  });
}

}  // namespace vexor::sim
