// One simulated server: a store, and while its process runs a node with its driver.
#pragma once

#include "replication/node.h"
#include "sim/history.h"
#include "sim/machine.h"
#include "sim/sim_log.h"

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>

namespace vexor::sim {

class World;
using replication::NodeId;

// What a client gets; at most one answer, none if the server dies.
struct Answer {
  enum class Kind { kDone, kShort, kUnknown, kNotStarted, kRefused, kRead } kind{};
  EntryId entry;        // kDone, kShort, kUnknown; kRefused: the head it was judged by
  Machine machine;      // kRead
  NodeId retry_at = 0;  // kNotStarted
};
using Reply = std::function<void(const Answer&)>;

class Server {
 public:
  Server(World& world, std::size_t host, NodeId id);

  void start();
  void crash();  // kill -9, or the power
  void pause() { paused_ = true; }
  void resume();
  // The disk loses an end of what it had confirmed, and the process dies (S8).
  void lose_tail();
  // The store is gone; an empty one takes its place under the same id (S9), with a name of its own.
  void wipe();
  // Takes no part until it has a copy (S1).
  bool given_up() const { return given_up_; }
  // Its log ended there when a fault took some of it.
  Sequence forgot() const { return forgot_; }
  bool is_unmarked() const { return unmarked_; }
  // The store is gone; another with a new id takes the host.
  void destroy(NodeId new_id);
  // The next write of the log fails.
  void fill_disk() { disk_full_ = true; }
  void free_disk() { disk_full_ = false; }
  void slow_disk(std::int64_t latency) { disk_latency_ = latency; }

  void tick();
  void deliver(NodeId from, const replication::Message& message);
  void record_seen(const replication::VersionedRecord& record);
  void peer_dead(NodeId peer, replication::Incarnation incarnation);
  void update(const Operation& operation, Reply reply);
  void read(replication::ReadLevel level, Sequence at_least, Reply reply);
  void ask_fate(const EntryId& entry);

  bool up() const { return node_ != nullptr; }
  bool paused() const { return paused_; }
  // Runs and its log was written without failure.
  bool healthy() const { return up() && !paused_ && !node_->stopped(); }
  NodeId id() const { return id_; }
  replication::StoreName store() const { return store_; }
  std::size_t host() const { return host_; }
  replication::Incarnation incarnation() const { return incarnation_; }
  const replication::Node& node() const { return *node_; }
  const SimLog& log() const { return log_; }
  const Machine& machine() const { return machine_; }
  void set_clock(std::int64_t rate_ppm, std::int64_t offset_us);
  // Forward: the clock that members go by is never set back.
  void jump_clock(std::int64_t by_us) { offset_us_ += by_us; }
  replication::Millis now() const;

 private:
  void input(std::function<void()> run);
  // Later, unless the process has ended by then.
  void later(std::int64_t delay_us, std::function<void()> run);
  void carry_out();
  void perform(replication::Send& output);
  void perform(const replication::ReadRecord& output);
  void perform(const replication::ChangeRecord& output);
  void perform(const replication::Apply& output);
  void perform(const replication::FetchSnapshot& output);
  void perform(const replication::ProposalOutcome& output);
  void perform(const replication::ConfirmOutcome& output);
  void perform(const replication::ReadOutcome& output);
  void perform(const replication::Alarm& output);
  void sync_log();
  void apply_to(Sequence sequence);
  void judge(Sequence sequence);
  void install_snapshot(NodeId from, const EntryId& at_least);
  const Refs& head();
  // --- a copy of the leader's store: copy.cc
  void admit();
  void take_copy();
  void fetch_copy(const replication::Record& seen);
  void install_copy(const SimLog& log, const Machine& machine, replication::Epoch epoch);
  void in_this_life(std::int64_t delay_us, std::function<void()> run);
  void run_node();

  struct Waiting {
    Reply reply;
    Operation operation;
    EntryId judged_by;
  };

  World& world_;
  std::size_t host_;
  NodeId id_;
  replication::StoreName store_;  // N1
  replication::Incarnation incarnation_ = 0;
  SimLog log_;
  Machine machine_;
  Machine durable_machine_;
  std::unique_ptr<replication::Node> node_;
  bool paused_ = false;
  bool busy_ = false;  // an input is being handled
  std::deque<std::function<void()>> backlog_;
  std::unordered_map<replication::RequestId, Waiting> waiting_;
  replication::RequestId next_request_ = 1;
  Machine head_;  // state as of the log's end
  Sequence judged_ = 0;  // of what it committed: up to here the copies were counted
  bool syncing_ = false;
  bool given_up_ = false;  // noted on the disk
  Sequence forgot_ = 0;
  bool unmarked_ = false;  // an empty store, put in the place of one
  bool starting_ = false;  // the process runs, and the node does not
  std::uint64_t life_ = 0;  // of processes
  bool disk_full_ = false;
  std::int64_t disk_latency_ = 300;
  std::int64_t rate_ppm_ = 0;
  std::int64_t offset_us_ = 0;
};

}  // namespace vexor::sim
