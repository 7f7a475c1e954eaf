// RetryingSession: a push that is begun again, unseen by its client, when the server that ran it was not the
// primary any more before anything was changed (kUnavailable).
//
// Threads: as of a Session. Memory: what the client sent, up to kReplayBytesMax; a larger push is not begun again.
#pragma once

#include <functional>
#include <memory>

#include "vexorstore/protocol/session.h"
#include "vexorstore/result.h"

namespace vexor::frontend {

class RetryingSession final : public protocol::Session {
 public:
  using Open = std::function<Result<std::unique_ptr<protocol::Session>>()>;
  // `is_stateless`: it does not begin with an advertisement.
  RetryingSession(std::unique_ptr<protocol::Session> first, Open open, bool is_stateless)
      : inner_(std::move(first)), open_(std::move(open)), is_stateless_(is_stateless) {}

  protocol::Wants wants() const override;
  std::size_t feed(Bytes input) override;
  void end_of_input() override;
  std::size_t drain(std::span<char> room) override { return inner_->drain(room); }
  void take_output(std::string& out, std::size_t front) override { inner_->take_output(out, front); }
  void run_work() override;
  Bytes keep_alive() const override { return inner_->keep_alive(); }
  const Error* failure() const override { return inner_->failure(); }

  static constexpr std::size_t kReplayBytesMax = 8U << 20U;

 private:
  bool may_begin_again() const;
  void begin_again();
  void replay();

  std::unique_ptr<protocol::Session> inner_;
  Open open_;
  bool is_stateless_;
  std::string sent_;            // by the client
  bool is_whole_ = true;        // sent_ holds all of it
  bool ended_ = false;          // the client sends no more
  bool replaying_ = false;
  bool in_advertisement_ = false;
  std::size_t replayed_ = 0;
  bool replayed_end_ = false;
  int tries_ = 0;
};

}  // namespace vexor::frontend
