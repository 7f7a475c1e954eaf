// What goes wrong in a run: faults at random times, each kind switched on or off by the seed.
#pragma once

#include "sim/clients.h"
#include "sim/world.h"

namespace vexor::sim {

enum class Profile : std::uint8_t { kRaces, kStorms, kMixed, kDrawn, kDeposed, kJumps, kEmptied };

class Scenario {
 public:
  Scenario(World& world, Clients& clients) : world_(world), clients_(clients) {}

  // Faults for a while, then none; the cluster must serve again. Throws Violation.
  void run(std::int64_t faults_us, Profile profile);
  // A day of work with one rolling restart of all servers (long runs).
  void run_day();

 private:
  enum Kind : unsigned {
    kCrash,
    kPause,
    kPartition,
    kOneWay,
    kBadNetwork,
    kSlowDisk,
    kFullDisk,
    kRot,
    kCoordinatorAway,
    kCoordinatorSlow,
    kCoordinatorCut,
    kHandover,
    kMembers,
    kPolicy,
    kPowerCut,
    kFlap,
    kFlapSlow,
    kDisaster,
    kLoseTail,
    kWipe,
    kKinds
  };

  void choose_faults(Profile profile);
  void schedule();
  void strike(Kind kind);
  void crash(Server& server, std::int64_t down_us);
  void partition();
  void flap(std::size_t host, std::uint64_t others, bool on, std::int64_t until_us);
  void rot(Server& server);
  void lose(Server& server);
  bool may_lose_store(const Server& server) const;
  bool any_given_up() const;
  void disaster();
  void change_members();
  void heal();
  void keep_alive();  // operators: restart, replace what is destroyed, promote
  void replace_destroyed();
  void return_members();
  void promote_best();
  bool serves() const;
  bool agree() const;
  void await_service(std::int64_t wait_us);
  void trace_servers();
  Server& any_server() { return *world_.servers[world_.random.below(world_.servers.size())]; }

  World& world_;
  Clients& clients_;
  unsigned kinds_ = 0;
  bool clocks_jump_ = false;
  std::int64_t pause_us_ = 500'000;  // between faults, on average
  bool healed_ = false;
  struct Gone {
    NodeId id;
    replication::Role role;
    std::size_t host;
    bool added;
  };
  std::vector<Gone> gone_;
  struct Returning {  // removed by an operator, and to be a member again
    replication::Member member;
    std::int64_t due_us;
  };
  std::vector<Returning> returning_;
};

}  // namespace vexor::sim
