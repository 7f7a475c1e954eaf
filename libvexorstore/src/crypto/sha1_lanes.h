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
  Sha1State middle;  // working state before step sha1_middle(vector)
  Sha1State after;   // chaining value
  unsigned vector;   // index of kDisturbanceVectors
};

struct Sha1Lanes {
  std::size_t lanes;
  // vectors[i]: a bit for each vector whose conditions blocks + 64 * i meets. count: 1 to lanes.
  void (*check)(const char* blocks, std::size_t count, std::uint32_t* vectors);
  // The same, and hashes the blocks meanwhile: see sha1_compress. Null if the CPU has no instructions for SHA-1; those
  // leave most of the core idle.
  void (*compress_and_check)(Sha1State& state, const char* blocks, std::size_t count, Sha1Trace* traces, Sha1State* after,
                             std::uint32_t* vectors);
  // Whether any of the suspects is half of a collision. count: 1 to lanes; vectors of one sha1_middle().
  bool (*confirm)(const Sha1Suspect* suspects, std::size_t count);
  // Hashes and checks one block of each of `lanes` messages. States are word by word: before[word * lanes + lane].
  void (*compress_each)(const std::uint32_t* before, const char* const* blocks, std::uint32_t* after, std::uint32_t* vectors);
};

// The best that the CPU can do for so many blocks to check, and suspects to confirm.
const Sha1Lanes& sha1_lanes(const Sha1Cpu& cpu, std::size_t blocks);
const Sha1Lanes& sha1_lanes_to_confirm(const Sha1Cpu& cpu, std::size_t suspects);

// For compress_each of many messages; null: one after the other is as fast.
const Sha1Lanes* sha1_lanes_for_many(const Sha1Cpu& cpu);

// Which of kSha1Middles is the vector's: there both messages have the same state.
std::size_t sha1_middle(unsigned vector);

}  // namespace vexor
