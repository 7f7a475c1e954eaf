#include "crypto/sha1.h"

#if defined(__x86_64__)
#include <cpuid.h>

#include "crypto/sha1_sha_ni.h"
#endif

namespace vexor {

namespace {

void compress_portable(Sha1State& state, const char* block, Sha1Trace& trace) {
  std::uint32_t w[16];
  for (unsigned t = 0; t < 16; ++t) w[t] = sha1_load(block + 4 * t);
  std::uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
  const auto step = [&](unsigned t, std::uint32_t f, std::uint32_t constant) {
    if (t >= 52 && t <= 68 && t % 4 == 0) trace.points[(t - 52) / 4] = {d, c, b, a};
    if (t >= 16) w[t % 16] = std::rotl(w[(t + 13) % 16] ^ w[(t + 8) % 16] ^ w[(t + 2) % 16] ^ w[t % 16], 1);
    const std::uint32_t next = std::rotl(a, 5) + f + e + constant + w[t % 16];
    e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
  };
  for (unsigned t = 0; t < 20; ++t) step(t, d ^ (b & (c ^ d)), kSha1Round[0]);
  for (unsigned t = 20; t < 40; ++t) step(t, b ^ c ^ d, kSha1Round[1]);
  for (unsigned t = 40; t < 60; ++t) step(t, (b & c) | (d & (b | c)), kSha1Round[2]);
  for (unsigned t = 60; t < 80; ++t) step(t, b ^ c ^ d, kSha1Round[3]);
  state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
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
    compress_portable(state, blocks, *traces++);
    *after++ = state;
  }
}

}  // namespace vexor
