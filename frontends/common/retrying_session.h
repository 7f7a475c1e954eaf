// RetryingSession: a push that is begun again, unseen by its client, when the server that ran it was not the primary any
// more: before anything was changed (kUnavailable), or when it is not known whether it was (kIndeterminate). The repetition
// is told of the latter, and takes what it finds committed as its own (protocol::ReceivePackOptions::may_be_done_after).
//
// Threads: as of a Session. Keeps all that the client sent, in a file if it is much (ReplayBuffer).
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "common/replay_buffer.h"
#include "vexorstore/protocol/session.h"
#include "vexorstore/result.h"

namespace vexor::frontend {

class RetryingSession final : public protocol::Session {
 public:
  struct Repetition {
    bool may_be_done = false;  // an earlier run had an unknown outcome
    bool is_open = false;      // the last one had
  };
  // Errors: kUnavailable (tried again some times), others (the failure of the last run stands).
  using Open = std::function<Result<std::unique_ptr<protocol::Session>>(Repetition why)>;
  // `is_stateless`: it does not begin with an advertisement.
  RetryingSession(std::unique_ptr<protocol::Session> first, Open open, bool is_stateless, std::filesystem::path scratch_directory)
      : inner_(std::move(first)), open_(std::move(open)), is_stateless_(is_stateless), sent_(std::move(scratch_directory)) {}

  protocol::Wants wants() const override;
  std::size_t feed(Bytes input) override;
  void end_of_input() override;
  std::size_t drain(std::span<char> room) override {
    has_told_ = true;
    return inner_->drain(room);
  }
  void take_output(std::string& out, std::size_t front) override {
    has_told_ = true;
    inner_->take_output(out, front);
  }
  void run_work() override;
  bool waits_for_others() const override { return may_begin_again() || inner_->waits_for_others(); }
  Bytes keep_alive() const override { return inner_->keep_alive(); }
  const Error* failure() const override {
    if (broken_) return &*broken_;
    const Error* now = inner_->failure();
    return now != nullptr && unknown_ ? &*unknown_ : now;
  }

 private:
  bool may_begin_again() const;
  void begin_again();
  void give_up();
  void replay();

  std::unique_ptr<protocol::Session> inner_;
  Open open_;
  bool is_stateless_;
  ReplayBuffer sent_;           // by the client
  bool is_whole_ = true;        // sent_ holds all of it
  bool has_told_ = false;       // anything, to the client
  bool ended_ = false;          // the client sends no more
  bool replaying_ = false;
  bool in_advertisement_ = false;
  std::uint64_t replayed_ = 0;
  bool replayed_end_ = false;
  int tries_ = 0;
  int unreachable_ = 0;  // how often there was no primary
  std::optional<Error> broken_;   // what the client sent cannot be read again
  std::optional<Error> unknown_;  // of the first run whose end was not seen: a later failure makes it no better known
};

}  // namespace vexor::frontend
