#include "common/resuming_session.h"

#include "common/retry_pause.h"

#include <zlib.h>

#include <algorithm>
#include <thread>

namespace vexor::frontend {

using protocol::Wants;

namespace {
constexpr std::size_t kPieceBytes = 256 * 1024;

std::uint32_t add_to_checksum(std::uint32_t checksum, Bytes bytes) {
  return static_cast<std::uint32_t>(crc32_z(checksum, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}
}  // namespace

bool ResumingSession::may_go_on() const {
  const Error* failure = inner_->failure();
  return failure != nullptr && failure->code() == Errc::kUnavailable && is_whole_ && !differs_ && tries_ < kTriesMax;
}

Wants ResumingSession::wants() const {
  if (differs_) return Wants::kDone;
  if (may_go_on()) return Wants::kWork;
  const Wants inner = inner_->wants();
  if (!replaying_ || (inner == Wants::kOutput && skipped_ == told_)) return inner;
  return Wants::kWork;
}

std::size_t ResumingSession::feed(Bytes input) {
  const std::size_t used = inner_->feed(input);
  if (is_whole_ && sent_.size() + used <= kInputBytesMax) {
    sent_.append(input.substr(0, used));
  } else {
    is_whole_ = false;
    sent_ = std::string();
  }
  return used;
}

void ResumingSession::end_of_input() {
  ended_ = true;
  inner_->end_of_input();
}

void ResumingSession::count(Bytes told) {
  told_checksum_ = add_to_checksum(told_checksum_, told);
  told_ += told.size();
  skipped_ = told_;
  skipped_checksum_ = told_checksum_;
}

std::size_t ResumingSession::drain(std::span<char> room) {
  const std::size_t count_of = inner_->drain(room);
  count(Bytes(room.data(), count_of));
  return count_of;
}

void ResumingSession::take_output(std::string& out, std::size_t front) {
  inner_->take_output(out, front);
  count(Bytes(out).substr(front));
}

void ResumingSession::run_work() {
  if (may_go_on()) go_on();
  else if (replaying_) replay();
  else inner_->run_work();
}

void ResumingSession::go_on() {
  // The server that is gone may count as the primary for some time yet.
  std::this_thread::sleep_for(retry_pause(tries_));
  ++tries_;
  auto next = open_();
  if (next.has_error()) {
    tries_ = kTriesMax;  // the failure stands
    return;
  }
  inner_ = std::move(next).value();
  replaying_ = true;
  replayed_ = 0;
  replayed_end_ = false;
  skipped_ = 0;
  skipped_checksum_ = 0;
}

// One step.
void ResumingSession::replay() {
  switch (inner_->wants()) {
    case Wants::kWork: return inner_->run_work();
    case Wants::kOutput: return skip_told();
    case Wants::kInput:
      if (replayed_ < sent_.size()) {
        replayed_ += inner_->feed(Bytes(sent_).substr(replayed_, kPieceBytes));
      } else if (ended_ && !replayed_end_) {
        replayed_end_ = true;
        inner_->end_of_input();
      } else {
        replaying_ = false;
      }
      break;
    case Wants::kDone: replaying_ = false; break;
  }
  if (!replaying_ && skipped_ != told_ && inner_->failure() == nullptr) {
    differs_.emplace(Errc::kUnavailable, "another server of the replica set would answer otherwise; fetch again");
  }
}

void ResumingSession::skip_told() {
  std::string room(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, told_ - skipped_)), '\0');
  const std::size_t drained = inner_->drain(room);
  skipped_checksum_ = add_to_checksum(skipped_checksum_, Bytes(room).substr(0, drained));
  skipped_ += drained;
  if (skipped_ == told_ && skipped_checksum_ != told_checksum_) {
    differs_.emplace(Errc::kUnavailable, "another server of the replica set would answer otherwise; fetch again");
  }
}

}  // namespace vexor::frontend
