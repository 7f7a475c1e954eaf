#include "daemon/replica_member.h"

#include <algorithm>
#include <boost/json.hpp>
#include <thread>

#include "common/log.h"
#include "common/version.h"
#include "daemon/replica_options.h"
#include "vexorstore/history.h"
#include "vexorstore/recall.h"

namespace vexor::frontend {

using replication::EtcdCoordinator;
using replication::EtcdOptions;
using replication::GrpcTransport;
using replication::HostStatus;
using replication::ReadLevel;
using replication::ReplicaHost;

namespace {

constexpr std::chrono::seconds kLeaderWaitMax{10};
constexpr std::chrono::milliseconds kLeaderWait{5};

}  // namespace

struct ReplicaMember::Parts {
  Store* store = nullptr;
  std::unique_ptr<GrpcTransport> transport;
  std::unique_ptr<ReplicaHost> host;
  ReadLevel reads = ReadLevel::kLinearizable;
  bool reads_at_primary = false;
  std::chrono::milliseconds takeover_wait{};
  std::shared_ptr<std::atomic<replication::RecordWatch>> watch = std::make_shared<std::atomic<replication::RecordWatch>>(replication::RecordWatch::kBegins);
};

ReplicaMember::ReplicaMember() : parts_(std::make_unique<Parts>()) {}

ReplicaMember::~ReplicaMember() {
  if (parts_->transport) parts_->transport->stop();
}

Result<std::unique_ptr<ReplicaMember>> ReplicaMember::start(Service& service, const ReplicaSettings& settings, const replication::HostFiles& files) {
  VEXOR_TRY(check_replica_settings(settings));
  VEXOR_TRY(const auto certificates, certificate_ends(settings));
  for (const auto& [what, ends] : certificates) service.metrics().certificate(what, ends);
  std::unique_ptr<ReplicaMember> out(new ReplicaMember());
  Parts& parts = *out->parts_;
  parts.store = &service.store();
  parts.reads = settings.reads == "eventual" ? ReadLevel::kEventual : ReadLevel::kLinearizable;
  parts.reads_at_primary = settings.reads == "primary";
  parts.takeover_wait = std::chrono::milliseconds(2 * settings.detector_ms + 1000);  // silence, then a candidate or two
  VEXOR_TRY(const replication::TransportOptions transport, transport_of(settings));
  VEXOR_TRY(parts.transport, GrpcTransport::start(transport));
  EtcdOptions etcd = etcd_of(settings);
  etcd.watch = parts.watch;
  const auto coordinator = [etcd](auto run) { return std::make_unique<EtcdCoordinator>(etcd, std::move(run)); };
  const replication::Identity self{settings.node, transport.incarnation, files.mark == nullptr ? 0 : files.mark->name()};
  VEXOR_TRY(parts.host, ReplicaHost::start(service.store(), self, timers_of(settings), *parts.transport, coordinator, files));
  parts.transport->serve(*parts.host, [&service, host = parts.host.get()](const replication::ForwardedRequest& asked) -> Result<std::unique_ptr<protocol::Session>> {
    if (asked.recalls_at) {
      VEXOR_TRY(host->wait_until_readable(ReadLevel::kLinearizable, 0));  // what is forgotten there is forgotten here
      log_event("recall", {{"repository", asked.repository}, {"sequence", *asked.recalls_at}});
      return make_recall_session(service.store(), asked.repository, *asked.recalls_at);
    }
    GitRequest request;
    request.command = asked.is_push ? GitCommand::kReceivePack : GitCommand::kUploadPack;
    request.repository = asked.repository;
    request.git_protocol = asked.git_protocol;
    request.stateless = asked.stateless;
    request.advertise_only = asked.advertise_only;
    request.session_id = asked.session_id;
    request.is_forwarded = true;
    request.may_be_done_after = asked.may_be_done_after;
    // The line `request` is in the log of the server that the client speaks to: this one gave the objects, or took them.
    log_event("forwarded", {{"session", asked.session_id}, {"user", asked.account_name}, {"repository", asked.repository}, {"command", asked.is_push ? "git-receive-pack" : "git-upload-pack"}});
    return service.open_session(Principal{asked.account, asked.account_name}, request);
  }, [&service](std::uint64_t request, const PurgeReport& report) { return vexor::report_purge(service.store(), request, report); },
  [&service, host = parts.host.get()](const replication::ForwardedCommand& asked) -> Result<std::string> {
    if (!host->status().takes_pushes) return Error(Errc::kUnavailable, "this server is not the primary of its replica set");
    auto told = service.run_forwarded({asked.account, asked.account_name}, asked.text, asked.input);
    const auto result = told.has_value() ? std::string("ok") : std::string(errc_name(told.error().code()));
    // What was asked is in the log of the server that it came to: this one did it. It may hold a password.
    log_event("forwarded", {{"user", asked.account_name}, {"command", asked.account == 0 ? "admin" : "user"}, {"result", result}});
    return told;
  });
  return out;
}

// What the primary says to `ask`; `here` if this server is it. Who says kUnavailable did nothing: it was the primary, or cannot do it at the
// moment, and is asked again for a while. No more than that: each answer may take seconds.
template <class Out>
Result<Out> ReplicaMember::at_primary(Out here, const std::function<Result<Out>(std::uint64_t primary)>& ask) {
  Error last(Errc::kUnavailable, "the replica set has no primary at the moment; try again");
  for (const auto until = std::chrono::steady_clock::now() + kLeaderWaitMax; std::chrono::steady_clock::now() < until;) {
    const HostStatus now = parts_->host->status();
    if (now.takes_pushes) return Result<Out>(std::move(here));
    if (!now.leads && now.leader != 0 && now.leader != now.self) {
      auto told = ask(now.leader);
      if (told.has_value() || told.error().code() != Errc::kUnavailable) return told;
      last = std::move(told).error();
    }
    std::this_thread::sleep_for(kLeaderWait);  // the status is a copy: nothing tells of its changes
  }
  return last;
}

Result<std::optional<std::string>> ReplicaMember::run_at_primary(const Principal& principal, const std::string& text, const std::string& input) {
  return at_primary<std::optional<std::string>>(std::nullopt, [&](std::uint64_t primary) -> Result<std::optional<std::string>> {
    VEXOR_TRY(std::string told, parts_->transport->run_command(primary, {principal.account, principal.name, text, input}));
    return std::optional(std::move(told));
  });
}

Result<std::unique_ptr<protocol::Session>> ReplicaMember::forward(const Principal& principal, const GitRequest& request) {
  const bool is_push = request.command == GitCommand::kReceivePack;
  if (!is_push && !parts_->reads_at_primary) return std::unique_ptr<protocol::Session>();
  return at_primary<std::unique_ptr<protocol::Session>>(nullptr, [&](std::uint64_t primary) {
    return parts_->transport->forward(primary, {is_push, request.repository, principal.account, principal.name, request.git_protocol,
                                                request.stateless, request.advertise_only, request.session_id, request.may_be_done_after});
  });
}

Result<void> ReplicaMember::before_read(GitCommand command) {
  // What a push is judged by, and told, must be the latest (docs/protocol/replication.md, Q4).
  const ReadLevel level = command == GitCommand::kReceivePack ? ReadLevel::kLinearizable : parts_->reads;
  return parts_->host->wait_until_readable(level, 0);
}

Service::ReplicaSet::Moment ReplicaMember::now() const {
  return {parts_->host->status().epoch, parts_->host->log().applied()};  // what a read that was granted shows; the status tells of it later
}

bool ReplicaMember::serves_at_once() const { return parts_->host->serves_at_once(); }

namespace {

// All of it, or nothing.
Result<std::uint64_t> take_recalled(Store& store, const std::string& repository, protocol::Session& session) {
  VEXOR_TRY(const auto taker, make_recall_taker(store, repository));
  std::string piece;
  while (session.wants() != protocol::Wants::kDone) {
    switch (session.wants()) {
      case protocol::Wants::kInput: return Error(Errc::kProtocol, "a server that asks for input instead of giving what was kept");
      case protocol::Wants::kOutput: {
        session.take_output(piece, 0);
        VEXOR_TRY(taker->feed(piece));
        break;
      }
      case protocol::Wants::kWork: session.run_work(); break;
      case protocol::Wants::kDone: break;
    }
  }
  if (const Error* why = session.failure()) return why->clone();
  return taker->finish(Actor{});
}

}  // namespace

// The bytes may be here still; else the off-site member has them longest.
Result<std::uint64_t> ReplicaMember::recall(const std::string& repository, std::uint64_t sequence) {
  const HostStatus now = parts_->host->status();
  if (!now.takes_pushes) return Error(Errc::kUnavailable, "this server is not the primary of its replica set");
  VEXOR_TRY(const auto here, make_recall_session(*parts_->store, repository, sequence));
  auto done = take_recalled(*parts_->store, repository, *here);
  if (done.has_value() || !now.record) return done;
  std::optional<Error> failed;  // of who may have the bytes all the same
  if (done.error().code() != Errc::kNotFound) failed = done.error().clone();
  std::vector<replication::Member> others = now.record->record.members;
  std::erase_if(others, [&](const replication::Member& member) { return member.id == now.self; });
  std::stable_sort(others.begin(), others.end(), [](const replication::Member& a, const replication::Member& b) { return a.role == replication::Role::kOffsite && b.role != a.role; });
  for (const replication::Member& member : others) {
    replication::ForwardedRequest request;
    request.repository = repository;
    request.recalls_at = sequence;
    const auto session = parts_->transport->forward(member.id, request);
    done = session.has_error() ? Result<std::uint64_t>(session.error().clone()) : take_recalled(*parts_->store, repository, *session.value());
    if (done.has_value()) return done;
    if (!failed && done.error().code() != Errc::kNotFound) failed = done.error().clone();
  }
  if (failed) return std::move(*failed);
  return done;
}

Result<void> ReplicaMember::wait_for_epoch_after(std::uint64_t epoch) {
  const auto until = std::chrono::steady_clock::now() + parts_->takeover_wait;
  while (parts_->host->status().epoch <= epoch) {
    if (std::chrono::steady_clock::now() > until) return Error(Errc::kIndeterminate, "no other primary took over");
    std::this_thread::sleep_for(kLeaderWait);  // the status is a copy: nothing tells of its changes
  }
  return success();
}
std::string ReplicaMember::needs_copy() const { return parts_->host->status().needs_copy; }
std::map<std::string, std::uint64_t> ReplicaMember::alarms() const { return parts_->host->status().alarms; }

namespace {

std::string words_of(replication::RecordWatch watch) {
  switch (watch) {
    case replication::RecordWatch::kBegins: return "not read yet";
    case replication::RecordWatch::kWatched: return "watched";
    case replication::RecordWatch::kSilent: return "etcd does not answer";
    case replication::RecordWatch::kMissing: return "etcd has none";
  }
  return {};
}

}  // namespace

ReplicaMember::Place ReplicaMember::place() const {
  const HostStatus now = parts_->host->status();
  Place out{now.stopped ? "stopped" : now.leads ? "primary" : "follower", now.epoch, now.leader, "", words_of(parts_->watch->load())};
  if (!now.record) return out;
  for (const replication::NodeId id : now.record->record.in_sync_ids()) out.in_sync += (out.in_sync.empty() ? "" : ",") + std::to_string(id);
  return out;
}

ReplicaFigures ReplicaMember::figures() const {
  const HostStatus now = parts_->host->status();
  ReplicaFigures out;
  out.watches_record = parts_->watch->load() == replication::RecordWatch::kWatched;
  out.leads = now.leads && !now.stopped;
  out.is_in_sync = now.record && now.record->record.is_in_sync(now.self, now.store);
  out.is_damaged = now.damaged;
  out.epoch = now.epoch;
  const auto seconds = [](replication::Millis ms) { return static_cast<double>(ms) / 1000; };
  if (now.leads) {
    for (const replication::MemberStatus& other : now.others) {
      out.lags.push_back({other.id, other.lag.records, other.lag.bytes, other.lag.ms ? std::optional<double>(seconds(*other.lag.ms)) : std::nullopt});
    }
  } else if (now.heard_unix_ms != 0) {
    const bool is_behind = now.told_commit > now.applied;
    out.lags.push_back({now.self, is_behind ? now.told_commit - now.applied : 0, now.behind_bytes, is_behind ? seconds(now.behind_ms) : 0});
  }
  return out;
}

std::vector<std::uint64_t> ReplicaMember::members() const {
  const HostStatus now = parts_->host->status();
  std::vector<std::uint64_t> out;
  if (!now.record) return out;
  for (const replication::Member& member : now.record->record.members) out.push_back(member.id);
  return out;
}

Result<void> ReplicaMember::report_purge(std::uint64_t request, const PurgeReport& report) {
  const HostStatus now = parts_->host->status();
  if (now.takes_pushes) return vexor::report_purge(*parts_->store, request, report);
  if (now.leads || now.leader == 0 || now.leader == now.self) return Error(Errc::kUnavailable, "the replica set has no primary at the moment; try again");
  return parts_->transport->report_purge(now.leader, request, report);
}

MemberHealth ReplicaMember::health() const {
  const HostStatus now = parts_->host->status();
  boost::json::object out{{"node", now.self},   {"role", now.stopped ? "stopped" : now.leads ? "primary" : "follower"},
                          {"takes_pushes", now.takes_pushes}, {"primary", now.leader}, {"epoch", now.epoch}, {"appended", now.last},
                          {"committed", now.commit}, {"applied", now.applied}, {"damaged", now.damaged}};
  out["store"] = std::to_string(now.store);  // as `cluster status` has it, which is no number of JSON either
  out["version"] = version();
  if (!now.alarm.empty()) out["alarm"] = now.alarm;
  if (now.leads) {
    boost::json::array others;
    for (const replication::MemberStatus& other : now.others) {
      boost::json::object one{{"node", other.id}, {"has", other.has}};
      if (other.round_trip) one["round_trip_ms"] = *other.round_trip;
      one["lag_records"] = other.lag.records;
      if (other.lag.bytes) one["lag_bytes"] = *other.lag.bytes;
      if (other.lag.ms) one["lag_seconds"] = static_cast<double>(*other.lag.ms) / 1000;
      others.push_back(std::move(one));
    }
    out["others"] = std::move(others);
  } else {
    // What a promotion would lose begins here (docs/operations/runbooks.md).
    if (now.heard_unix_ms != 0) {
      out["heard_at_ms"] = now.heard_unix_ms;
      out["told_committed"] = now.told_commit;
    }
    out["compared"] = now.compared;
    out["lag_records"] = now.told_commit - std::min(now.told_commit, now.applied);
    if (now.behind_bytes) out["lag_bytes"] = *now.behind_bytes;
    out["lag_seconds"] = now.told_commit <= now.applied ? 0 : static_cast<double>(now.behind_ms) / 1000;
  }
  if (const auto made = journal_time(*parts_->store, now.last); made.has_value() && made.value()) out["appended_at_ms"] = *made.value();
  out["record"] = words_of(parts_->watch->load());
  if (now.record) {
    boost::json::array in_sync;
    for (const replication::InSync& entry : now.record->record.in_sync) in_sync.push_back(entry.id);
    out["in_sync"] = std::move(in_sync);
    out["members"] = now.record->record.members.size();
  }
  return {boost::json::serialize(out), now.stopped};
}

}  // namespace vexor::frontend
