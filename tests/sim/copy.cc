// What a server of the simulator does at its start: whether its store may take part, and a copy if not (S1-S9).
#include "sim/server.h"
#include "sim/world.h"

namespace vexor::sim {

using replication::Record;

void Server::lose_tail() {
  world_.crash(*this);
  forgot_ = std::max(forgot_, log_.last().sequence);
  world_.trace("lose-tail", id_, "from", log_.last().sequence);
  log_.lose_tail(world_.random, durable_machine_.at.sequence);
}

void Server::wipe() {
  world_.crash(*this);
  forgot_ = std::max(forgot_, log_.last().sequence);
  world_.trace("wipe", id_);
  log_ = SimLog();
  store_ = world_.next_store();
  machine_ = durable_machine_ = Machine{};
  given_up_ = false;
  unmarked_ = true;
}

void Server::in_this_life(std::int64_t delay_us, std::function<void()> run) {
  world_.after(delay_us, [this, life = life_, run = std::move(run)] {
    if (life == life_ && starting_) run();
  });
}

void Server::admit() {
  starting_ = true;
  if (log_.lost() && !world_.faults.ignore_mark) given_up_ = true;
  if (given_up_) return take_copy();
  if (!unmarked_ || world_.faults.ignore_mark) return run_node();
  in_this_life(300'000, [this] { admit(); });  // unless the record is read before
  world_.coordinator.read(host_, [this, life = life_](const auto& record) {
    if (life != life_ || !starting_ || !unmarked_) return;
    unmarked_ = false;
    const Record& seen = record.record;
    given_up_ = seen.is_in_sync(id_) || seen.primary == id_;
    if (given_up_) return take_copy();
    if (seen.epoch > log_.promised_epoch()) log_.promise(seen.epoch);
    log_.sync(log_.written());
    run_node();
  });
}

// One attempt; the next one follows unless the node runs then.
void Server::take_copy() {
  in_this_life(world_.random.between(200'000, 400'000), [this] { take_copy(); });
  world_.coordinator.read(host_, [this, life = life_](const auto& record) {
    if (life == life_ && starting_) fetch_copy(record.record);
  });
}

// The leader takes this member out, and gives a checkpoint once it counts no more (S2, S3).
void Server::fetch_copy(const Record& seen) {
  Server* leader = world_.find(seen.primary);
  if (leader == nullptr || leader == this || !leader->healthy() || leader->busy_) return;
  if (world_.cut(host_, leader->host()) || world_.cut(leader->host(), host_)) return;
  leader->input([this, leader] { leader->node_->withdraw(leader->now(), id_); });
  const bool leads = leader->up() && leader->node_->leads();
  if (!leads || !leader->node_->leads_without(id_, seen.epoch)) return;
  const SimLog log = leader->log_;
  const Machine machine = leader->machine_;
  const replication::Epoch epoch = leader->node_->head_epoch();
  world_.trace("copy", id_, "from", leader->id(), "epoch", epoch, "at", log.last().sequence);
  in_this_life(world_.random.skewed(10'000, 180'000), [this, log, machine, epoch] {
    world_.coordinator.read(host_, [this, life = life_, log, machine, epoch](const auto& record) {
      const Record& now = record.record;
      if (life != life_ || !starting_ || now.is_in_sync(id_) || now.primary == id_) return;
      if (now.epoch > epoch) return;
      install_copy(log, machine, epoch);
    });
  });
}

// In one step (S6): a crash before it finds the old store, and one after it the new.
void Server::install_copy(const SimLog& log, const Machine& machine, replication::Epoch epoch) {
  if (!given_up_) return;
  log_.copy_of(log, epoch);
  store_ = world_.next_store();
  machine_ = durable_machine_ = machine;
  given_up_ = false;
  ++life_;
  world_.trace("copied", id_, "end", log_.last().sequence, "applied", machine_.at.sequence);
  run_node();
}

}  // namespace vexor::sim
