#include "crypto/sha1_lanes.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "crypto/sha1_differences.h"

#if defined(__x86_64__)
#if !defined(__clang__)  // GCC's own headers: registers of unspecified content, on purpose
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "crypto/sha1_sha_ni.h"
#endif

namespace vexor {

namespace {

constexpr int kSliceSteps = 4;
constexpr int kSlices = 1 + (kSha1ConditionSteps - 16 + kSliceSteps - 1) / kSliceSteps;
static_assert(kSlices <= static_cast<int>(kSha1LanesMax));

constexpr std::size_t conditions_before(int step) {
  std::size_t count = 0;
  for (const Sha1Condition& it : kSha1Conditions) count += std::max(it.step, it.turned_step) < step ? 1U : 0U;
  return count;
}

// The block of each lane: one behind the other (the last again in lanes that are left over), or anywhere.
struct Run {
  const char* blocks;
  std::size_t count;
  const char* operator[](std::size_t lane) const { return blocks + kSha1BlockBytes * std::min(lane, count - 1); }
};
using Anywhere = const char* const*;

namespace one_lane {
#define VEXOR_LANES [[gnu::always_inline]] inline
#define VEXOR_LANES_OUTER
using V = std::uint32_t;
constexpr std::size_t kLanes = 1;
VEXOR_LANES V load(const std::uint32_t* at) { return *at; }
VEXOR_LANES void store(std::uint32_t* at, V x) { *at = x; }
VEXOR_LANES V all(std::uint32_t word) { return word; }
VEXOR_LANES V add(V x, V y) { return x + y; }
VEXOR_LANES V subtract(V x, V y) { return x - y; }
VEXOR_LANES V xor2(V x, V y) { return x ^ y; }
VEXOR_LANES V xor3(V x, V y, V z) { return x ^ y ^ z; }
VEXOR_LANES V or3(V x, V y, V z) { return x | y | z; }
VEXOR_LANES V choose(V x, V y, V z) { return z ^ (x & (y ^ z)); }
VEXOR_LANES V majority(V x, V y, V z) { return (x & y) | (z & (x | y)); }
template <int By>
VEXOR_LANES V rotl(V x) { return std::rotl(x, By); }
template <std::uint32_t Bits, std::uint32_t Want>
VEXOR_LANES V keep_where(V x, V y, std::uint32_t otherwise) { return (x & Bits) == Want ? y : y & otherwise; }
template <class Blocks>
VEXOR_LANES void load_blocks(const Blocks& blocks, V* w) {
  for (std::size_t i = 0; i < 16; ++i) w[i] = sha1_load(blocks[0] + 4 * i);
}
#include "crypto/sha1_lanes_body.inc"
#undef VEXOR_LANES
#undef VEXOR_LANES_OUTER
}  // namespace one_lane

// Whatever the compiler makes of four words: SSE2, NEON, or plain code.
namespace four_lanes {
#define VEXOR_LANES [[gnu::always_inline]] inline
#define VEXOR_LANES_OUTER
typedef std::uint32_t V __attribute__((vector_size(16)));
constexpr std::size_t kLanes = 4;
VEXOR_LANES V load(const std::uint32_t* at) { return V{at[0], at[1], at[2], at[3]}; }
VEXOR_LANES void store(std::uint32_t* at, V x) { std::memcpy(at, &x, sizeof x); }
VEXOR_LANES V all(std::uint32_t word) { return V{word, word, word, word}; }
VEXOR_LANES V add(V x, V y) { return x + y; }
VEXOR_LANES V subtract(V x, V y) { return x - y; }
VEXOR_LANES V xor2(V x, V y) { return x ^ y; }
VEXOR_LANES V xor3(V x, V y, V z) { return x ^ y ^ z; }
VEXOR_LANES V or3(V x, V y, V z) { return x | y | z; }
VEXOR_LANES V choose(V x, V y, V z) { return z ^ (x & (y ^ z)); }
VEXOR_LANES V majority(V x, V y, V z) { return (x & y) | (z & (x | y)); }
template <int By>
VEXOR_LANES V rotl(V x) {
  if constexpr (By == 0) return x;
  else return x << By | x >> (32 - By);
}
template <std::uint32_t Bits, std::uint32_t Want>
VEXOR_LANES V keep_where(V x, V y, std::uint32_t otherwise) {
  const auto met = (x & all(Bits)) == all(Want);  // all bits or none
  V mask;
  std::memcpy(&mask, &met, sizeof mask);
  return y & (mask | all(otherwise));
}
template <class Blocks>
VEXOR_LANES void load_blocks(const Blocks& blocks, V* w) {
  const char* block[kLanes];
  for (std::size_t i = 0; i < kLanes; ++i) block[i] = blocks[i];
  for (std::size_t i = 0; i < 16; ++i)
    w[i] = V{sha1_load(block[0] + 4 * i), sha1_load(block[1] + 4 * i), sha1_load(block[2] + 4 * i), sha1_load(block[3] + 4 * i)};
}
#include "crypto/sha1_lanes_body.inc"
#undef VEXOR_LANES
#undef VEXOR_LANES_OUTER
}  // namespace four_lanes

#if defined(__x86_64__)

constexpr int as_int(std::uint32_t word) { return static_cast<int>(word); }

namespace eight_lanes_avx2 {
#define VEXOR_LANES __attribute__((target("avx2"), always_inline)) inline
#define VEXOR_LANES_OUTER __attribute__((target("avx2")))
#define VEXOR_LANES_SHA __attribute__((target("avx2,sha,sse4.1")))
using V = __m256i;
constexpr std::size_t kLanes = 8;
VEXOR_LANES V or3(V x, V y, V z) { return _mm256_or_si256(_mm256_or_si256(x, y), z); }
VEXOR_LANES V xor3(V x, V y, V z) { return _mm256_xor_si256(_mm256_xor_si256(x, y), z); }
VEXOR_LANES V choose(V x, V y, V z) { return _mm256_xor_si256(z, _mm256_and_si256(x, _mm256_xor_si256(y, z))); }
VEXOR_LANES V majority(V x, V y, V z) {
  return _mm256_or_si256(_mm256_and_si256(x, y), _mm256_and_si256(z, _mm256_or_si256(x, y)));
}
template <int By>
VEXOR_LANES V rotl(V x) {
  if constexpr (By == 0) return x;
  return _mm256_or_si256(_mm256_slli_epi32(x, By), _mm256_srli_epi32(x, 32 - By));
}
template <std::uint32_t Bits, std::uint32_t Want>
VEXOR_LANES V keep_where(V x, V y, std::uint32_t otherwise) {
  const V met = _mm256_cmpeq_epi32(_mm256_and_si256(x, _mm256_set1_epi32(as_int(Bits))), _mm256_set1_epi32(as_int(Want)));
  return _mm256_and_si256(y, _mm256_or_si256(met, _mm256_set1_epi32(as_int(otherwise))));
}
#include "crypto/sha1_lanes_256.inc"
#include "crypto/sha1_lanes_body.inc"
#undef VEXOR_LANES
#undef VEXOR_LANES_OUTER
#undef VEXOR_LANES_SHA
}  // namespace eight_lanes_avx2

namespace eight_lanes_avx512 {
#define VEXOR_LANES __attribute__((target("avx2,avx512f,avx512bw,avx512vl"), always_inline)) inline
#define VEXOR_LANES_OUTER __attribute__((target("avx2,avx512f,avx512bw,avx512vl")))
#define VEXOR_LANES_SHA __attribute__((target("avx2,avx512f,avx512bw,avx512vl,sha,sse4.1")))
using V = __m256i;
constexpr std::size_t kLanes = 8;
VEXOR_LANES V or3(V x, V y, V z) { return _mm256_ternarylogic_epi32(x, y, z, 0xFE); }
VEXOR_LANES V xor3(V x, V y, V z) { return _mm256_ternarylogic_epi32(x, y, z, 0x96); }
VEXOR_LANES V choose(V x, V y, V z) { return _mm256_ternarylogic_epi32(x, y, z, 0xCA); }
VEXOR_LANES V majority(V x, V y, V z) { return _mm256_ternarylogic_epi32(x, y, z, 0xE8); }
template <int By>
VEXOR_LANES V rotl(V x) {
  if constexpr (By == 0) return x;
  return _mm256_rol_epi32(x, By);
}
template <std::uint32_t Bits, std::uint32_t Want>
VEXOR_LANES V keep_where(V x, V y, std::uint32_t otherwise) {
  const V bits = _mm256_set1_epi32(as_int(Bits));
  __mmask8 unmet;
  if constexpr (Want == 0) unmet = _mm256_test_epi32_mask(x, bits);
  else if constexpr (Want == Bits && std::has_single_bit(Bits)) unmet = _mm256_testn_epi32_mask(x, bits);
  else unmet = _mm256_cmpneq_epi32_mask(_mm256_and_si256(x, bits), _mm256_set1_epi32(as_int(Want)));
  return _mm256_mask_and_epi32(y, unmet, y, _mm256_set1_epi32(as_int(otherwise)));
}
#include "crypto/sha1_lanes_256.inc"
#include "crypto/sha1_lanes_body.inc"
#undef VEXOR_LANES
#undef VEXOR_LANES_OUTER
#undef VEXOR_LANES_SHA
}  // namespace eight_lanes_avx512

namespace sixteen_lanes {
#define VEXOR_LANES __attribute__((target("avx512f,avx512bw"), always_inline)) inline
#define VEXOR_LANES_OUTER __attribute__((target("avx512f,avx512bw")))
#define VEXOR_LANES_SHA __attribute__((target("avx512f,avx512bw,sha,sse4.1")))
using V = __m512i;
constexpr std::size_t kLanes = 16;
VEXOR_LANES V load(const std::uint32_t* at) { return _mm512_loadu_si512(at); }
VEXOR_LANES void store(std::uint32_t* at, V x) { _mm512_storeu_si512(at, x); }
VEXOR_LANES V all(std::uint32_t word) { return _mm512_set1_epi32(as_int(word)); }
VEXOR_LANES V add(V x, V y) { return _mm512_add_epi32(x, y); }
VEXOR_LANES V subtract(V x, V y) { return _mm512_sub_epi32(x, y); }
VEXOR_LANES V xor2(V x, V y) { return _mm512_xor_si512(x, y); }
VEXOR_LANES V xor3(V x, V y, V z) { return _mm512_ternarylogic_epi32(x, y, z, 0x96); }
VEXOR_LANES V or3(V x, V y, V z) { return _mm512_ternarylogic_epi32(x, y, z, 0xFE); }
VEXOR_LANES V choose(V x, V y, V z) { return _mm512_ternarylogic_epi32(x, y, z, 0xCA); }
VEXOR_LANES V majority(V x, V y, V z) { return _mm512_ternarylogic_epi32(x, y, z, 0xE8); }
template <int By>
VEXOR_LANES V rotl(V x) {
  if constexpr (By == 0) return x;
  return _mm512_rol_epi32(x, By);
}
template <std::uint32_t Bits, std::uint32_t Want>
VEXOR_LANES V keep_where(V x, V y, std::uint32_t otherwise) {
  const V bits = all(Bits);
  __mmask16 unmet;
  if constexpr (Want == 0) unmet = _mm512_test_epi32_mask(x, bits);
  else if constexpr (Want == Bits && std::has_single_bit(Bits)) unmet = _mm512_testn_epi32_mask(x, bits);
  else unmet = _mm512_cmpneq_epi32_mask(_mm512_and_si512(x, bits), all(Want));
  return _mm512_mask_and_epi32(y, unmet, y, all(otherwise));
}
// 16 blocks of 16 words in, word i of all blocks to w[i].
template <class Blocks>
VEXOR_LANES void load_blocks(const Blocks& blocks, V* w) {
  const V order = _mm512_broadcast_i32x4(_mm_set_epi64x(0x0C0D0E0F08090A0B, 0x0405060700010203));
  V quads[4][4];  // [g][k], 128-bit part p: word 4p+k of blocks 4g to 4g+3
  for (std::size_t g = 0; g < 4; ++g) {
    V row[4];
    for (std::size_t i = 0; i < 4; ++i)
      row[i] = _mm512_shuffle_epi8(_mm512_loadu_si512(blocks[4 * g + i]), order);
    const V low01 = _mm512_unpacklo_epi32(row[0], row[1]), high01 = _mm512_unpackhi_epi32(row[0], row[1]);
    const V low23 = _mm512_unpacklo_epi32(row[2], row[3]), high23 = _mm512_unpackhi_epi32(row[2], row[3]);
    quads[g][0] = _mm512_unpacklo_epi64(low01, low23), quads[g][1] = _mm512_unpackhi_epi64(low01, low23);
    quads[g][2] = _mm512_unpacklo_epi64(high01, high23), quads[g][3] = _mm512_unpackhi_epi64(high01, high23);
  }
  for (std::size_t k = 0; k < 4; ++k) {
    const V even01 = _mm512_shuffle_i32x4(quads[0][k], quads[1][k], 0x88), odd01 = _mm512_shuffle_i32x4(quads[0][k], quads[1][k], 0xDD);
    const V even23 = _mm512_shuffle_i32x4(quads[2][k], quads[3][k], 0x88), odd23 = _mm512_shuffle_i32x4(quads[2][k], quads[3][k], 0xDD);
    w[k] = _mm512_shuffle_i32x4(even01, even23, 0x88), w[8 + k] = _mm512_shuffle_i32x4(even01, even23, 0xDD);
    w[4 + k] = _mm512_shuffle_i32x4(odd01, odd23, 0x88), w[12 + k] = _mm512_shuffle_i32x4(odd01, odd23, 0xDD);
  }
}
#include "crypto/sha1_lanes_body.inc"
#undef VEXOR_LANES
#undef VEXOR_LANES_OUTER
#undef VEXOR_LANES_SHA
}  // namespace sixteen_lanes

#endif

}  // namespace

const Sha1Lanes& sha1_lanes(const Sha1Cpu& cpu, std::size_t blocks) {
#if defined(__x86_64__)
  const auto choose = [&cpu](const Sha1Lanes& plain, const Sha1Lanes& sha) -> const Sha1Lanes& { return cpu.sha ? sha : plain; };
  if (blocks > 8 && cpu.avx512) return choose(sixteen_lanes::kTable, sixteen_lanes::kTableSha);
  if (cpu.avx512_256) return choose(eight_lanes_avx512::kTable, eight_lanes_avx512::kTableSha);
  if (blocks > 1 && cpu.avx2) return choose(eight_lanes_avx2::kTable, eight_lanes_avx2::kTableSha);
  if (blocks > 1 && cpu.avx512) return choose(sixteen_lanes::kTable, sixteen_lanes::kTableSha);
#endif
  static_cast<void>(cpu);
  return blocks > 1 ? four_lanes::kTable : one_lane::kTable;
}

const Sha1Lanes* sha1_lanes_for_many(const Sha1Cpu& cpu) {
#if defined(__x86_64__)
  if (cpu.avx512) return &sixteen_lanes::kTable;
  if (cpu.avx2 && !cpu.sha) return &eight_lanes_avx2::kTable;
#endif
  static_cast<void>(cpu);
  return nullptr;
}

const Sha1Lanes& sha1_lanes_to_confirm(const Sha1Cpu& cpu, std::size_t suspects) {
  return suspects > 1 ? sha1_lanes(cpu, suspects) : one_lane::kTable;
}

std::size_t sha1_middle(unsigned vector) { return kSha1Differences[vector].middle; }

}  // namespace vexor
