#include "crypto/detecting_sha1.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace vexor {

void DetectingSha1::process(const char* blocks, std::size_t count) {
  while (count != 0) {
    const Sha1Lanes& lanes = sha1_lanes(cpu_, count);
    const std::size_t now = std::min(count, lanes.lanes);
    std::uint32_t vectors[kSha1LanesMax];
    Sha1Trace traces[kSha1LanesMax];
    Sha1State after[kSha1LanesMax];
    if (lanes.compress_and_check != nullptr) {
      lanes.compress_and_check(state_, blocks, now, traces, after, vectors);
    } else {
      sha1_compress(cpu_, state_, blocks, now, traces, after);
      lanes.check(blocks, now, vectors);
    }
    for (std::size_t i = 0; i < now; ++i)
      if (vectors[i] != 0) suspect(blocks + i * kSha1BlockBytes, traces[i], after[i], vectors[i]);
    blocks += now * kSha1BlockBytes;
    count -= now;
  }
}

// Suspects are rare and confirmed together: many at once cost hardly more than one.
void DetectingSha1::suspect(const char* block, const Sha1Trace& trace, const Sha1State& after, std::uint32_t vectors) {
  for (; vectors != 0; vectors &= vectors - 1) {
    const auto vector = static_cast<unsigned>(std::countr_zero(vectors));
    char* const copy = suspect_blocks_.data() + suspects_ * kSha1BlockBytes;
    std::memcpy(copy, block, kSha1BlockBytes);
    suspect_[suspects_++] = {copy, trace.middle(sha1_middle(vector)), after, vector};
    if (suspects_ == kSha1LanesMax) confirm();
  }
}

void DetectingSha1::confirm() {
  const auto end = suspect_.begin() + static_cast<std::ptrdiff_t>(suspects_);
  for (auto from = suspect_.begin(); from != end;) {
    const std::size_t middle = sha1_middle(from->vector);
    const auto to = std::partition(from, end, [middle](const Sha1Suspect& it) { return sha1_middle(it.vector) == middle; });
    while (from != to) {
      const auto left = static_cast<std::size_t>(to - from);
      const Sha1Lanes& lanes = sha1_lanes_to_confirm(cpu_, left);
      const std::size_t now = std::min(left, lanes.lanes);
      if (lanes.confirm(&*from, now)) attack_ = true;
      from += static_cast<std::ptrdiff_t>(now);
    }
  }
  suspects_ = 0;
}

void DetectingSha1::update(Bytes piece) {
  message_bytes_ += piece.size();
  if (pending_bytes_ != 0) {
    const std::size_t taken = std::min(piece.size(), kBatchBytes - pending_bytes_);
    std::memcpy(pending_.data() + pending_bytes_, piece.data(), taken);
    pending_bytes_ += taken;
    piece.remove_prefix(taken);
    if (pending_bytes_ < kBatchBytes) return;
    process(pending_.data(), kSha1LanesMax);
    pending_bytes_ = 0;
  }
  const std::size_t whole = piece.size() / kBatchBytes * kBatchBytes;
  process(piece.data(), whole / kSha1BlockBytes);
  piece.remove_prefix(whole);
  if (!piece.empty()) std::memcpy(pending_.data(), piece.data(), piece.size());
  pending_bytes_ = piece.size();
}

DetectingSha1::Digest DetectingSha1::finish() {
  constexpr std::size_t kLengthBytes = 8;
  if (pending_bytes_ + 1 + kLengthBytes > kBatchBytes) {  // the end does not fit
    const std::size_t whole = pending_bytes_ / kSha1BlockBytes;
    process(pending_.data(), whole);
    pending_bytes_ -= whole * kSha1BlockBytes;
    std::memmove(pending_.data(), pending_.data() + whole * kSha1BlockBytes, pending_bytes_);
  }
  const std::size_t blocks = (pending_bytes_ + 1 + kLengthBytes + kSha1BlockBytes - 1) / kSha1BlockBytes;
  char* const end = pending_.data() + blocks * kSha1BlockBytes;
  std::memset(pending_.data() + pending_bytes_, 0, blocks * kSha1BlockBytes - pending_bytes_);
  pending_[pending_bytes_] = static_cast<char>(0x80);
  for (int i = 0; i < 8; ++i) end[-1 - i] = static_cast<char>(message_bytes_ * 8 >> 8 * i);
  process(pending_.data(), blocks);
  confirm();
  Digest out = {{}, attack_};
  for (std::size_t i = 0; i < out.bytes.size(); ++i) out.bytes[i] = static_cast<char>(state_[i / 4] >> (24 - i % 4 * 8));
  return out;
}

}  // namespace vexor
