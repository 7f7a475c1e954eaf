// SHA-1 that tells whether the message was made by a collision attack. One object belongs to one thread at a time.
#pragma once

#include "crypto/sha1_lanes.h"

namespace vexor {

class DetectingSha1 {
 public:
  struct Digest {
    std::array<char, 20> bytes;
    bool attack;  // a block of the message is half of a collision along a known disturbance vector
  };

  explicit DetectingSha1(const Sha1Cpu& cpu = Sha1Cpu::detect()) : cpu_(cpu) {}
  // Goes on behind `blocks` whole blocks of the message that led to `state`.
  DetectingSha1(const Sha1Cpu& cpu, const Sha1State& state, std::uint64_t blocks) : cpu_(cpu), state_(state), message_bytes_(blocks * kSha1BlockBytes) {}
  void update(Bytes piece);
  Digest finish();  // once, as the last call

 private:
  static constexpr std::size_t kBatchBytes = kSha1LanesMax * kSha1BlockBytes;

  void process(const char* blocks, std::size_t count);
  void suspect(const char* block, const Sha1Trace& trace, const Sha1State& after, std::uint32_t vectors);
  void confirm();

  Sha1Cpu cpu_;
  Sha1State state_ = kSha1Initial;
  std::uint64_t message_bytes_ = 0;
  std::size_t pending_bytes_ = 0;
  bool attack_ = false;
  std::size_t suspects_ = 0;                          // not confirmed yet
  std::array<Sha1Suspect, kSha1LanesMax> suspect_;    // left uninitialised, as all below
  std::array<char, kBatchBytes> suspect_blocks_;
  alignas(64) std::array<char, kBatchBytes> pending_;
};

}  // namespace vexor
