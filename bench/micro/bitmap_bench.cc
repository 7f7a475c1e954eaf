// Set operations on object numbers at the size of git.git: 849,000 objects, wants and haves some thousand commits apart.
#include <benchmark/benchmark.h>

#include <random>
#include <roaring/roaring.hh>

namespace vexor::bench {
namespace {

constexpr std::uint32_t kObjects = 849'000;

// What a tip reaches: nearly everything up to `end`, with the holes that objects of other branches leave.
Roaring make_reachable(std::uint32_t end, double holes, unsigned seed) {
  std::mt19937 chance(seed);
  std::geometric_distribution<std::uint32_t> run(holes);
  Roaring out;
  for (std::uint32_t at = 0; at < end;) {
    const std::uint32_t length = run(chance) + 1;
    out.addRange(at, std::min(end, at + length));
    at += length + 1 + static_cast<std::uint32_t>(chance() % 30);
  }
  out.runOptimize();
  return out;
}

void bitmap_or(benchmark::State& state) {
  const Roaring a = make_reachable(kObjects, 0.002, 1);
  const Roaring b = make_reachable(kObjects - 4000, 0.002, 2);
  for (auto _ : state) {
    Roaring all = a;
    all |= b;
    benchmark::DoNotOptimize(all.isEmpty());
  }
}
BENCHMARK(bitmap_or);

// The tips of 100 pull requests, as one set.
void bitmap_or_many(benchmark::State& state) {
  std::vector<Roaring> tips;
  for (unsigned i = 0; i < 100; ++i) tips.push_back(make_reachable(kObjects - i * 1000, 0.002, i));
  for (auto _ : state) {
    Roaring all;
    for (const Roaring& tip : tips) all |= tip;
    benchmark::DoNotOptimize(all.isEmpty());
  }
}
BENCHMARK(bitmap_or_many);

void bitmap_andnot(benchmark::State& state) {
  const Roaring wants = make_reachable(kObjects, 0.002, 1);
  const Roaring haves = make_reachable(kObjects - 4000, 0.002, 1);
  for (auto _ : state) {
    Roaring missing = wants;
    missing -= haves;
    benchmark::DoNotOptimize(missing.isEmpty());
  }
}
BENCHMARK(bitmap_andnot);

void bitmap_iterate(benchmark::State& state) {
  const Roaring all = make_reachable(kObjects, 0.002, 1);
  std::uint64_t count = 0;
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (const std::uint32_t number : all) sum += number;
    benchmark::DoNotOptimize(sum);
    count += all.cardinality();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(count));
}
BENCHMARK(bitmap_iterate);

void bitmap_decode(benchmark::State& state) {
  const Roaring all = make_reachable(kObjects, 0.002, 1);
  std::string bytes(all.getSizeInBytes(), '\0');
  all.write(bytes.data());
  for (auto _ : state) benchmark::DoNotOptimize(Roaring::readSafe(bytes.data(), bytes.size()).isEmpty());
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes.size()));
}
BENCHMARK(bitmap_decode);

}  // namespace
}  // namespace vexor::bench
