#include "daemon/replica_member.h"

#include <boost/json.hpp>
#include <thread>

#include "replication/transport/etcd_coordinator.h"
#include "replication/transport/grpc_transport.h"
#include "vexorstore/sys/random.h"

namespace vexor::frontend {

using replication::EtcdCoordinator;
using replication::EtcdOptions;
using replication::GrpcTransport;
using replication::HostStatus;
using replication::ReadLevel;
using replication::ReplicaHost;

namespace {

constexpr int kLeaderTries = 2000;
constexpr std::chrono::milliseconds kLeaderWait{5};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    if (comma > at) out.push_back(text.substr(at, comma - at));
    at = comma + 1;
  }
  return out;
}

Result<std::map<replication::NodeId, std::string>> parse_peers(const ReplicaSettings& settings) {
  std::map<replication::NodeId, std::string> out;
  for (const std::string& peer : split(settings.peers)) {
    const std::size_t equals = peer.find('=');
    replication::NodeId id = 0;
    bool good = equals != std::string::npos && equals > 0 && equals < 19 && peer.find(':', equals) != std::string::npos;
    for (std::size_t i = 0; good && i < equals; ++i) {
      good = peer[i] >= '0' && peer[i] <= '9';
      id = id * 10 + static_cast<replication::NodeId>(peer[i] - '0');
    }
    if (!good || id == 0 || id == settings.node || !out.emplace(id, peer.substr(equals + 1)).second) {
      return Error(Errc::kInvalidArgument, "replication.peers takes ID=HOST:PORT of each other member, and this is none: " + peer);
    }
  }
  return out;
}

replication::Options timers(const ReplicaSettings& settings) {
  replication::Options out;
  out.heartbeat_ms = settings.heartbeat_ms;
  out.lease_ms = settings.lease_ms;
  out.detector_ms = settings.detector_ms;
  out.offsite_wait_ms = settings.offsite_wait_ms;
  out.proposal_wait_ms = settings.proposal_wait_ms;
  return out;
}

replication::Incarnation draw_incarnation() {
  replication::Incarnation out = 0;
  for (const char octet : sys::random_bytes(8)) out = out << 8U | static_cast<unsigned char>(octet);
  return out | 1U;
}

}  // namespace

struct ReplicaMember::Parts {
  std::unique_ptr<GrpcTransport> transport;
  std::unique_ptr<ReplicaHost> host;
  ReadLevel reads = ReadLevel::kLinearizable;
  bool reads_at_primary = false;
};

ReplicaMember::ReplicaMember() : parts_(std::make_unique<Parts>()) {}

ReplicaMember::~ReplicaMember() {
  if (parts_->transport) parts_->transport->stop();
}

Result<void> check_replica_settings(const ReplicaSettings& settings) {
  if (settings.node == 0) return success();
  VEXOR_TRY(parse_peers(settings));
  if (settings.listen.empty()) return Error(Errc::kInvalidArgument, "replication.listen is missing");
  if (split(settings.etcd).empty()) return Error(Errc::kInvalidArgument, "replication.etcd is missing");
  if (settings.reads != "linearizable" && settings.reads != "eventual" && settings.reads != "primary") {
    return Error(Errc::kInvalidArgument, "replication.reads is not \"linearizable\", \"eventual\" or \"primary\"");
  }
  const bool any = !settings.ca_file.empty() || !settings.certificate_file.empty() || !settings.key_file.empty();
  const bool all = !settings.ca_file.empty() && !settings.certificate_file.empty() && !settings.key_file.empty();
  if (any != all) return Error(Errc::kInvalidArgument, "replication: ca_file, certificate_file and key_file belong together");
  if (!all && !settings.listen.starts_with("127.") && !settings.listen.starts_with("localhost:") && !settings.listen.starts_with("[::1]:")) {
    return Error(Errc::kInvalidArgument, "replication without certificates is for loopback addresses only");
  }
  if (!timers(settings).valid()) {
    return Error(Errc::kInvalidArgument, "replication: lease_ms must be at least three heartbeat_ms and below detector_ms");
  }
  return success();
}

