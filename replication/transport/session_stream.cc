#include "replication/transport/session_stream.h"

#include <algorithm>
#include <optional>

namespace vexor::replication {

using protocol::Session;
using protocol::Wants;

namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr std::size_t kHeldBytesMax = 64U << 20U;  // of a report that is not whole yet

ForwardedRequest from_wire(const peer::SessionOpen& open) {
  ForwardedRequest out;
  out.is_push = !open.is_read();
  out.repository = open.repository();
  out.account = open.account();
  out.account_name = open.account_name();
  out.git_protocol = open.git_protocol();
  out.stateless = open.stateless();
  out.advertise_only = open.advertise_only();
  out.session_id = open.session_id();
  if (open.has_may_be_done_after()) out.may_be_done_after = open.may_be_done_after();
  if (open.has_recalls_at() && open.is_read()) out.recalls_at = open.recalls_at();
  return out;
}

class RemoteSession final : public Session {
 public:
  RemoteSession(std::shared_ptr<grpc::ClientContext> context, peer::Peer::Stub& member, const ForwardedRequest& request)
      : context_(std::move(context)), stream_(member.RunSession(context_.get())), is_push_(request.is_push) {
    peer::SessionInput first;
    peer::SessionOpen& open = *first.mutable_open();
    open.set_is_read(!request.is_push);
    open.set_repository(request.repository);
    open.set_account(request.account);
    open.set_account_name(request.account_name);
    open.set_git_protocol(request.git_protocol);
    open.set_stateless(request.stateless);
    open.set_advertise_only(request.advertise_only);
    open.set_session_id(request.session_id);
    if (request.may_be_done_after) open.set_may_be_done_after(*request.may_be_done_after);
    if (request.recalls_at) open.set_recalls_at(*request.recalls_at);
    if (!stream_->Write(first)) lost();
  }
  ~RemoteSession() override {
    context_->TryCancel();
    (void)stream_->Finish();
  }

  Wants wants() const override {
    if (output_.size() > output_at_) return Wants::kOutput;
    if (done_) return Wants::kDone;
    return wants_input_ && input_.empty() && !ended_ ? Wants::kInput : Wants::kWork;
  }
  std::size_t feed(Bytes input) override {
    input_.append(input);
    return input.size();
  }
  void end_of_input() override { ended_ = true; }
  std::size_t drain(std::span<char> room) override {
    const std::size_t count = std::min(room.size(), output_.size() - output_at_);
    std::copy_n(output_.data() + output_at_, count, room.data());
    output_at_ += count;
    if (output_at_ == output_.size()) clear_output();
    return count;
  }
  void take_output(std::string& out, std::size_t front) override {
    out.assign(front, '\0');
    out.append(output_, output_at_);
    clear_output();
  }
  void run_work() override {
    if (wants_input_ && !(input_.empty() && !ended_)) send_input();
    peer::SessionOutput told;
    if (!stream_->Read(&told)) return lost();
    held_ += told.output();
    if (!told.goes_on() || held_.size() > kHeldBytesMax) {
      output_ += held_;
      held_.clear();
    }
    keep_alive_ = told.keep_alive();
    wants_input_ = told.wants_input();
    waits_for_input_ = waits_for_input_ || wants_input_;
    done_ = told.done();
    if (told.error() != 0) failure_.emplace(static_cast<Errc>(told.error()), told.message());
  }
  bool waits_for_others() const override { return true; }
  Bytes keep_alive() const override { return keep_alive_; }
  const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }

 private:
  void send_input() {
    peer::SessionInput next;
    if (!input_.empty()) {
      next.set_input(std::move(input_));
      input_.clear();
    } else {
      next.set_end(true);
    }
    wants_input_ = false;
    waits_for_input_ = false;
    (void)stream_->Write(next);  // Read tells
  }
  // A push is not whole while the primary waits for more of it.
  void lost() {
    done_ = true;
    if (waits_for_input_ || !is_push_) failure_.emplace(Errc::kUnavailable, "the connection to another server of the replica set was lost; try again");
    else failure_.emplace(Errc::kIndeterminate, "the connection to the primary was lost in the middle of a push");
  }
  void clear_output() {
    output_.clear();
    output_at_ = 0;
  }

