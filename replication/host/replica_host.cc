#include "replication/host/replica_host.h"

#include <ctime>

#include "replication/host/entry_codec.h"
#include "vexorstore/maintenance.h"

namespace vexor::replication {

namespace {

constexpr std::chrono::milliseconds kMarkSync{100};  // S8, mark_sync_ms
constexpr Millis kFetchWaitMs = 100;        // before rows are asked for again, twice as long each time
constexpr Millis kFetchWaitMaxMs = 30'000;
constexpr Millis kDiskProbeMs = 1000;               // disk_probe_ms
constexpr Millis kDiskHungMs = 20'000;              // disk_hung_ms
constexpr std::size_t kWaitingMax = 65536;             // inputs of the node, above which messages are not taken
constexpr std::size_t kWaitingBytesMax = 256U << 20U;  // of entries among them, and the last message
constexpr int kOutTries = 100;                      // S2, times kOutWait
constexpr std::chrono::milliseconds kOutWait{50};

// A clock that goes on while the machine sleeps (Node's contract).
Millis boot_time() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return Millis{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

std::optional<Copies> to_copies(CopyPolicy policy) {
  switch (policy) {
    case CopyPolicy::kCluster: return std::nullopt;
    case CopyPolicy::kTwo: return Copies::kTwo;
    case CopyPolicy::kAll: return Copies::kAll;
    case CopyPolicy::kLocal: return Copies::kLocal;
  }
  return std::nullopt;
}

// For people only.
std::int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

ReplicaHost::ReplicaHost(Store& store, Identity self, const Options& options, Transport& transport, const HostFiles& files)
    : store_(store), self_(self), options_(options), transport_(transport), files_(files) {}

Result<std::unique_ptr<ReplicaHost>> ReplicaHost::start(Store& store, Identity self, const Options& options, Transport& transport,
                                                        const MakeCoordinator& make_coordinator, const HostFiles& files) {
  std::unique_ptr<ReplicaHost> out(new ReplicaHost(store, self, options, transport, files));
  VEXOR_TRY(out->open(make_coordinator));
  return out;
}

Result<void> ReplicaHost::open(const MakeCoordinator& make_coordinator) {
  VEXOR_TRY(log_, join_replica_set(store_));
  StoreLog::Events events;
  events.durable = [this](LogTicket ticket) {
    loop_->post([this, ticket] { input([&](Millis now) { node_->log_durable(now, ticket); }); });
  };
  events.failed = [this](const Error&) { failed(); };
  node_log_ = std::make_unique<StoreLog>(*log_, *this, files_.mark, std::move(events));
  VEXOR_TRY(node_log_->open());
  seen_promise_ = node_log_->promised_epoch();
  store_reign_ = log_->reign();
  sender_ = std::make_unique<RowsSender>(*log_, transport_);
  shelf_ = std::make_unique<RowsShelf>(*log_);
  source_ = std::make_unique<CopySource>(store_, files_.copies);
  applier_ = std::make_unique<WorkQueue>("replica apply");
  fetcher_ = std::make_unique<WorkQueue>("replica fetch");
  loop_ = std::make_unique<WorkQueue>("replica node", std::chrono::milliseconds(turn_ms()), [this] {
    if (!node_) return;
    look_for_damage();
    look_for_hung_disk();
    if (source_->has_expired(boot_time()) && fetcher_->waiting() == 0) fetcher_->post([this] { source_->expire(boot_time()); });
    input([&](Millis now) { node_->tick(now); });
  });
  loop_->post([this, make_coordinator] {
    coordinator_ = make_coordinator([this](std::function<void()> work) { loop_->post(std::move(work)); });
    node_ = std::make_unique<Node>(self_, options_, *node_log_, log_->applied(), boot_time());
    coordinator_->watch([this](const VersionedRecord& record) { input([&](Millis now) { node_->record_seen(now, record); }); });
    carry_out();
  });
  syncer_ = std::make_unique<WorkQueue>("replica mark", kMarkSync, [this, next_probe = Millis{0}, has_failed = false]() mutable {
    if (files_.mark == nullptr || has_failed) return;
    const bool probes = boot_time() >= next_probe;
    if (probes) next_probe = boot_time() + kDiskProbeMs;
    ++syncs_begun_;
    has_failed = (probes ? files_.mark->probe() : files_.mark->sync()).has_error();
    ++syncs_ended_;
    if (has_failed) failed();
  });
  return success();
}

ReplicaHost::~ReplicaHost() {
  {
    std::unique_lock lock(mutex_);
    ending_ = true;
    for (auto& [request, asked] : asked_) asked.answered.notify_one();
    none_asked_.wait(lock, [&] { return asked_.empty(); });
  }
  if (sender_) sender_->end();
  if (fetcher_) fetcher_->stop();
  if (loop_) loop_->stop();
  coordinator_.reset();
  if (node_log_) node_log_->stop();
  if (applier_) applier_->stop();
  if (syncer_) syncer_->stop();
  if (log_) (void)log_->follow();
}

void ReplicaHost::input(const std::function<void(Millis now)>& work) {
  work(boot_time());
  carry_out();
}

void ReplicaHost::carry_out() {
  follow_leadership();
  for (auto outputs = node_->take_outputs(); !outputs.empty(); outputs = node_->take_outputs()) {
    for (Output& output : outputs) std::visit([this](auto& one) { perform(one); }, output);
    follow_leadership();
  }
  if (!holds_outbox_) outbox_.send(transport_);
  publish_status();
}

// Keeps the store in the role that the node has.
void ReplicaHost::follow_leadership() {
  if (node_log_->promised_epoch() != seen_promise_) {
    seen_promise_ = node_log_->promised_epoch();
    ++reigns_;
    rows_asked_.clear();
    fetches_failed_.clear();
    shelf_->clear();
    sender_->end();
    node_log_->run_in_order([this, reign = reigns_] {
      loop_->post([this, reign, of_store = log_->reign()] {
        followed_ = reign;
        store_reign_ = of_store;
        publish_status();
      });
    });
    store_leads_ = store_takes_ = false;  // the promise ended it
    ++turn_;
  }
  if (node_->takes_proposals() == store_leads_) return;
  store_leads_ = node_->takes_proposals();
  store_takes_ = false;
  ++leaderships_;
  ++turn_;
  sender_->end();
  if (!store_leads_) return node_log_->end_leading();
  node_log_->begin_leading(node_->head_epoch(), turn_, [this, leadership = leaderships_] {
    loop_->post([this, leadership] {
      store_takes_ = store_leads_ && leadership == leaderships_;
      if (store_takes_) sender_->begin(node_->head_epoch());
      publish_status();
    });
  });
}

// What is not taken is as if it were lost on the way.
void ReplicaHost::receive(NodeId from, const Message& message) {
  std::size_t bytes = 0;
  if (const auto* append = std::get_if<Append>(&message))
    for (const Entry& entry : append->entries) bytes += entry.bytes == nullptr ? 0 : entry.bytes->size();
  if (loop_->waiting() >= kWaitingMax || waiting_bytes_ >= kWaitingBytesMax) return;
  waiting_bytes_ += bytes;
  loop_->post([this, from, message, bytes] {
    waiting_bytes_ -= bytes;
    deliver(from, message);
  });
}

void ReplicaHost::peer_dead(NodeId peer, Incarnation incarnation) {
  loop_->post([this, peer, incarnation] { input([&](Millis now) { node_->peer_dead(now, peer, incarnation); }); });
}

void ReplicaHost::deliver(NodeId from, Message message) {
  if (const auto* append = std::get_if<Append>(&message); append != nullptr && append->epoch >= node_->head_epoch()) {
    heard_unix_ms_ = unix_time();
    told_commit_ = append->commit;
  }
  // The node refuses those of an epoch before.
  if (auto* append = std::get_if<Append>(&message); append != nullptr && append->epoch >= node_->head_epoch()) hold_back_without_rows(from, *append);
  const EntryId before = node_log_->last();
  input([&](Millis now) {
    node_->receive(now, from, message);
    if (const auto* append = std::get_if<Append>(&message)) note_taken(before, *append, now);
  });
}

// What the log took of them, for how far this member is behind. It may have cut off a tail before.
void ReplicaHost::note_taken(const EntryId& before, const Append& append, Millis now) {
  const EntryId last = node_log_->last();
  if (last == before) return;
  const bool goes_on = before.sequence == 0 || node_log_->id_at(before.sequence) == before;
  if (!goes_on) lags_.clear();
  for (const Entry& entry : append.entries) {
    const bool is_new = (!goes_on || entry.id.sequence > before.sequence) && entry.id.sequence <= last.sequence;
    if (is_new && entry.bytes != nullptr) lags_.appended(entry.id.sequence, entry.bytes->size(), now);
  }
}

// An entry whose rows are not here yet is as if it had been lost on the way; the leader sends it again.
void ReplicaHost::hold_back_without_rows(NodeId from, Append& append) {
  for (std::size_t i = 0; i < append.entries.size(); ++i) {
    const Entry& entry = append.entries[i];
    if (!has_rows_apart(entry)) continue;
    const auto here = node_log_->id_at(entry.id.sequence);
    if (here == entry.id || has_rows(entry, append.epoch == node_->head_epoch())) continue;  // taken before, or ready
    // Numbers of a tail that is about to be cut off may be the same: first that.
    append.differs_behind = here.has_value();
    // Not before the store follows who sent it: its numbers may be another's.
    if (!here && append.epoch == node_->head_epoch() && followed_ == reigns_ && !are_rows_coming(entry)) fetch_rows(from, entry);
    append.entries.resize(i);
    return;
  }
}

// Rows that came before the store follows the primary of now are about to be dropped.
bool ReplicaHost::has_rows(const Entry& entry, bool is_followed) {
  const auto decoded = to_log_entry(entry);
  return is_followed && followed_ == reigns_ && decoded.has_value() && log_->claim_rows(decoded.value().record);
}

bool ReplicaHost::are_rows_coming(const Entry& entry) {
  const auto decoded = to_log_entry(entry);
  if (decoded.has_error()) return false;
  const auto range = range_of_record(decoded.value().record);
  return range.has_value() && shelf_->await(range.value());
}

void ReplicaHost::fetch_rows(NodeId from, const Entry& entry) {
  if (const auto failed = fetches_failed_.find(entry.id.hash); failed != fetches_failed_.end() && boot_time() < failed->second.again_at) return;
  if (!rows_asked_.insert(entry.id.hash).second) return;
  // Behind what is told to the log: a writer that is made before the store follows the new primary is void.
  node_log_->run_in_order([this, from, entry, reigns = reigns_, of_store = store_reign_] {
    fetcher_->post([this, from, entry, reigns, of_store] {
      const auto fetch = [&]() -> Result<void> {
        VEXOR_TRY(const LogEntry decoded, to_log_entry(entry));
        VEXOR_TRY(const std::string range, range_of_record(decoded.record));
        const auto asked = shelf_->ask(range);
        if (!asked) return Error(Errc::kUnavailable, "these rows are asked for already");
        VEXOR_TRY(const auto writer, log_->write_rows(decoded.record, of_store));
        VEXOR_TRY(transport_.fetch_rows(from, decoded.record, *writer));
        return writer->finish();
      };
      const bool done = fetch().has_value();  // a failure: the leader sends the entry again
      loop_->post([this, entry, reigns, done] {
        if (reigns == reigns_) fetched(entry, done);
      });
    });
  });
}

// What fails, as a disk has no room for it, is not asked for over and over.
void ReplicaHost::fetched(const Entry& entry, bool done) {
  rows_asked_.erase(entry.id.hash);
  if (done) {
    fetches_failed_.erase(entry.id.hash);
    return;
  }
  FailedFetch& failed = fetches_failed_[entry.id.hash];
  failed.wait = std::clamp(2 * failed.wait, kFetchWaitMs, kFetchWaitMaxMs);
  failed.again_at = boot_time() + failed.wait;
}

void ReplicaHost::appended(std::vector<LogEntry> entries) {
  loop_->post([this, entries = std::move(entries)] {
    holds_outbox_ = true;
    for (const LogEntry& entry : entries) propose(entry);
    holds_outbox_ = false;
    outbox_.send(transport_);
  });
}

// As of the last turn of the node. It has the last word: what passes here and is too late there is taken back.
Result<void> ReplicaHost::admit(CopyPolicy policy) {
  const std::lock_guard lock(mutex_);
  if (!status_.leads || !status_.record) return success();
  const Copies copies = to_copies(policy).value_or(status_.record->record.copies);
  if (copies == Copies::kAll && status_.refuses_all) return Error(Errc::kRefused, "a change here must be on all servers (copies = all), and not all of them answer; nothing was changed");
  if (copies == Copies::kTwo && status_.refuses_two) return Error(Errc::kRefused, "a change here must be on two servers (copies = two), and no other one answers; nothing was changed");
  return success();
}

Result<void> ReplicaHost::admit_forgetting() {
  const std::lock_guard lock(mutex_);
  if (!status_.leads) return Error(Errc::kRefused, "this server does not lead its replica set");
  if (status_.forgetting_waits_for.empty()) return success();
  return Error(Errc::kRefused, "nothing is forgotten while " + status_.forgetting_waits_for);
}

// Who has not got a record whose objects are forgotten takes a copy of the store, and if it is the off-site member, what only it kept is gone.
std::string ReplicaHost::who_is_behind(const Record& record, Sequence last) const {
  for (const Progress& progress : *node_->members()) {
    const auto member = std::find_if(record.members.begin(), record.members.end(), [&](const Member& one) { return one.id == progress.id; });
    if (member == record.members.end() || (member->role != Role::kOffsite && !record.is_in_sync(progress.id))) continue;
    const std::string name = "member " + std::to_string(progress.id);
    if (progress.dead || progress.incarnation == 0 || boot_time() - progress.heard_at > options_.member_silence_ms) return name + " is not heard";
    if (last - std::min(last, progress.match) > options_.forgetting_lag_entries) return name + " is " + std::to_string(last - progress.match) + " records behind";
  }
  return {};
}

// A disk that hangs says nothing. Counted in turns of the node's thread, which stands still with the process.
void ReplicaHost::look_for_hung_disk() {
  const std::uint64_t begun = syncs_begun_;
  if (begun == syncs_ended_ || begun != watched_sync_) {
    watched_sync_ = begun;
    held_turns_ = 0;
  } else if (++held_turns_ == kDiskHungMs / turn_ms()) {
    input([&](Millis now) { node_->log_failed(now); });
  }
}

void ReplicaHost::failed() {
  loop_->post([this] { input([&](Millis now) { node_->log_failed(now); }); });
}

// An entry of another turn was on its way when the node ended that, and told the store to cut it off: a hand-over that was begun and given up
// meanwhile makes no difference.
void ReplicaHost::propose(const LogEntry& entry) {
  if (entry.turn != turn_) return;
  const Sequence before = node_log_->last().sequence;
  auto unpacked = unpack_entry(std::make_shared<const std::string>(pack_entry_bytes(entry)));
  if (unpacked.has_value()) {
    lags_.appended(entry.position.sequence, unpacked.value().bytes->size(), boot_time());
    node_log_->expect_local(true);
    input([&](Millis now) { node_->propose(now, entry.position.sequence, unpacked.value(), to_copies(entry.copies)); });
    node_log_->expect_local(false);
  }
  if (node_log_->last().sequence > before || entry.turn != turn_) return;
  // Refused, and so would be all that follows on it: the store takes all of that back, and what it appends then is of another turn.
  node_log_->take_back(++turn_);
}

void ReplicaHost::perform(Send& output) { outbox_.put(output.to, std::move(output.message)); }

void ReplicaHost::perform(ReadRecord&) {
  coordinator_->read([this](const std::optional<VersionedRecord>& record) {
    if (record) input([&](Millis now) { node_->record_seen(now, *record); });
  });
}

void ReplicaHost::perform(ChangeRecord& output) {
  coordinator_->compare_and_set(output.expected_version, output.record, [this, number = output.number](ChangeAnswer answer) {
    input([&](Millis now) { node_->change_answered(now, number, answer); });
  });
}

void ReplicaHost::perform(Apply& output) {
  applier_->post([this, sequence = output.sequence] {
    const bool done = log_->apply(sequence).has_value();
    loop_->post([this, sequence, done] {
      input([&](Millis now) {
        if (done) node_->applied(now, sequence);
        else node_->log_failed(now);
      });
    });
  });
}

// Taken after this server has ended, in its place (S7): status() says so.
void ReplicaHost::perform(FetchSnapshot&) {
  is_late_ = true;
  input([&](Millis now) { node_->snapshot_failed(now); });
}

void ReplicaHost::look_for_damage() {
  if (damaged_ || damage_log(store_).count() == 0) return;
  damaged_ = true;
  input([&](Millis now) { node_->damaged(now); });
}

bool ReplicaHost::leads_without(NodeId member, Epoch epoch, bool withdraws) {
  return ask([this, member, epoch, withdraws](Millis now, RequestId request) {
    if (withdraws) node_->withdraw(now, member);
    tell(request, node_->leads_without(member, epoch));
  });
}

Result<CopyOffer> ReplicaHost::open_copy(NodeId member, Epoch at_least) {
  bool is_out = false;
  for (int tries = 0; tries < kOutTries && !is_out; ++tries) {
    // Once: by now who asked may be gone, and a later process of that member in its place.
    is_out = leads_without(member, at_least, tries == 0);
    if (!is_out) std::this_thread::sleep_for(kOutWait);  // the change of the record goes through the coordinator (S2)
  }
  if (!is_out) return Error(Errc::kUnavailable, "this member does not lead, or the one that asks still counts");
  const HostStatus now = status();
  VEXOR_TRY(const CopyOffer offer, source_->open(member, to_entry_id(log_->last()), now.epoch, boot_time()));
  if (leads_without(member, now.epoch, false) && status().epoch == now.epoch) return offer;
  source_->close(member, offer.id);
  return Error(Errc::kUnavailable, "the primary of the replica set changes; try again");
}

Result<std::string> ReplicaHost::read_copy(NodeId member, std::uint64_t id, const std::string& name, std::uint64_t offset) {
  return source_->read(member, id, name, offset, boot_time());
}

vexor::Receipt ReplicaHost::receipt_of(const ProposalOutcome& outcome) const {
  vexor::Receipt out;
  out.sequence = outcome.entry.sequence;
  out.copies = static_cast<unsigned>(outcome.receipt.members.size());
  out.is_short = outcome.fate == Fate::kShort;
  if (!node_->record()) return out;
  const Record& record = node_->record()->record;
  out.servers = static_cast<unsigned>(record.members.size());
  for (const Member& member : record.members) out.has_off_site = out.has_off_site || member.role == Role::kOffsite;
  for (const NodeId id : outcome.receipt.members) {
    const Member* member = record.find(id);
    out.off_site = out.off_site || (member != nullptr && member->role == Role::kOffsite);
  }
  return out;
}

void ReplicaHost::perform(ProposalOutcome& output) {
  switch (output.fate) {
    case Fate::kCommitted:
    case Fate::kShort:  // behind its Apply: who is told finds it here
      applier_->post([this, receipt = receipt_of(output)] { log_->settle(receipt); });
      return;
    case Fate::kUnknown: log_->give_up(output.entry.sequence); return;
    case Fate::kNotStarted: return;  // propose() sees to it
  }
}

void ReplicaHost::perform(ConfirmOutcome& output) { tell(output.request, output.confirmed); }
void ReplicaHost::perform(ReadOutcome& output) { tell(output.request, output.granted); }

void ReplicaHost::perform(Alarm& output) {
  alarm_ = output.kind == AlarmKind::kDivergence ? "divergence" : output.kind == AlarmKind::kLogFailed ? "log_failed" : "record_unsound";
  ++alarms_[alarm_];
}

void ReplicaHost::tell(RequestId request, bool answer) {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(request);
  if (found == asked_.end()) return;
  found->second.answer = answer;
  found->second.answered.notify_one();
}

bool ReplicaHost::ask(const std::function<void(Millis now, RequestId request)>& give) {
  std::unique_lock lock(mutex_);
  if (ending_) return false;
  const RequestId request = next_request_++;
  Asked& asked = asked_[request];
  lock.unlock();
  loop_->post([this, give, request] { input([&](Millis now) { give(now, request); }); });
  lock.lock();
  asked.answered.wait(lock, [&] { return ending_ || asked.answer.has_value(); });
  const bool said = asked.answer.value_or(false);
  asked_.erase(request);
  if (ending_) none_asked_.notify_one();
  return said;
}

Result<void> ReplicaHost::wait_until_readable(ReadLevel level, Sequence at_least) {
  const bool granted = ask([this, level, at_least](Millis now, RequestId request) { node_->read(now, request, level, at_least); });
  if (!granted) return Error(Errc::kUnavailable, "this server cannot tell whether it is up to date; try again");
  return success();
}

Result<void> ReplicaHost::confirm_head() {
  // Behind what was given to appended() before.
  const bool confirmed = ask([this](Millis now, RequestId request) { node_->confirm_head(now, request); });
  if (!confirmed) return Error(Errc::kUnavailable, "the primary of the replica set changes; try again");
  return success();
}

std::unique_ptr<StagedCopies> ReplicaHost::stage(const std::string& range) {
  std::vector<Member> others;
  const HostStatus now = status();
  if (now.record) others = now.record->record.members;
  std::erase_if(others, [&](const Member& member) { return member.id == self_.id; });
  return sender_->stage(others, range);
}

Result<std::unique_ptr<RowsShelf::Taking>> ReplicaHost::take_rows(NodeId from, const RowsOffer& offer) {
  const HostStatus now = status();
  if (now.leader != from || now.epoch != offer.epoch || !now.taking_reign) return Error(Errc::kUnavailable, "this member does not follow that primary, or not yet");
  return shelf_->begin(offer.range, *now.taking_reign);
}

void ReplicaHost::publish_status() {
  HostStatus now;
  now.self = self_.id;
  now.store = self_.store;
  now.leader = node_->leader();
  now.leads = node_->leads();
  now.takes_pushes = store_takes_;
  now.stopped = node_->stopped();
  now.damaged = damaged_;
  now.alarms = alarms_;
  now.alarm = alarm_;
  if (!now.leads && damaged_) now.needs_copy = "damaged: " + damage_log(store_).latest().back();
  else if (!now.leads && is_late_) now.needs_copy = "too far behind the primary's log";
  now.epoch = node_->head_epoch();
  if (followed_ == reigns_ && node_->follows_wholly()) now.taking_reign = store_reign_;
  now.last = node_->head().sequence;
  now.commit = node_->commit();
  now.applied = log_->applied();
  if (const auto* members = node_->members()) {
    Sequence all_have = now.last;
    for (const Progress& member : *members) {
      now.others.push_back({member.id, member.match, member.round_trip, lags_.of(member.match, now.last, boot_time())});
      all_have = std::min(all_have, member.match);
    }
    lags_.forget_to(all_have);
    now.refuses_two = node_->refuses(Copies::kTwo);
    now.refuses_all = node_->refuses(Copies::kAll);
    now.forgetting_waits_for = node_->record() ? who_is_behind(node_->record()->record, now.last) : "the members are not known";
  } else {
    lags_.forget_to(now.applied);
    now.behind_bytes = lags_.of(now.applied, std::max(now.applied, told_commit_), boot_time()).bytes;
    now.heard_unix_ms = heard_unix_ms_;
    now.told_commit = told_commit_;
    now.compared = node_->compared();
    if (now.applied >= told_commit_) whole_at_ = boot_time();
    now.behind_ms = boot_time() - whole_at_;
  }
  serves_at_once_ = store_takes_ && node_->serves_reads();
  if (now.leader != 0 && now.leader != told_leader_) transport_.leader_changed(told_leader_ = now.leader);
  const std::lock_guard lock(mutex_);
  if (node_->record() && (!status_.record || status_.record->version != node_->record()->version)) now.record = node_->record();
  else now.record = std::move(status_.record);
  status_ = std::move(now);
}

HostStatus ReplicaHost::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

bool ReplicaHost::is_at_other_site(NodeId other) const {
  const std::lock_guard lock(mutex_);
  if (!status_.record) return false;
  const Member* const here = status_.record->record.find(self_.id);
  const Member* const there = status_.record->record.find(other);
  return here != nullptr && there != nullptr && here->role != there->role;
}

bool ReplicaHost::follows_at_other_site(NodeId other) const {
  if (!is_at_other_site(other)) return false;
  const std::lock_guard lock(mutex_);
  return !status_.record->record.is_in_sync(other);
}

bool ReplicaHost::is_removed(NodeId other) const {
  const std::lock_guard lock(mutex_);
  return status_.record && status_.record->record.find(other) == nullptr;
}

EntryFate ReplicaHost::fate(const EntryId& entry) {
  const auto here = log_->position(entry.sequence);
  if (here.has_error() || log_->applied() < entry.sequence) return EntryFate::kOpen;
  return to_entry_id(here.value()) == entry ? EntryFate::kCommitted : EntryFate::kLost;
}

}  // namespace vexor::replication
