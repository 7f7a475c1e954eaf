// The replication protocol without time, messages reduced to their effects: small enough to look at
// every state. Spec: docs/protocol/replication.md; leases (P, Q) are the simulator's.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace vexor::model {

constexpr int kNodes = 3;

struct Bounds {
  int entries = 2;
  int epochs = 3;
  int versions = 5;
  int restarts = 1;
  int wipes = 0;  // of nodes, each at most once
};

// Rules left out, to see that it is noticed.
struct Faults {
  bool forget_unanswered_change = false;  // R3
  bool add_before_tail = false;           // C2
  bool remove_at_once = false;            // C3
  bool accept_old_epochs = false;         // A1
  bool act_without_record = false;        // T4: leads when the change was sent
  bool ignore_names = false;              // N2: whoever is in a node's place is in sync
};

// All octets are set, so that states compare and hash as octets.
struct Record {
  std::uint8_t version = 0, epoch = 0, primary = 0, in_sync = 0;
  std::uint8_t stores = 0;  // N1: a bit for each node in sync; that of a store that took the place of the first is set
  std::uint8_t alive = 0;  // the primary's incarnation still runs
};

struct NodeState {
  std::array<std::uint8_t, 3> log{};  // the epoch that made each entry; 0: none
  std::uint8_t promised = 0, commit = 0, leads = 0, tail_end = 0;
  std::uint8_t store = 0;  // 1: the second one in its place
  std::array<std::uint8_t, kNodes> match{};
  std::uint8_t match_stores = 0;  // of which store that is, as a bit for each node
  Record known;              // version 0: nothing read since the start
  std::uint8_t pending = 0;  // a change on its way
  std::uint8_t pending_version = 0, pending_in_sync = 0, pending_stores = 0;
};

struct State {
  Record record;
  std::array<NodeState, kNodes> nodes;
  std::array<Record, kNodes> in_flight;     // of each node; version: the expected one, 0: none
  std::array<std::uint8_t, 3> committed{};  // by anybody, ever
  std::uint8_t restarts = 0, wipes = 0;
};
static_assert(sizeof(Record) == 6 && sizeof(NodeState) == 22);

int length(const std::array<std::uint8_t, 3>& log);
State first_state();
// All states that one step leads to. `broken`: what a step broke, if anything.
std::vector<State> steps(const State& state, const Bounds& bounds, const Faults& faults,
                         std::string& broken);

}  // namespace vexor::model
