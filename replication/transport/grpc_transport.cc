#include "replication/transport/grpc_transport.h"

#include <grpcpp/grpcpp.h>

#include <shared_mutex>

#include "replication/host/entry_codec.h"
#include "replication/transport/copy_stream.h"
#include "replication/transport/credentials.h"
#include "replication/transport/peer_link.h"
#include "replication/transport/rows_stream.h"
#include "replication/transport/session_stream.h"
#include "replication/transport/wire.h"

namespace vexor::replication {

namespace {

// A record of a push that moves very many refs is the largest that goes in one message.
constexpr int kMessageBytesMax = 256 << 20;
constexpr std::chrono::seconds kReportSecondsMax{30};
constexpr std::chrono::seconds kCommandSecondsMax{600};

// An attempt to connect may take so long: TLS to the other end of the world is four ways. What gRPC calls the least backoff is just that.
constexpr int kConnectMsMax = 2000;

// A caller that says nothing for so long is asked whether it is there.
constexpr int kSilenceMsMax = 5000;

// How long the other end may take to answer that. While large entries cross a slow link its word is seconds behind what is on its way.
constexpr int kAnswerMsMax = 1000;
constexpr int kAnswerBesideLargeMsMax = 20000;

std::string node_name(NodeId id) { return "node-" + std::to_string(id) + ".vexor"; }

grpc::ChannelArguments channel_arguments(NodeId peer, int silence_ms_max) {
  grpc::ChannelArguments out;
  out.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  out.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMsMax);
  out.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
  out.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 2000);
  out.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, silence_ms_max);  // of octets that the other machine does not confirm too
  out.SetMaxReceiveMessageSize(kMessageBytesMax);
  out.SetMaxSendMessageSize(kMessageBytesMax);
  out.SetSslTargetNameOverride(node_name(peer));
  return out;
}

}  // namespace

class GrpcTransport::State final : public peer::Peer::Service {
 public:
  explicit State(TransportOptions options_in) : options(std::move(options_in)), pace(options.site_bytes_per_second) {}

  Result<void> start();
  void stop();

  grpc::Status Deliver(grpc::ServerContext* context, grpc::ServerReaderWriter<peer::Hello, peer::Envelope>* stream) override;
  grpc::Status RunSession(grpc::ServerContext* context, grpc::ServerReaderWriter<peer::SessionOutput, peer::SessionInput>* stream) override;
  grpc::Status ReadRows(grpc::ServerContext* context, const peer::RowsRequest* request, grpc::ServerWriter<peer::RowsPiece>* writer) override;

  grpc::Status OfferRows(grpc::ServerContext* context, grpc::ServerReaderWriter<peer::RowsAnswer, peer::RowsInput>* stream) override;

  grpc::Status OpenCopy(grpc::ServerContext* context, const peer::CopyRequest* request, peer::CopyOffer* offer) override {
    const NodeId from = member(*context);
    return from == 0 ? stranger() : answer_open_copy(with_host(), from, *request, *offer);
  }
  grpc::Status ReadCopy(grpc::ServerContext* context, const peer::CopyRead* request, grpc::ServerWriter<peer::CopyPiece>* writer) override {
    const NodeId from = member(*context);
    return from == 0 ? stranger() : answer_read_copy(with_host(), from, *request, options.copy_bytes_per_second, *context, *writer);
  }
  grpc::Status CloseCopy(grpc::ServerContext* context, const peer::CopyClose* request, peer::CopyClosed*) override {
    const NodeId from = caller(*context);
    if (from != 0) with_host()([&](ReplicaHost& host) { host.close_copy(from, request->id()); });
    return from == 0 ? stranger() : grpc::Status::OK;
  }

  grpc::Status ReportPurge(grpc::ServerContext* context, const peer::PurgeReport* report, peer::PurgeReported*) override {
    const NodeId from = member(*context);
    if (from == 0) return stranger();
    TakePurgeReport take;
    {
      const std::shared_lock lock(host_mutex);
      if (host_ != nullptr) take = take_report_;
    }
    if (!take) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not yet");
    // A member speaks for itself alone.
    const auto done = take(report->request(), {from, report->began_ms(), report->ended_ms(), report->journal_records(), report->compacted_bytes()});
    if (done.has_value()) return grpc::Status::OK;
    const bool is_refused = done.error().code() == Errc::kNotFound;
    return grpc::Status(is_refused ? grpc::StatusCode::NOT_FOUND : grpc::StatusCode::UNAVAILABLE, done.error().message());
  }