Result<std::unique_ptr<ReplicaMember>> ReplicaMember::start(Service& service, const ReplicaSettings& settings) {
  VEXOR_TRY(check_replica_settings(settings));
  std::unique_ptr<ReplicaMember> out(new ReplicaMember());
  Parts& parts = *out->parts_;
  parts.reads = settings.reads == "eventual" ? ReadLevel::kEventual : ReadLevel::kLinearizable;
  parts.reads_at_primary = settings.reads == "primary";
  replication::TransportOptions transport;
  transport.self = settings.node;
  transport.incarnation = draw_incarnation();
  transport.listen = settings.listen;
  VEXOR_TRY(transport.peers, parse_peers(settings));
  transport.ca_file = settings.ca_file;
  transport.certificate_file = settings.certificate_file;
  transport.key_file = settings.key_file;
  VEXOR_TRY(parts.transport, GrpcTransport::start(transport));
  EtcdOptions etcd;
  etcd.endpoints = split(settings.etcd);
  etcd.key = settings.etcd_key;
  const auto coordinator = [etcd](auto run) { return std::make_unique<EtcdCoordinator>(etcd, std::move(run)); };
  VEXOR_TRY(parts.host, ReplicaHost::start(service.store(), {settings.node, transport.incarnation}, timers(settings), *parts.transport, coordinator));
  parts.transport->serve(*parts.host, [&service](const replication::ForwardedRequest& asked) {
    GitRequest request;
    request.command = asked.is_push ? GitCommand::kReceivePack : GitCommand::kUploadPack;
    request.repository = asked.repository;
    request.git_protocol = asked.git_protocol;
    request.stateless = asked.stateless;
    request.advertise_only = asked.advertise_only;
    request.session_id = asked.session_id;
    request.is_forwarded = true;
    request.may_be_done_after = asked.may_be_done_after;
    return service.open_session(Principal{asked.account, asked.account_name}, request);
  });
  return out;
}

Result<std::unique_ptr<protocol::Session>> ReplicaMember::forward(const Principal& principal, const GitRequest& request) {
  const bool is_push = request.command == GitCommand::kReceivePack;
  if (!is_push && !parts_->reads_at_primary) return std::unique_ptr<protocol::Session>();
  for (int tries = 0; tries < kLeaderTries; ++tries) {
    const HostStatus now = parts_->host->status();
    if (now.takes_pushes) return std::unique_ptr<protocol::Session>();
    if (!now.leads && now.leader != 0 && now.leader != now.self) {
      return parts_->transport->forward(now.leader, {is_push, request.repository, principal.account, principal.name, request.git_protocol,
                                                     request.stateless, request.advertise_only, request.session_id, request.may_be_done_after});
    }
    std::this_thread::sleep_for(kLeaderWait);
  }
  return Error(Errc::kUnavailable, "the replica set has no primary at the moment; try again");
}

Result<void> ReplicaMember::before_read(GitCommand command) {
  // What a push is judged by, and told, must be the latest (docs/protocol/replication.md, Q4).
  const ReadLevel level = command == GitCommand::kReceivePack ? ReadLevel::kLinearizable : parts_->reads;
  return parts_->host->wait_until_readable(level, 0);
}

std::uint64_t ReplicaMember::applied() const { return parts_->host->status().applied; }

std::string ReplicaMember::status() const {
  const HostStatus now = parts_->host->status();
  boost::json::object out{{"node", now.self},   {"role", now.stopped ? "stopped" : now.leads ? "primary" : "follower"},
                          {"takes_pushes", now.takes_pushes}, {"primary", now.leader}, {"epoch", now.epoch}, {"appended", now.last},
                          {"committed", now.commit}, {"applied", now.applied}};
  if (now.record) {
    boost::json::array in_sync(now.record->record.in_sync.begin(), now.record->record.in_sync.end());
    out["in_sync"] = std::move(in_sync);
    out["members"] = now.record->record.members.size();
  }
  return boost::json::serialize(out);
}

}  // namespace vexor::frontend
