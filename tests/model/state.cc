#include "model/state.h"

#include <algorithm>

namespace vexor::model {
namespace {

std::uint8_t bit(int node) {
  return static_cast<std::uint8_t>(1U << node);
}
std::uint8_t octet(int value) {
  return static_cast<std::uint8_t>(value);
}

class Steps {
 public:
  Steps(const State& from, const Bounds& bounds, const Faults& faults, std::string& broken)
      : from_(from), bounds_(bounds), faults_(faults), broken_(broken) {}

  std::vector<State> all() {
    for (int node = 0; node < kNodes; ++node) {
      append(node);
      commit(node);
      learn(node);
      take_over(node);
      arrive(node);
      restart(node);
      wipe(node);
      forget(node);
      for (int other = 0; other < kNodes; ++other) {
        if (other == node) continue;
        replicate(node, other, true);
        replicate(node, other, false);  // the answer is lost
        change_members(node, other);
        hand_over(node, other);
      }
    }
    return std::move(to_);
  }

 private:
  void add(const State& state) {
    // The in-sync invariant: every store of the set holds what anybody committed.
    for (int node = 0; node < kNodes; ++node)
      if ((state.record.in_sync & bit(node)) && names(state.record.stores, node, state.nodes[node].store))
        for (int i = 0; i < length(state.committed); ++i)
          if (state.nodes[node].log[i] != state.committed[i])
            broken_ = "a member in sync lacks what is committed";
    to_.push_back(state);
  }

  // Is the store of that node the one that the bits name?
  bool names(int stores, int node, int store) const { return faults_.ignore_names || (stores >> node & 1) == store; }

  void append(int node) {
    const NodeState& leader = from_.nodes[node];
    if (!leader.leads || length(leader.log) >= bounds_.entries) return;
    State to = from_;
    to.nodes[node].log[length(leader.log)] = leader.promised;
    add(to);
  }

  // An Append of the whole log arrives, and its answer (L2, L3, A1-A4).
  void replicate(int from, int to_node, bool answered) {
    const NodeState& leader = from_.nodes[from];
    if (!leader.leads) return;
    State to = from_;
    NodeState& follower = to.nodes[to_node];
    if (follower.promised > leader.promised && !faults_.accept_old_epochs) return;
    if (follower.promised < leader.promised) follower.leads = 0;
    follower.promised = std::max(follower.promised, leader.promised);
    const int end = length(leader.log);
    for (int i = 0; i < end; ++i) {
      if (follower.log[i] == leader.log[i]) continue;
      if (follower.log[i] != 0 && i < follower.commit) {
        broken_ = "a cut below the commit";
        return;
      }
      std::copy(leader.log.begin() + i, leader.log.end(), follower.log.begin() + i);
      break;
    }
    follower.commit = std::max(follower.commit, leader.commit);
    if (answered) {
      to.nodes[from].match[to_node] = octet(end);
      put_bit(to.nodes[from].match_stores, to_node, follower.store);
    }
    add(to);
  }

  void commit(int node) {  // C1 with copies = local: the least that is asked for, whatever policies the entries have
    const NodeState& leader = from_.nodes[node];
    if (!leader.leads) return;
    int least = length(leader.log);
    int known = leader.known.in_sync;
    if (leader.pending && faults_.remove_at_once) known &= leader.pending_in_sync;
    for (int other = 0; other < kNodes; ++other) {
      if (other == node) continue;
      const int store = leader.match_stores >> other & 1;
      if (known & bit(other))
        least = std::min<int>(least, names(leader.known.stores, other, store) ? leader.match[other] : 0);
      if (leader.pending && (leader.pending_in_sync & bit(other)))
        least = std::min<int>(least, names(leader.pending_stores, other, store) ? leader.match[other] : 0);
    }
    if (least <= leader.commit) return;
    State to = from_;
    for (int i = 0; i < least; ++i) {
      if (to.committed[i] != 0 && to.committed[i] != leader.log[i]) {
        broken_ = "two entries committed at one sequence";
        return;
      }
      to.committed[i] = leader.log[i];
    }
    to.nodes[node].commit = octet(least);
    add(to);
  }

  void send(State& to, int node, Record record) {
    to.in_flight[node] = record;
    NodeState& sender = to.nodes[node];
    sender.pending = 1;
    sender.pending_version = record.version;
    sender.pending_in_sync = record.in_sync;
    sender.pending_stores = record.stores;
  }

  bool may_send(int node) const {
    return from_.nodes[node].known.version != 0 && !from_.nodes[node].pending &&
           from_.in_flight[node].version == 0;
  }

  void take_over(int node) {  // T1-T3: at any time
    const NodeState& candidate = from_.nodes[node];
    const Record& known = candidate.known;
    if (candidate.leads || !may_send(node) || !(known.in_sync & bit(node))) return;
    if (!names(known.stores, node, candidate.store)) return;
    if (known.epoch < candidate.promised || known.epoch >= bounds_.epochs) return;
    State to = from_;
    Record record = known;
    record.epoch = octet(known.epoch + 1);
    if (known.primary != node) record.in_sync &= octet(~bit(known.primary));
    record.stores &= record.in_sync;
    record.primary = octet(node);
    record.alive = 1;
    send(to, node, record);
    if (faults_.act_without_record) lead(to, node, record);
    add(to);
  }

