// Clients of a run: they push conditional updates and read, through any server.
#pragma once

#include "sim/world.h"

#include <vector>

namespace vexor::sim {

class Clients {
 public:
  Clients(World& world, std::size_t count, std::int64_t think_us);

  // Since the given time: pushes done; and has every server that is up granted a read?
  void begin_watch();
  bool all_served() const;

 private:
  struct Client {
    Refs seen{};  // what it believes
    Sequence token = 0;
    std::uint64_t operation = 0;  // the one it waits for; answers to others come too late
  };

  void act(std::size_t client);
  void push(std::size_t client, std::size_t host, int tries);
  void read(std::size_t client, std::size_t host);
  void pushed(std::size_t client, History::Start start, const Operation& operation,
              const Answer& answer);
  void rest(std::size_t client);
  Operation make(const Client& client);

  World& world_;
  std::vector<Client> clients_;
  std::int64_t think_us_;
  std::uint64_t operations_ = 0;
  std::uint64_t pushes_watched_ = 0;
  std::vector<bool> reads_watched_;
  std::vector<EntryId> unknown_;  // to ask about later
};

}  // namespace vexor::sim
