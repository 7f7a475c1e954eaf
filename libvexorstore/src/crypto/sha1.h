// The compression function of SHA-1 (FIPS 180-4), by the CPU's instructions where it has them. Any thread.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "vexorstore/bytes.h"

namespace vexor {

inline constexpr std::size_t kSha1BlockBytes = 64;

using Sha1State = std::array<std::uint32_t, 5>;
inline constexpr Sha1State kSha1Initial = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
inline constexpr std::array<std::uint32_t, 4> kSha1Round = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};

// Which instructions may be used. Tests take some away; detect() is what this CPU and its kernel have.
struct Sha1Cpu {
  bool sha = false;         // SHA extensions, SSE4.1
  bool avx2 = false;        // 8 lanes
  bool avx512_256 = false;  // 8 lanes, the instructions of AVX-512 (F, BW, VL)
  bool avx512 = false;      // 16 lanes (F, BW)
  static const Sha1Cpu& detect();
};

inline std::uint32_t sha1_load(const char* at) {
  const auto byte = [at](int index) { return std::uint32_t{static_cast<unsigned char>(at[index])}; };
  return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
}

// Steps before which a block's working state is kept, for collision detection.
inline constexpr std::array<int, 4> kSha1Middles = {56, 60, 64, 68};

struct Sha1Trace {
  alignas(16) std::array<std::array<std::uint32_t, 4>, 5> points;  // d, c, b, a before the steps 52, 56, ..., 68

  Sha1State middle(std::size_t index) const {  // before step kSha1Middles[index]; e is a of four steps ago
    const auto& now = points[index + 1];
    return {now[3], now[2], now[1], now[0], std::rotl(points[index][3], 30)};
  }
};

// Hashes whole blocks; keeps a trace and the state after each of them.
void sha1_compress(const Sha1Cpu& cpu, Sha1State& state, const char* blocks, std::size_t count, Sha1Trace* traces,
                   Sha1State* after);

}  // namespace vexor