  std::shared_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReaderWriter<peer::SessionInput, peer::SessionOutput>> stream_;
  std::string input_;
  bool is_push_;
  bool ended_ = false;
  std::string keep_alive_;
  std::string held_;  // of a report that is not whole yet
  std::string output_;
  std::size_t output_at_ = 0;
  bool wants_input_ = false;  // the primary does
  bool waits_for_input_ = true;  // it had taken all that it was sent, and asked for more or for the first
  bool done_ = false;
  std::optional<Error> failure_;
};

// `rest`: what is still to be said goes with it, so that the other end has both in one turn.
bool tell_end(grpc::ServerReaderWriter<peer::SessionOutput, peer::SessionInput>& stream, const Error* failure, Session* rest = nullptr) {
  peer::SessionOutput last;
  last.set_done(true);
  while (rest != nullptr && rest->wants() == Wants::kOutput) {
    std::string more;
    rest->take_output(more, 0);
    *last.mutable_output() += more;
  }
  if (failure != nullptr) {
    last.set_error(static_cast<std::uint32_t>(failure->code()));
    last.set_message(failure->message());
  }
  return stream.Write(last);
}

// False: the other end is gone.
bool take_input(grpc::ServerReaderWriter<peer::SessionOutput, peer::SessionInput>& stream, Session& session) {
  peer::SessionOutput ask;
  ask.set_wants_input(true);
  peer::SessionInput next;
  if (!stream.Write(ask) || !stream.Read(&next)) return false;
  if (next.part_case() == peer::SessionInput::kEnd) {
    session.end_of_input();
    return true;
  }
  if (next.part_case() != peer::SessionInput::kInput) return false;
  for (std::size_t used = 0; used < next.input().size() && session.wants() != Wants::kDone;) {
    used += session.feed(Bytes(next.input()).substr(used));
    while (used < next.input().size() && session.wants() == Wants::kWork) session.run_work();
    if (session.wants() == Wants::kOutput && used < next.input().size()) {
      peer::SessionOutput out;
      session.take_output(*out.mutable_output(), 0);
      if (!stream.Write(out)) return false;
    }
  }
  return true;
}

}  // namespace

grpc::Status run_forwarded(const OpenForwarded& open, grpc::ServerReaderWriter<peer::SessionOutput, peer::SessionInput>& stream) {
  peer::SessionInput first;
  if (!stream.Read(&first) || first.part_case() != peer::SessionInput::kOpen) return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "no session opened");
  auto opened = open(from_wire(first.open()));
  if (opened.has_error()) {
    (void)tell_end(stream, &opened.error());
    return grpc::Status::OK;
  }
  Session& session = *opened.value();
  bool has_asked = false;
  std::string keep_alive;  // that the other end may use
  for (;;) {
    switch (session.wants()) {
      case Wants::kOutput: {
        keep_alive.clear();
        peer::SessionOutput out;
        out.mutable_output()->resize(kPieceBytes);
        out.mutable_output()->resize(session.drain(std::span<char>(*out.mutable_output())));
        out.set_goes_on(has_asked && !first.open().is_read() && session.wants() == Wants::kOutput);
        if (!stream.Write(out)) return grpc::Status::CANCELLED;
        break;
      }
      case Wants::kWork:
        if (const Bytes now = session.keep_alive(); now != Bytes(keep_alive)) {
          keep_alive = std::string(now);
          peer::SessionOutput out;
          out.set_keep_alive(keep_alive);
          if (!stream.Write(out)) return grpc::Status::CANCELLED;
        }
        session.run_work();
        if (session.failure() != nullptr) {
          (void)tell_end(stream, session.failure(), &session);
          return grpc::Status::OK;
        }
        break;
      case Wants::kInput:
        keep_alive.clear();
        has_asked = true;
        if (!take_input(stream, session)) return grpc::Status::CANCELLED;
        break;
      case Wants::kDone: (void)tell_end(stream, session.failure()); return grpc::Status::OK;
    }
  }
}

Result<std::unique_ptr<Session>> make_remote_session(std::shared_ptr<grpc::ClientContext> context, peer::Peer::Stub& member, const ForwardedRequest& request) {
  std::unique_ptr<Session> out = std::make_unique<RemoteSession>(std::move(context), member, request);
  if (request.is_push) return out;  // was judged here
  out->run_work();
  const Error* refused = out->failure();
  if (refused != nullptr && refused->code() != Errc::kUnavailable) return Error(refused->code(), std::string(refused->message()));
  return out;
}

}  // namespace vexor::replication