  grpc::Status RunCommand(grpc::ServerContext* context, const peer::Command* command, peer::CommandAnswer* answer) override {
    if (member(*context) == 0) return stranger();
    RunForwarded run;
    {
      const std::shared_lock lock(host_mutex);
      if (host_ != nullptr) run = run_;
    }
    Result<std::string> told = Error(Errc::kUnavailable, "not yet");
    if (run) told = run({command->account(), command->account_name(), command->text(), command->input()});
    if (told.has_value()) {
      answer->set_text(std::move(told).value());
    } else {
      answer->set_error(static_cast<std::uint32_t>(told.error().code()));
      answer->set_message(told.error().message());
    }
    return grpc::Status::OK;
  }

  // Null: no such member, or this server is ending.
  std::shared_ptr<PeerLink> link(NodeId id) {
    const std::shared_lock lock(links_mutex_);
    const auto found = links_.find(id);
    return found == links_.end() ? nullptr : found->second;
  }
  void serve(ReplicaHost& host, OpenForwarded open, TakePurgeReport take_report, RunForwarded run) {
    const std::unique_lock lock(host_mutex);
    host_ = &host;
    open_ = std::move(open);
    take_report_ = std::move(take_report);
    run_ = std::move(run);
  }
  // Registers a call that stop() ends.
  class Call;

  // False: another member than `member` is the primary.
  bool add_push(NodeId member, const std::shared_ptr<grpc::ClientContext>& context) {
    const std::lock_guard lock(calls_mutex_);
    if (leader_ != 0 && leader_ != member) return false;
    std::erase_if(pushes_, [](const auto& push) { return push.second.expired(); });
    pushes_.emplace_back(member, context);
    return true;
  }
  void leader_changed(NodeId leader) {
    const std::lock_guard lock(calls_mutex_);
    leader_ = leader;
    for (const auto& [member, push] : pushes_) {
      const auto context = push.lock();
      if (context && member != leader) context->TryCancel();
    }
    std::erase_if(pushes_, [leader](const auto& push) { return push.first != leader || push.second.expired(); });
    for (const auto& [context, of] : calls_)
      if (of != 0 && of != leader) context->TryCancel();
  }

  // How rows go to that member.
  RowsWay way_to(NodeId member) {
    bool is_far = false;
    with_host()([&](ReplicaHost& host) { is_far = host.is_at_other_site(member); });
    return {is_far && options.link_rows, is_far ? &pace : nullptr};
  }

  TransportOptions options;
  Pace pace;  // to other sites
  std::shared_mutex host_mutex;
  int port = 0;

