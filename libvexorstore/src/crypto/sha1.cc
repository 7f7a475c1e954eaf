#include "crypto/sha1.h"

#include <utility>

#if defined(__x86_64__)
#include <cpuid.h>

#include "crypto/sha1_sha_ni.h"
#endif

namespace vexor {

namespace {

struct Words {
  std::uint32_t a, b, c, d, e;
  std::uint32_t w[16];
};

template <unsigned Step>
[[gnu::always_inline]] inline void step(Words& s, const char* block, Sha1Trace& trace) {
  std::uint32_t& word = s.w[Step % 16];
  if constexpr (Step < 16) word = sha1_load(block + 4 * Step);
  else word = std::rotl(s.w[(Step + 13) % 16] ^ s.w[(Step + 8) % 16] ^ s.w[(Step + 2) % 16] ^ word, 1);
  if constexpr (Step >= 52 && Step <= 68 && Step % 4 == 0) std::get<(Step - 52) / 4>(trace.points) = {s.d, s.c, s.b, s.a};
  std::uint32_t mixed = s.b ^ s.c ^ s.d;
  if constexpr (Step < 20) mixed = s.d ^ (s.b & (s.c ^ s.d));
  if constexpr (Step >= 40 && Step < 60) mixed = (s.b & s.c) + (s.d & (s.b ^ s.c));
  const std::uint32_t next = std::rotl(s.a, 5) + mixed + s.e + std::get<Step / 20>(kSha1Round) + word;
  s.e = s.d, s.d = s.c, s.c = std::rotl(s.b, 30), s.b = s.a, s.a = next;
}

template <unsigned... Step>
void compress_portable(std::integer_sequence<unsigned, Step...>, Sha1State& state, const char* block, Sha1Trace& trace) {
  Words s = {state[0], state[1], state[2], state[3], state[4], {}};
  (step<Step>(s, block, trace), ...);
  state = {state[0] + s.a, state[1] + s.b, state[2] + s.c, state[3] + s.d, state[4] + s.e};
}

#if defined(__x86_64__)

__attribute__((target("sha,sse4.1"))) void compress_sha(Sha1State& state, const char* blocks, std::size_t count,
                                                       Sha1Trace* traces, Sha1State* after) {
  sha_ni::State now = sha_ni::load(state);
  for (; count != 0; --count, blocks += kSha1BlockBytes) sha_ni::compress(now, blocks, *traces++, *after++);
  sha_ni::store(state, now);
}

Sha1Cpu ask_cpu() {
  Sha1Cpu cpu;
  __builtin_cpu_init();
  unsigned a = 0, b = 0, c = 0, d = 0;
  cpu.sha = __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b >> 29 & 1) != 0 && __builtin_cpu_supports("sse4.1");
  cpu.avx2 = __builtin_cpu_supports("avx2");
  cpu.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  cpu.avx512_256 = cpu.avx512 && __builtin_cpu_supports("avx512vl");
  return cpu;
}

#else
Sha1Cpu ask_cpu() { return {}; }
#endif

}  // namespace

const Sha1Cpu& Sha1Cpu::detect() {
  static const Sha1Cpu cpu = ask_cpu();
  return cpu;
}

void sha1_compress(const Sha1Cpu& cpu, Sha1State& state, const char* blocks, std::size_t count, Sha1Trace* traces,
                   Sha1State* after) {
#if defined(__x86_64__)
  if (cpu.sha) return compress_sha(state, blocks, count, traces, after);
#endif
  static_cast<void>(cpu);
  for (; count != 0; --count, blocks += kSha1BlockBytes) {
    compress_portable(std::make_integer_sequence<unsigned, 80>(), state, blocks, *traces++);
    *after++ = state;
  }
}

}  // namespace vexor
