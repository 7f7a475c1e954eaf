#include "common/resuming_session.h"

#include <libdeflate.h>

#include <algorithm>

namespace vexor::frontend {

using protocol::Wants;

namespace {
constexpr std::size_t kPieceBytes = 256 * 1024;
}  // namespace

bool ResumingSession::may_go_on() const {
  const Error* failure = inner_->failure();
  return failure != nullptr && failure->code() == Errc::kUnavailable && is_whole_ && !differs_ && servers_ < kServersMax;
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
  told_checksum_ = libdeflate_crc32(told_checksum_, told.data(), told.size());
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
  ++servers_;
  auto next = open_();
  if (next.has_error()) {
    servers_ = kServersMax;  // the failure stands
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
  skipped_checksum_ = libdeflate_crc32(skipped_checksum_, room.data(), drained);
  skipped_ += drained;
  if (skipped_ == told_ && skipped_checksum_ != told_checksum_) {
    differs_.emplace(Errc::kUnavailable, "another server of the replica set would answer otherwise; fetch again");
  }
}

}  // namespace vexor::frontend
