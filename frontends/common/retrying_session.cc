#include "common/retrying_session.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace vexor::frontend {

using protocol::Wants;

namespace {
constexpr int kTriesMax = 100;
constexpr std::chrono::milliseconds kPauseFirst{5};
constexpr std::chrono::milliseconds kPauseMax{100};
constexpr std::size_t kPieceBytes = 64 * 1024;
}  // namespace

Wants RetryingSession::wants() const {
  const Wants inner = inner_->wants();
  return replaying_ && (inner != Wants::kOutput || in_advertisement_) ? Wants::kWork : inner;
}

std::size_t RetryingSession::feed(Bytes input) {
  const std::size_t used = inner_->feed(input);
  if (sent_.size() + used > kReplayBytesMax) {
    is_whole_ = false;
    sent_.clear();
  }
  if (is_whole_) sent_.append(input.substr(0, used));
  return used;
}

void RetryingSession::end_of_input() {
  ended_ = true;
  inner_->end_of_input();
}

bool RetryingSession::may_begin_again() const {
  const Error* failure = inner_->failure();
  return failure != nullptr && failure->code() == Errc::kUnavailable && is_whole_ && !sent_.empty() && tries_ < kTriesMax;
}

// What the failed one wanted to say in this turn is dropped with it.
void RetryingSession::begin_again() {
  std::this_thread::sleep_for(std::min(kPauseMax, kPauseFirst * (1 << std::min(tries_, 5))));
  ++tries_;
  auto again = open_();
  if (again.has_error()) {
    tries_ = kTriesMax;  // the failed one's report stands
    replaying_ = false;
    return;
  }
  inner_ = std::move(again).value();
  replaying_ = true;
  in_advertisement_ = !is_stateless_;
  replayed_ = 0;
  replayed_end_ = false;
}

void RetryingSession::run_work() {
  if (replaying_) replay();
  else inner_->run_work();
  if (may_begin_again()) begin_again();
}

// One step.
void RetryingSession::replay() {
  switch (inner_->wants()) {
    case Wants::kWork: return inner_->run_work();
    case Wants::kOutput: {  // the advertisement: the client has one
      std::string dropped;
      return inner_->take_output(dropped, 0);
    }
    case Wants::kInput:
      in_advertisement_ = false;
      if (replayed_ < sent_.size()) {
        replayed_ += inner_->feed(Bytes(sent_).substr(replayed_, kPieceBytes));
      } else if (ended_ && !replayed_end_) {
        replayed_end_ = true;
        inner_->end_of_input();
      } else {
        replaying_ = false;
      }
      return;
    case Wants::kDone: replaying_ = false; return;
  }
}

}  // namespace vexor::frontend
