#include "common/retrying_session.h"

#include "common/retry_pause.h"

#include <algorithm>
#include <thread>

namespace vexor::frontend {

using protocol::Wants;

namespace {
constexpr int kTriesMax = 100;
constexpr int kUnreachableMax = 4;  // each of these has waited for a primary for some seconds
constexpr std::size_t kPieceBytes = 64 * 1024;
}  // namespace

Wants RetryingSession::wants() const {
  if (broken_) return Wants::kDone;
  if (may_begin_again()) return Wants::kWork;  // it failed before its first turn
  const Wants inner = inner_->wants();
  return replaying_ && (inner != Wants::kOutput || in_advertisement_) ? Wants::kWork : inner;
}

std::size_t RetryingSession::feed(Bytes input) {
  const std::size_t used = inner_->feed(input);
  if (is_whole_ && sent_.append(input.substr(0, used)).has_error()) {
    is_whole_ = false;  // it goes on, and is not begun again
    sent_.clear();
  }
  return used;
}

void RetryingSession::end_of_input() {
  ended_ = true;
  inner_->end_of_input();
}

bool RetryingSession::may_begin_again() const {
  const Error* failure = inner_->failure();
  const bool is_worth_it = failure != nullptr && (failure->code() == Errc::kUnavailable || failure->code() == Errc::kIndeterminate);
  return is_worth_it && is_whole_ && (sent_.size() > 0 || !has_told_) && tries_ < kTriesMax;
}

// What the failed one wanted to say in this turn is dropped with it.
void RetryingSession::begin_again() {
  const bool is_open = inner_->failure()->code() == Errc::kIndeterminate;
  if (is_open && !unknown_) unknown_.emplace(inner_->failure()->code(), std::string(inner_->failure()->message()));
  Result<std::unique_ptr<protocol::Session>> again = nullptr;
  do {
    // The next primary is found by asking again: it may be this server, or one that this server does not know yet.
    std::this_thread::sleep_for(retry_pause(tries_));
    ++tries_;
    again = open_({unknown_.has_value(), is_open});
  } while (again.has_error() && again.error().code() == Errc::kUnavailable && ++unreachable_ < kUnreachableMax && tries_ < kTriesMax);
  if (again.has_error()) return give_up();  // the failed one's report stands
  inner_ = std::move(again).value();
  replaying_ = sent_.size() > 0 || ended_;
  in_advertisement_ = !is_stateless_;
  replayed_ = 0;
  replayed_end_ = false;
}

void RetryingSession::give_up() {
  tries_ = kTriesMax;
  replaying_ = false;
}

void RetryingSession::run_work() {
  if (!may_begin_again()) replaying_ ? replay() : inner_->run_work();
  if (may_begin_again()) begin_again();
}

// One step.
void RetryingSession::replay() {
  switch (inner_->wants()) {
    case Wants::kWork: return inner_->run_work();
    case Wants::kOutput: {  // the advertisement: the client has one
      if (inner_->failure() != nullptr) {  // that the client is to be told
        replaying_ = in_advertisement_ = false;
        return;
      }
      std::string dropped;
      return inner_->take_output(dropped, 0);
    }
    case Wants::kInput:
      in_advertisement_ = false;
      if (replayed_ < sent_.size()) {
        const auto piece = sent_.read(replayed_, kPieceBytes);
        if (piece.has_error()) {
          broken_ = unknown_ ? unknown_->clone() : piece.error().clone();
          return give_up();
        }
        replayed_ += inner_->feed(piece.value());
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