  void change_members(int node, int other) {  // C2, C3
    const NodeState& leader = from_.nodes[node];
    if (!leader.leads || !may_send(node) || leader.known.epoch != leader.promised) return;
    State to = from_;
    Record record = leader.known;
    if (!(record.in_sync & bit(other))) {
      const int needed =
          faults_.add_before_tail ? leader.commit : std::max(leader.commit, leader.tail_end);
      if (leader.match[other] < needed) return;
    }
    record.in_sync ^= bit(other);
    put_bit(record.stores, other, (record.in_sync & bit(other)) ? leader.match_stores >> other & 1 : 0);
    send(to, node, record);
    add(to);
  }

  void hand_over(int node, int other) {  // H1-H3
    const NodeState& leader = from_.nodes[node];
    const int end = length(leader.log);
    if (!leader.leads || !may_send(node) || leader.known.epoch != leader.promised) return;
    if (leader.known.epoch >= bounds_.epochs || !(leader.known.in_sync & bit(other))) return;
    if (leader.match[other] != end || leader.commit != end) return;
    if (!names(leader.known.stores, other, leader.match_stores >> other & 1)) return;
    State to = from_;
    Record record = leader.known;
    record.epoch = octet(record.epoch + 1);
    record.primary = octet(other);
    record.alive = 1;
    send(to, node, record);
    add(to);
  }

  void arrive(int node) {  // a change reaches the coordinator, sooner or later
    const Record& change = from_.in_flight[node];
    if (change.version == 0) return;
    State to = from_;
    to.in_flight[node] = {};
    if (change.version == from_.record.version && change.version < bounds_.versions) {
      to.record = change;
      to.record.version = octet(change.version + 1);
    }
    add(to);
  }

  void lead(State& to, int node, const Record& record) {  // T4, T5
    NodeState& leader = to.nodes[node];
    leader.leads = 1;
    leader.promised = record.epoch;
    leader.tail_end = octet(length(leader.log));
    leader.match = {};
    leader.match_stores = 0;
  }

  void learn(int node) {
    const Record& record = from_.record;
    if (record.version <= from_.nodes[node].known.version) return;
    State to = from_;
    NodeState& self = to.nodes[node];
    self.known = record;
    if (self.pending && record.version > self.pending_version) clear_pending(self);
    if (self.leads && record.epoch > self.promised) self.leads = 0;
    if (record.primary == node && record.alive && record.epoch > self.promised && names(record.stores, node, self.store))
      lead(to, node, record);
    add(to);
  }

  static void clear_pending(NodeState& node) {
    node.pending = node.pending_version = node.pending_in_sync = node.pending_stores = 0;
  }

  void forget(int node) {
    if (!faults_.forget_unanswered_change || !from_.nodes[node].pending) return;
    State to = from_;
    clear_pending(to.nodes[node]);
    add(to);
  }

  void restart(int node) {
    if (from_.restarts >= bounds_.restarts) return;
    State to = from_;
    ++to.restarts;
    begin_anew(to, node);
    add(to);
  }

  // Another store in the place of the node's, with nothing in it but the promise of the record's epoch (S9). What leaders know of the
  // old one they keep: answers that come late (S10). Names make up for what S9 looks at beside that; without them only it guards.
  void wipe(int node) {
    if (from_.wipes >= bounds_.wipes || from_.nodes[node].store != 0) return;
    if (faults_.ignore_names && (from_.record.in_sync & bit(node))) return;
    State to = from_;
    ++to.wipes;
    begin_anew(to, node);
    NodeState& self = to.nodes[node];
    self.log = {};
    self.store = 1;
    self.promised = to.record.epoch;
    add(to);
  }

  static void put_bit(std::uint8_t& bits, int node, int value) {
    bits = octet((bits & ~bit(node)) | (value != 0 ? bit(node) : 0));
  }

  static void begin_anew(State& to, int node) {
    NodeState& self = to.nodes[node];
    self.leads = self.commit = self.tail_end = 0;
    self.match = {};
    self.match_stores = 0;
    self.known = {};
    clear_pending(self);
    if (to.record.primary == node) to.record.alive = 0;
    for (Record& change : to.in_flight)
      if (change.version != 0 && change.primary == node) change.alive = 0;
    for (NodeState& other : to.nodes)
      if (other.known.primary == node) other.known.alive = 0;
  }

  const State& from_;
  const Bounds& bounds_;
  const Faults& faults_;
  std::string& broken_;
  std::vector<State> to_;
};

}  // namespace

int length(const std::array<std::uint8_t, 3>& log) {
  int entries = 0;
  while (entries < 3 && log[entries] != 0) ++entries;
  return entries;
}

// Nobody leads. Nodes 0 and 1 are in sync; 2 is a standby that is not.
State first_state() {
  State state;
  state.record = {1, 0, 0, 3, 0, 0};
  return state;
}

std::vector<State> steps(const State& state, const Bounds& bounds, const Faults& faults,
                         std::string& broken) {
  return Steps(state, bounds, faults, broken).all();
}

}  // namespace vexor::model
