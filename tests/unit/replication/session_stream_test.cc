// What a client is told of a push that another member runs.
#include "replication/transport/session_stream.h"

#include <gtest/gtest.h>

#include "support/output_session.h"

namespace vexor::replication {
namespace {

using protocol::Wants;

constexpr std::size_t kReportBytes = 700'000;  // some messages of the stream

// Takes one piece of input, then reports. `breaks`: runs when a part of the report has left.
class Reporting final : public test::OutputSession {
 public:
  explicit Reporting(std::function<void()> breaks) : breaks_(std::move(breaks)) {}
  Wants wants() const override {
    if (!output_.empty()) return Wants::kOutput;
    return has_input_ ? Wants::kDone : Wants::kInput;
  }
  std::size_t feed(Bytes input) override {
    has_input_ = true;
    output_.assign(kReportBytes, 'r');
    return input.size();
  }
  std::size_t drain(std::span<char> room) override {
    if (breaks_ && output_.size() < kReportBytes) breaks_();
    return OutputSession::drain(room);
  }
  const Error* failure() const override { return nullptr; }

 private:
  std::function<void()> breaks_;
  bool has_input_ = false;
};

class Primary final : public peer::Peer::Service {
 public:
  explicit Primary(bool breaks) : breaks_(breaks) {
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    stub_ = peer::Peer::NewStub(server_->InProcessChannel({}));
  }
  ~Primary() override { server_->Shutdown(); }
  grpc::Status RunSession(grpc::ServerContext* context, grpc::ServerReaderWriter<peer::SessionOutput, peer::SessionInput>* stream) override {
    const auto tear = [context] { context->TryCancel(); };
    return run_forwarded([&](const ForwardedRequest&) -> Result<std::unique_ptr<protocol::Session>> {
      return std::unique_ptr<protocol::Session>(std::make_unique<Reporting>(breaks_ ? std::function<void()>(tear) : nullptr));
    }, *stream);
  }
  std::unique_ptr<protocol::Session> push() {
    ForwardedRequest request;
    request.is_push = true;
    return make_remote_session(std::make_shared<grpc::ClientContext>(), *stub_, request).value();
  }

 private:
  bool breaks_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<peer::Peer::Stub> stub_;
};

std::string told_of(protocol::Session& session) {
  std::string told;
  for (int turns = 0; turns < 1000 && session.wants() != Wants::kDone; ++turns) {
    std::string more;
    switch (session.wants()) {
      case Wants::kInput: session.feed("x"); break;
      case Wants::kWork: session.run_work(); break;
      default: session.take_output(more, 0);
    }
    told += more;
  }
  return told;
}

TEST(ForwardedSession, a_report_of_many_messages_is_told_whole) {
  Primary primary(false);
  const auto session = primary.push();
  EXPECT_EQ(told_of(*session), std::string(kReportBytes, 'r'));
  EXPECT_EQ(session->failure(), nullptr);
}

// Else another run could not report: its client would have half of a line before it.
TEST(ForwardedSession, of_a_report_that_is_torn_nothing_is_told) {
  Primary primary(true);
  const auto session = primary.push();
  EXPECT_EQ(told_of(*session), "");
  ASSERT_NE(session->failure(), nullptr);
  EXPECT_EQ(session->failure()->code(), Errc::kIndeterminate);
}

}  // namespace
}  // namespace vexor::replication