 private:
  static grpc::Status stranger() { return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not a member of this replica set"); }
  WithHost with_host() {
    return [this](const std::function<void(ReplicaHost&)>& work) {
      const std::shared_lock lock(host_mutex);
      if (host_ != nullptr) work(*host_);
      return host_ != nullptr;
    };
  }
  // Who calls, by its certificate; 0: nobody of the peers.
  NodeId caller(const grpc::ServerContext& context) const;
  // The same, and the set's record still has it: who was removed gets nothing of the store and acts for nobody.
  NodeId member(const grpc::ServerContext& context);
  Result<std::shared_ptr<grpc::ServerCredentials>> server_credentials() const;

  ReplicaHost* host_ = nullptr;  // guarded by host_mutex
  OpenForwarded open_;           // guarded by host_mutex
  TakePurgeReport take_report_;  // guarded by host_mutex
  RunForwarded run_;             // guarded by host_mutex
  std::shared_mutex links_mutex_;
  std::map<NodeId, std::shared_ptr<PeerLink>> links_;  // guarded by links_mutex_
  std::mutex calls_mutex_;
  std::map<grpc::ClientContext*, NodeId> calls_;  // guarded by calls_mutex_
  bool ending_ = false;                   // guarded by calls_mutex_
  NodeId leader_ = 0;                     // guarded by calls_mutex_; the last that was known
  std::vector<std::pair<NodeId, std::weak_ptr<grpc::ClientContext>>> pushes_;  // guarded by calls_mutex_; forwarded
  std::unique_ptr<grpc::Server> server_;
};

class GrpcTransport::State::Call {
 public:
  // `of`: ends when another member than that is the primary; 0: does not matter.
  explicit Call(State& state, NodeId of = 0) : state_(state) {
    const std::lock_guard lock(state.calls_mutex_);
    state.calls_.emplace(&context, of);
    if (state.ending_) context.TryCancel();
  }
  ~Call() {
    const std::lock_guard lock(state_.calls_mutex_);
    state_.calls_.erase(&context);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  grpc::ClientContext context;

 private:
  State& state_;
};

Result<std::shared_ptr<grpc::ServerCredentials>> GrpcTransport::State::server_credentials() const {
  if (options.ca_file.empty()) return grpc::InsecureServerCredentials();
  grpc::SslServerCredentialsOptions out(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  VEXOR_TRY(out.pem_root_certs, read_text_file(options.ca_file));
  grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
  VEXOR_TRY(pair.cert_chain, read_text_file(options.certificate_file));
  VEXOR_TRY(pair.private_key, read_text_file(options.key_file));
  out.pem_key_cert_pairs.push_back(std::move(pair));
  return grpc::SslServerCredentials(out);
}

Result<void> GrpcTransport::State::start() {
  VEXOR_TRY(const auto credentials, server_credentials());
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.listen, credentials, &port);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kSilenceMsMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kAnswerBesideLargeMsMax);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.SetMaxSendMessageSize(kMessageBytesMax);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  if (!server_ || port == 0) return Error(Errc::kIo, "replication: cannot listen for other members on " + options.listen + ": is the address this machine's, and the port free?");
  VEXOR_TRY(const auto channel_credentials, client_credentials(options.ca_file, options.certificate_file, options.key_file));
  const std::unique_lock lock(links_mutex_);
  for (const auto& [id, address] : options.peers) {
    const auto channel = grpc::CreateCustomChannel(address, channel_credentials, channel_arguments(id, kAnswerMsMax));
    const auto dead = [this, id = id](Incarnation incarnation) {
      const std::shared_lock host_lock(host_mutex);
      if (host_ != nullptr) host_->peer_dead(id, incarnation);
    };
    const auto sent = [this, id = id](std::size_t bytes) {
      bool is_paced = false;
      with_host()([&](ReplicaHost& host) { is_paced = host.follows_at_other_site(id); });
      return is_paced ? pace.sent_first(bytes) : Pace::Time{};
    };
    const auto large_channel = grpc::CreateCustomChannel(address, channel_credentials, channel_arguments(id, kAnswerBesideLargeMsMax));
    links_.emplace(id, std::make_shared<PeerLink>(channel, large_channel, address, options.self, dead, sent));
  }
  return success();
}

// The host lives until this has returned: calls of others end first, also those that hold host_mutex.
void GrpcTransport::State::stop() {
  {
    const std::lock_guard lock(calls_mutex_);
    ending_ = true;
    for (const auto& [context, of] : calls_) context->TryCancel();
  }
  if (server_) server_->Shutdown(std::chrono::system_clock::now());
  {
    const std::unique_lock lock(host_mutex);
    host_ = nullptr;
  }
  std::map<NodeId, std::shared_ptr<PeerLink>> links;
  {
    const std::unique_lock lock(links_mutex_);
    links.swap(links_);
  }
}

NodeId GrpcTransport::State::caller(const grpc::ServerContext& context) const {
  const auto told = context.client_metadata().find("vexor-node");
  if (told == context.client_metadata().end()) return 0;
  const std::string text(told->second.data(), told->second.size());
  NodeId id = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || text.size() > 19) return 0;
    id = id * 10 + static_cast<NodeId>(c - '0');
  }
  if (!options.peers.contains(id)) return 0;
  if (options.ca_file.empty()) return id;
  const std::string wanted = node_name(id);
  for (const grpc::string_ref& name : context.auth_context()->FindPropertyValues("x509_subject_alternative_name")) {
    if (std::string(name.data(), name.size()) == wanted) return id;
  }
  return 0;
}

NodeId GrpcTransport::State::member(const grpc::ServerContext& context) {
  const NodeId from = caller(context);
  bool is_removed = false;
  with_host()([&](ReplicaHost& host) { is_removed = host.is_removed(from); });
  return is_removed ? 0 : from;
}

