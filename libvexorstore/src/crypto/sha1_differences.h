// What two blocks that follow a disturbance vector differ in. All of it follows from the vector's definition.
#pragma once

#include <array>
#include <bit>

#include "crypto/sha1.h"
#include "crypto/sha1_conditions.h"

namespace vexor {

inline constexpr std::size_t kDisturbanceVectorCount = std::size(kDisturbanceVectors);

struct Sha1Difference {
  std::array<std::uint32_t, 16> message;  // of the block's words; those of the expanded message follow
  std::size_t middle;  // index of kSha1Middles: before that step the states are equal, five words of the vector are zero
};

constexpr Sha1Difference sha1_difference(const DisturbanceVector& vector) {
  constexpr int kBefore = 5;  // the words from -5 on
  std::uint32_t words[kBefore + 80] = {};
  const auto word = [&words](int step) -> std::uint32_t& { return words[step + kBefore]; };
  word(vector.k + 15) = std::rotl(1U, static_cast<int>(vector.b));
  if (vector.type == 2) word(vector.k + 1) = word(vector.k + 3) = std::rotl(1U << 31, static_cast<int>(vector.b));
  for (int t = vector.k + 16; t < 80; ++t) word(t) = std::rotl(word(t - 3) ^ word(t - 8) ^ word(t - 14) ^ word(t - 16), 1);
  for (int t = vector.k - 1; t >= -kBefore; --t)
    word(t) = std::rotr(word(t + 16), 1) ^ word(t + 13) ^ word(t + 8) ^ word(t + 2);
  Sha1Difference out = {};
  for (int t = 0; t < 16; ++t)  // a local collision: a disturbance and its five corrections
    out.message[static_cast<std::size_t>(t)] = word(t) ^ std::rotl(word(t - 1), 5) ^ word(t - 2) ^
                                               std::rotl(word(t - 3) ^ word(t - 4) ^ word(t - 5), 30);
  const auto equal_before = [&word](int step) {
    for (int t = step - 5; t < step; ++t)
      if (word(t) != 0) return false;
    return true;
  };
  // Step 60 where it will do, so that most suspects can be confirmed together.
  for (const std::size_t index : {1U, 2U, 3U, 0U}) {
    out.middle = index;
    if (equal_before(kSha1Middles[index])) return out;
  }
  out.middle = kSha1Middles.size();
  return out;
}

inline constexpr auto kSha1Differences = [] {
  std::array<Sha1Difference, kDisturbanceVectorCount> out = {};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = sha1_difference(kDisturbanceVectors[i]);
  return out;
}();
static_assert([] {
  for (const Sha1Difference& difference : kSha1Differences)
    if (difference.middle == kSha1Middles.size()) return false;
  return true;
}());

}  // namespace vexor
