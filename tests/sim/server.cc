#include "sim/server.h"

#include "replication/check.h"
#include "sim/world.h"

#include <algorithm>

namespace vexor::sim {

using replication::Fate;

Server::Server(World& world, std::size_t host, NodeId id) : world_(world), host_(host), id_(id), store_(world.next_store()) {}

replication::Millis Server::now() const {
  const std::int64_t here = world_.now_us + world_.now_us * rate_ppm_ / 1'000'000 + offset_us_;
  return here / 1000;
}

void Server::set_clock(std::int64_t rate_ppm, std::int64_t offset_us) {
  rate_ppm_ = rate_ppm;
  offset_us_ = offset_us;
}

void Server::start() {
  if (starting_) return;
  admit();
}

void Server::run_node() {
  starting_ = false;
  log_.mark();
  incarnation_ = world_.next_incarnation();
  paused_ = false;
  disk_full_ = false;
  head_ = machine_;
  judged_ = 0;
  node_ =
      std::make_unique<replication::Node>(replication::Identity{id_, incarnation_, store_}, world_.options,
                                          log_, machine_.at.sequence, now(), world_.faults);
  world_.trace("start", id_, "incarnation", incarnation_, "store", store_, "log", log_.last().sequence);
  input([] {});
}

void Server::crash() {
  ++life_;
  starting_ = false;
  if (!up()) return;
  world_.trace("crash", id_);
  node_.reset();
  paused_ = false;
  backlog_.clear();
  waiting_.clear();
  syncing_ = false;
  log_.crash(world_.random);
  machine_ = durable_machine_;
}

void Server::destroy(NodeId new_id) {
  crash();
  world_.trace("destroy", id_, "new", new_id);
  id_ = new_id;
  store_ = world_.next_store();
  given_up_ = unmarked_ = false;
  forgot_ = 0;
  log_ = SimLog();
  machine_ = durable_machine_ = Machine{};
}

void Server::resume() {
  if (!up() || !paused_) return;
  world_.trace("resume", id_);
  paused_ = false;
  while (!backlog_.empty() && up() && !paused_) {
    const auto run = std::move(backlog_.front());
    backlog_.pop_front();
    input(run);
  }
}

void Server::input(std::function<void()> run) {
  if (!up()) return;
  if (paused_) {
    backlog_.push_back(std::move(run));
    return;
  }
  VEXOR_CHECK(!busy_);
  busy_ = true;
  run();
  carry_out();
  busy_ = false;
}

void Server::later(std::int64_t delay_us, std::function<void()> run) {
  world_.after(delay_us, [this, incarnation = incarnation_, run = std::move(run)]() mutable {
    if (up() && incarnation == incarnation_) input(std::move(run));
  });
}

void Server::carry_out() {
  for (auto outputs = node_->take_outputs(); !outputs.empty(); outputs = node_->take_outputs())
    for (auto& output : outputs) std::visit([this](auto& one) { perform(one); }, output);
  sync_log();
}

void Server::sync_log() {
  if (!log_.dirty() || syncing_ || node_->stopped()) return;
  if (disk_full_) {
    node_->log_failed(now());
    return carry_out();
  }
  syncing_ = true;
  later(world_.random.skewed(disk_latency_ / 2, disk_latency_ * 4), [this, up_to = log_.written()] {
    syncing_ = false;
    log_.sync(up_to);
    // State becomes durable now and then: after a start less is known than was.
    if (world_.random.chance(300)) durable_machine_ = machine_;
    if (world_.log_kept > 0 && durable_machine_.at.sequence > world_.log_kept)
      log_.compact(durable_machine_.at.sequence - world_.log_kept);
    node_->log_durable(now(), up_to);
  });
}

void Server::tick() {
  input([this] { node_->tick(now()); });
}

void Server::deliver(NodeId from, const replication::Message& message) {
  input([this, from, message] { node_->receive(now(), from, message); });
}

void Server::record_seen(const replication::VersionedRecord& record) {
  input([this, record] { node_->record_seen(now(), record); });
}

void Server::peer_dead(NodeId peer, replication::Incarnation incarnation) {
  input([this, peer, incarnation] { node_->peer_dead(now(), peer, incarnation); });
}

void Server::ask_fate(const EntryId& entry) {
  if (!up()) return;
  const auto fate = node_->fate(entry);
  if (fate != replication::EntryFate::kOpen)
    world_.history.told_fate(entry, fate == replication::EntryFate::kCommitted);
}

void Server::perform(replication::Send& output) {
  world_.send(*this, output.to, std::move(output.message));
}

void Server::perform(const replication::ReadRecord&) {
  world_.coordinator.read(host_, [this, incarnation = incarnation_](const auto& record) {
    if (up() && incarnation == incarnation_) record_seen(record);
  });
}

void Server::perform(const replication::ChangeRecord& output) {
  world_.trace("change", id_, "version", output.expected_version, "epoch", output.record.epoch,
               "primary", output.record.primary, "in_sync", output.record.in_sync);
  const auto done = [this, incarnation = incarnation_, number = output.number](auto answer) {
    if (up() && incarnation == incarnation_)
      input([this, number, answer] { node_->change_answered(now(), number, answer); });
  };
  world_.coordinator.compare_and_set(host_, output.expected_version, output.record, done);
}

void Server::perform(const replication::Alarm& output) {
  world_.trace("alarm", id_, static_cast<int>(output.kind), "at", output.entry.sequence);
  if (output.kind != replication::AlarmKind::kLogFailed)
    violate("alarm of member " + std::to_string(id_) + " at " + world_.history.text(output.entry));
}

void Server::perform(const replication::Apply& output) {
  // What is told to be committed is a fact from now on.
  for (Sequence at = std::max(machine_.at.sequence, log_.base().sequence) + 1;
       at <= output.sequence; ++at)
    world_.history.committed(log_.entry(at));
  judge(output.sequence);
  const Sequence sequence = output.sequence;
  later(world_.random.skewed(50, world_.apply_us_max), [this, sequence] { apply_to(sequence); });
}

// In the input in which it was committed: who has it is as it was then.
void Server::judge(Sequence sequence) {
  for (Sequence at = std::max({judged_, machine_.at.sequence, log_.base().sequence}) + 1; node_->leads() && at <= sequence; ++at) {
    const replication::Entry& entry = log_.entry(at);
    const replication::Record& record = node_->record()->record;
    if (entry.epoch == node_->head_epoch()) world_.history.has_copies(entry.id, decode(*entry.bytes).copies.value_or(record.copies), record.members, world_);
  }
  judged_ = std::max(judged_, sequence);
}

void Server::apply_to(Sequence sequence) {
  if (sequence <= machine_.at.sequence) return;
  while (machine_.at.sequence < sequence) {
    const replication::Entry& entry = log_.entry(machine_.at.sequence + 1);
    update_refs(machine_.refs, decode(*entry.bytes));
    machine_.at = entry.id;
  }
  world_.history.applied(machine_);
  node_->applied(now(), sequence);
}

void Server::perform(const replication::FetchSnapshot& output) {
  world_.trace("fetch", id_, "from", output.from, "at", output.at_least.sequence);
  later(world_.random.skewed(20'000, 400'000),
        [this, output] { install_snapshot(output.from, output.at_least); });
}

void Server::install_snapshot(NodeId from, const EntryId& at_least) {
  const Server* source = world_.find(from);
  if (source == nullptr || !source->up() || world_.cut(source->host(), host_) ||
      source->machine().at.sequence < at_least.sequence) {
    node_->snapshot_failed(now());
    return;
  }
  if (!node_->wants_snapshot() || source->machine().at.sequence <= node_->commit()) {
    node_->snapshot_failed(now());
    return;
  }
  world_.trace("snapshot", id_, "at", source->machine().at.sequence);
  machine_ = durable_machine_ = source->machine();
  log_.replace(machine_.at, source->log().epoch_at(machine_.at.sequence));
  head_ = machine_;
  node_->snapshot_installed(now());
}

// The state at the log's end: what the next update is judged by.
const Refs& Server::head() {
  const EntryId end = node_->head();
  if (head_.at != end) {
    head_ = machine_;
    while (head_.at != end) {
      const replication::Entry& entry = log_.entry(head_.at.sequence + 1);
      update_refs(head_.refs, decode(*entry.bytes));
      head_.at = entry.id;
    }
  }
  return head_.refs;
}

void Server::update(const Operation& operation, Reply reply) {
  input([this, operation, reply = std::move(reply)] {
    const replication::RequestId request = next_request_++;
    const EntryId end = node_->head();
    waiting_[request] = {reply, operation, end};
    if (node_->leads() && !applicable(head(), operation)) {
      node_->confirm_head(now(), request);
      return;
    }
    const replication::Entry entry = make_entry(node_->head_epoch(), end, operation);
    node_->propose(now(), request, entry, operation.copies);
    if (node_->head() == entry.id) {
      update_refs(head_.refs, operation);
      head_.at = entry.id;
    }
  });
}

void Server::read(replication::ReadLevel level, Sequence at_least, Reply reply) {
  input([this, level, at_least, reply = std::move(reply)] {
    const replication::RequestId request = next_request_++;
    waiting_[request] = {reply, {}, {}};
    node_->read(now(), request, level, at_least);
  });
}

void Server::perform(const replication::ProposalOutcome& output) {
  const auto node = waiting_.extract(output.request);
  VEXOR_CHECK(!node.empty());
  const Waiting& waiting = node.mapped();
  const replication::Copies record = node_->record() ? node_->record()->record.copies : replication::Copies::kTwo;
  world_.history.told_outcome(waiting.operation.id, waiting.operation.copies.value_or(record), output, world_);
  static constexpr Answer::Kind kKinds[] = {Answer::Kind::kDone, Answer::Kind::kShort,
                                            Answer::Kind::kUnknown, Answer::Kind::kNotStarted};
  world_.trace("outcome", id_, static_cast<int>(output.fate), "at", output.entry.sequence, "members",
               output.receipt.members);
  waiting.reply({kKinds[static_cast<int>(output.fate)], output.entry, {}, output.retry_at});
}

void Server::perform(const replication::ConfirmOutcome& output) {
  const auto node = waiting_.extract(output.request);
  VEXOR_CHECK(!node.empty());
  const Waiting& waiting = node.mapped();
  const auto kind = output.confirmed ? Answer::Kind::kRefused : Answer::Kind::kNotStarted;
  waiting.reply({kind, waiting.judged_by, {}, 0});
}

void Server::perform(const replication::ReadOutcome& output) {
  const auto node = waiting_.extract(output.request);
  VEXOR_CHECK(!node.empty());
  if (output.granted) VEXOR_CHECK(machine_.at.sequence >= output.sequence);
  const auto kind = output.granted ? Answer::Kind::kRead : Answer::Kind::kNotStarted;
  node.mapped().reply({kind, {}, machine_, 0});
}

}  // namespace vexor::sim