grpc::Status GrpcTransport::State::Deliver(grpc::ServerContext* context, grpc::ServerReaderWriter<peer::Hello, peer::Envelope>* stream) {
  const NodeId from = caller(*context);
  const auto back = link(from);
  if (from == 0 || back == nullptr) return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not a member of this replica set");
  peer::Hello hello;
  hello.set_incarnation(options.incarnation);
  stream->Write(hello);
  back->incoming(1);
  peer::Envelope envelope;
  while (stream->Read(&envelope)) {
    auto message = from_wire(envelope);
    if (message.has_error()) continue;  // as if it were lost
    const std::shared_lock lock(host_mutex);
    if (host_ != nullptr) host_->receive(from, message.value());
  }
  if (const auto still = link(from)) still->incoming(-1);
  return grpc::Status::OK;
}

grpc::Status GrpcTransport::State::RunSession(grpc::ServerContext* context, grpc::ServerReaderWriter<peer::SessionOutput, peer::SessionInput>* stream) {
  if (member(*context) == 0) return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not a member of this replica set");
  OpenForwarded open;
  {
    const std::shared_lock lock(host_mutex);
    if (host_ != nullptr) open = open_;
  }
  if (!open) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not yet");
  return run_forwarded(open, *stream);
}

grpc::Status GrpcTransport::State::ReadRows(grpc::ServerContext* context, const peer::RowsRequest* request, grpc::ServerWriter<peer::RowsPiece>* writer) {
  const NodeId from = member(*context);
  if (from == 0) return stranger();
  const std::shared_lock lock(host_mutex);
  if (host_ == nullptr) return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not yet");
  const auto place = host_->log().position(request->sequence());
  if (place.has_error() || place.value().hash != request->hash()) return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such record here");
  auto reader = host_->log().read_rows(request->sequence());
  if (reader.has_error()) return grpc::Status(grpc::StatusCode::NOT_FOUND, reader.error().message());
  const bool is_far = host_->is_at_other_site(from);
  for (;;) {
    auto piece = reader.value()->next();
    if (piece.has_error()) return grpc::Status(grpc::StatusCode::DATA_LOSS, piece.error().message());
    if (piece.value().empty()) return grpc::Status::OK;
    const peer::RowsPiece out = to_wire(std::move(piece).value(), is_far && options.link_rows && request->takes_link_rows());
    if (context->IsCancelled() || !writer->Write(out)) return grpc::Status::CANCELLED;
    if (is_far) pace.sent(out.rows().size());
  }
}

grpc::Status GrpcTransport::State::OfferRows(grpc::ServerContext* context, grpc::ServerReaderWriter<peer::RowsAnswer, peer::RowsInput>* stream) {
  const NodeId from = caller(*context);
  if (from == 0) return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, "not a member of this replica set");
  return run_rows_offer(with_host(), from, *stream);
}

GrpcTransport::GrpcTransport() = default;
GrpcTransport::~GrpcTransport() { stop(); }

Result<std::unique_ptr<GrpcTransport>> GrpcTransport::start(const TransportOptions& options) {
  std::unique_ptr<GrpcTransport> out(new GrpcTransport());
  out->state_ = std::make_unique<State>(options);
  VEXOR_TRY(out->state_->start());
  return out;
}

void GrpcTransport::serve(ReplicaHost& host, OpenForwarded open, TakePurgeReport take_report, RunForwarded run) {
  state_->serve(host, std::move(open), std::move(take_report), std::move(run));
}
void GrpcTransport::stop() { state_->stop(); }
int GrpcTransport::port() const { return state_->port; }

void GrpcTransport::send(NodeId to, const Message& message) {
  if (const auto link = state_->link(to)) link->send(to_wire(message));
}

void GrpcTransport::leader_changed(NodeId leader) { state_->leader_changed(leader); }

Result<std::unique_ptr<protocol::Session>> GrpcTransport::forward(NodeId member, const ForwardedRequest& request) {
  const auto link = state_->link(member);
  if (link == nullptr) return Error(Errc::kUnavailable, "that server is not among this member's peers");
  auto context = std::make_shared<grpc::ClientContext>();
  context->AddMetadata("vexor-node", std::to_string(state_->options.self));
  if (request.is_push && !state_->add_push(member, context)) return Error(Errc::kUnavailable, "the primary of the replica set changes; try again");
  return make_remote_session(std::move(context), link->stub(), request);
}

