// Random numbers of a run: a seed gives the same ones everywhere.
#pragma once

#include <cstdint>

namespace vexor::sim {

class Random {  // splitmix64
 public:
  explicit Random(std::uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9E3779B97F4A7C15ULL;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ z >> 27) * 0x94D049BB133111EBULL;
    return z ^ z >> 31;
  }
  std::int64_t between(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(most - least + 1));
  }
  std::size_t below(std::size_t count) { return next() % count; }
  bool chance(int per_thousand) { return between(0, 999) < per_thousand; }
  // Mostly near `least`, sometimes `most`: delays.
  std::int64_t skewed(std::int64_t least, std::int64_t most) {
    const std::int64_t span = most - least;
    const std::int64_t part = between(0, 1000);
    return least + span * part / 1000 * part / 1000 * part / 1000;
  }

 private:
  std::uint64_t state_;
};

}  // namespace vexor::sim
