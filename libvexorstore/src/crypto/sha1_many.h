// SHA-1 with collision detection of many messages at once: each in a lane of the CPU's wide registers, which is
// faster than one after the other where they are wide enough. Any thread.
#pragma once

#include <span>

#include "crypto/detecting_sha1.h"

namespace vexor {

struct Sha1Message {
  Bytes head;  // shorter than a block
  Bytes body;
  DetectingSha1::Digest digest{};  // the answer
};

void sha1_many(const Sha1Cpu& cpu, std::span<Sha1Message> messages);

}  // namespace vexor