Result<std::string> GrpcTransport::run_command(NodeId to, const ForwardedCommand& command) {
  const auto link = state_->link(to);
  if (link == nullptr) return Error(Errc::kUnavailable, "that server is not among this member's peers");
  if (!link->is_connected()) return Error(Errc::kUnavailable, "the primary of the replica set does not answer");
  State::Call call(*state_, to);
  call.context.AddMetadata("vexor-node", std::to_string(state_->options.self));
  call.context.set_deadline(std::chrono::system_clock::now() + kCommandSecondsMax);
  peer::Command out;
  out.set_account(command.account);
  out.set_account_name(command.account_name);
  out.set_text(command.text);
  out.set_input(command.input);
  peer::CommandAnswer told;
  const grpc::Status status = link->stub().RunCommand(&call.context, out, &told);
  if (status.error_code() == grpc::StatusCode::PERMISSION_DENIED) return Error(Errc::kUnavailable, status.error_message());
  if (!status.ok()) return Error(Errc::kIndeterminate, "the connection to the primary was lost; look whether it was done");
  if (told.error() != 0) return Error(static_cast<Errc>(told.error()), told.message());
  return std::move(*told.mutable_text());
}

Result<void> GrpcTransport::report_purge(NodeId to, std::uint64_t request, const PurgeReport& report) {
  const auto link = state_->link(to);
  if (link == nullptr) return Error(Errc::kUnavailable, "that server is not among this member's peers");
  State::Call call(*state_);
  call.context.AddMetadata("vexor-node", std::to_string(state_->options.self));
  call.context.set_deadline(std::chrono::system_clock::now() + kReportSecondsMax);
  peer::PurgeReport out;
  out.set_request(request);
  out.set_began_ms(report.began_ms);
  out.set_ended_ms(report.ended_ms);
  out.set_journal_records(report.journal_records);
  out.set_compacted_bytes(report.compacted_bytes);
  peer::PurgeReported told;
  const grpc::Status status = link->stub().ReportPurge(&call.context, out, &told);
  if (status.ok()) return success();
  return Error(status.error_code() == grpc::StatusCode::NOT_FOUND ? Errc::kNotFound : Errc::kUnavailable, "a report of a purge: " + status.error_message());
}

std::unique_ptr<CopyPeer> GrpcTransport::copy_peer(NodeId from) {
  const auto link = state_->link(from);
  return link == nullptr ? nullptr : make_copy_peer(state_->options.self, link->stub());
}

std::unique_ptr<RowsCall> GrpcTransport::offer_rows(NodeId to, const RowsOffer& offer) {
  const RowsWay way = state_->way_to(to);
  const auto link = state_->link(to);
  if (link == nullptr) return nullptr;
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("vexor-node", std::to_string(state_->options.self));
  return make_rows_call(std::move(context), link->stub(), offer, way);
}

Result<void> GrpcTransport::fetch_rows(NodeId from, Bytes record, RowsWriter& writer) {
  VEXOR_TRY(const RecordPlace place, place_of_record(record));
  const auto link = state_->link(from);
  if (link == nullptr) return Error(Errc::kUnavailable, "no such member");
  State::Call call(*state_, from);
  call.context.AddMetadata("vexor-node", std::to_string(state_->options.self));
  peer::RowsRequest request;
  request.set_sequence(place.position.sequence);
  request.set_hash(place.position.hash);
  request.set_takes_link_rows(true);
  const auto stream = link->stub().ReadRows(&call.context, request);
  peer::RowsPiece piece;
  const auto take = [&]() -> Result<void> {
    std::string room;
    VEXOR_TRY(const Bytes rows, rows_of(piece, room));
    return writer.add(rows);
  };
  while (stream->Read(&piece)) {
    auto added = take();
    if (added.has_error()) {
      call.context.TryCancel();
      (void)stream->Finish();
      return added;
    }
  }
  const grpc::Status status = stream->Finish();
  if (!status.ok()) return Error(Errc::kUnavailable, "rows of a large push: " + status.error_message());
  return success();
}

}  // namespace vexor::replication
