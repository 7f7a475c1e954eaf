// One block of SHA-1 by the x86 SHA extensions, for inlining into functions whose target has them.
#pragma once

#include <immintrin.h>

#include <utility>

#include "crypto/sha1.h"

#define VEXOR_SHA_TARGET __attribute__((target("sha,sse4.1"), always_inline)) inline

namespace vexor::sha_ni {

// As the instructions want it: a in the highest word of abcd, e (turned back by 30) in the highest of e.
struct State {
  __m128i abcd;
  __m128i e;
};

VEXOR_SHA_TARGET State load(const Sha1State& state) {
  return {_mm_shuffle_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(state.data())), 0x1B),
          _mm_set_epi32(static_cast<int>(state[4]), 0, 0, 0)};
}

VEXOR_SHA_TARGET void store(Sha1State& out, const State& state) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out.data()), _mm_shuffle_epi32(state.abcd, 0x1B));
  out[4] = static_cast<std::uint32_t>(_mm_extract_epi32(state.e, 3));
}

// w: the last 16 words of the expanded message, four to a register.
template <int Group>
VEXOR_SHA_TARGET void four_rounds(__m128i& abcd, const __m128i& e_in, __m128i& e_out, __m128i (&w)[4],
                                  Sha1Trace& trace) {
  __m128i& now = w[Group % 4];
  if constexpr (Group >= 4) {
    const __m128i sum = _mm_xor_si128(_mm_sha1msg1_epu32(now, w[(Group + 1) % 4]), w[(Group + 2) % 4]);
    now = _mm_sha1msg2_epu32(sum, w[(Group + 3) % 4]);
  }
  const __m128i e = Group == 0 ? _mm_add_epi32(e_in, now) : _mm_sha1nexte_epu32(e_in, now);
  e_out = abcd;
  if constexpr (Group >= 13 && Group <= 17) _mm_store_si128(reinterpret_cast<__m128i*>(std::get<Group - 13>(trace.points).data()), abcd);
  abcd = _mm_sha1rnds4_epu32(abcd, e, Group / 5);
}

template <int... Group>
VEXOR_SHA_TARGET void all_rounds(std::integer_sequence<int, Group...>, __m128i& abcd, __m128i (&e)[2], __m128i (&w)[4],
                                 Sha1Trace& trace) {
  (four_rounds<Group>(abcd, e[Group % 2], e[1 - Group % 2], w, trace), ...);
}

VEXOR_SHA_TARGET void compress(State& state, const char* block, Sha1Trace& trace, Sha1State& after) {
  const __m128i order = _mm_set_epi64x(0x0001020304050607, 0x08090A0B0C0D0E0F);
  __m128i w[4];
  for (int i = 0; i < 4; ++i)
    w[i] = _mm_shuffle_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * i)), order);
  __m128i abcd = state.abcd, e[2] = {state.e, state.e};
  all_rounds(std::make_integer_sequence<int, 20>(), abcd, e, w, trace);
  state = {_mm_add_epi32(abcd, state.abcd), _mm_sha1nexte_epu32(e[0], state.e)};
  store(after, state);
}

}  // namespace vexor::sha_ni

#undef VEXOR_SHA_TARGET
