// The two tests behind collision detection, on many blocks at once. Any thread.
//
// Counter-cryptanalysis (Stevens 2013): an attack needs two messages whose blocks differ by the expanded difference of
// one of few disturbance vectors. From one of the two the other follows, so a block is enough to see the attack. Which
// vectors to try is said by conditions that every attack meets (Stevens and Shumow 2017): `check` finds those whose
// conditions hold, `confirm` computes the other block's end and tells whether the two collide.
#pragma once

#include "crypto/sha1.h"

namespace vexor {

inline constexpr std::size_t kSha1LanesMax = 16;

struct Sha1Suspect {
  const char* block;
  Sha1State before;  // chaining values around the block
  Sha1State after;
  unsigned vector;  // index of kDisturbanceVectors
};

struct Sha1Lanes {
  std::size_t lanes;
  // vectors[i]: a bit for each vector whose conditions blocks + 64 * i meets. count: 1 to lanes.
  void (*check)(const char* blocks, std::size_t count, std::uint32_t* vectors);
  // The same, and hashes the blocks meanwhile: `before` receives the state before each. Null if the CPU has no
  // instructions for SHA-1; those leave most of the core idle.
  void (*compress_and_check)(Sha1State& state, const char* blocks, std::size_t count, Sha1State* before,
                             std::uint32_t* vectors);
  // Whether any of the suspects is half of a collision. count: 1 to lanes; vectors of one sha1_middle_index().
  bool (*confirm)(const Sha1Suspect* suspects, std::size_t count);
};

// The best that the CPU can do for so many blocks or suspects.
const Sha1Lanes& sha1_lanes(const Sha1Cpu& cpu, std::size_t count);

// Suspects that are confirmed together have the same: which of kSha1Middles their vector has.
std::size_t sha1_middle_index(unsigned vector);

}  // namespace vexor
