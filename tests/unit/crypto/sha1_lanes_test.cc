// The two tests behind the detection, on every path, against this file's own slow statement of them.
#include "crypto/sha1_lanes.h"

#include <gtest/gtest.h>

#include <bitset>
#include <cstring>
#include <random>

#include "crypto/sha1_differences.h"
#include "unit/crypto/sha1_paths.h"

namespace vexor {
namespace {

constexpr int kSteps = 80;
using Words = std::array<std::uint32_t, kSteps>;

Words expand(Words w) {
  for (std::size_t t = 16; t < kSteps; ++t) w[t] = std::rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
  return w;
}

Words words_of(const char* block) {
  Words w = {};
  for (std::size_t t = 0; t < 16; ++t) w[t] = sha1_load(block + 4 * t);
  return expand(w);
}

void put_block(char* block, const Words& w) {
  for (std::size_t t = 0; t < 16; ++t)
    for (std::size_t i = 0; i < 4; ++i) block[4 * t + i] = static_cast<char>(w[t] >> (24 - 8 * i));
}

std::uint32_t slow_check(const Words& w) {
  std::uint32_t vectors = ~0U;
  for (const Sha1Condition& it : kSha1Conditions)
    if (((w[it.step] ^ std::rotl(w[it.turned_step], it.turn)) & it.bits) != it.want) vectors &= ~it.vectors;
  return vectors;
}

std::uint32_t mix(int t, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  if (t < 20) return (b & c) | (~b & d);
  if (t >= 40 && t < 60) return (b & c) | (b & d) | (c & d);
  return b ^ c ^ d;
}

Sha1State forward(Sha1State s, const Words& w, int from, int to) {
  for (int t = from; t < to; ++t)
    s = {std::rotl(s[0], 5) + mix(t, s[1], s[2], s[3]) + s[4] + kSha1Round[static_cast<std::size_t>(t / 20)] + w[static_cast<std::size_t>(t)],
         s[0], std::rotl(s[1], 30), s[2], s[3]};
  return s;
}

Sha1State backward(Sha1State s, const Words& w, int from) {
  for (int t = from - 1; t >= 0; --t) {
    const std::uint32_t b = std::rotl(s[2], 2);
    s = {s[1], b, s[3], s[4], s[0] - std::rotl(s[1], 5) - mix(t, b, s[3], s[4]) - kSha1Round[static_cast<std::size_t>(t / 20)] - w[static_cast<std::size_t>(t)]};
  }
  return s;
}

// Checks a stretch of blocks on every path; returns the vectors that any block meets.
std::uint32_t check_all(const std::vector<Sha1Path>& paths, const std::string& blocks) {
  const std::size_t count = blocks.size() / kSha1BlockBytes;
  std::vector<std::uint32_t> expected(count), got(count);
  std::uint32_t any = 0;
  for (std::size_t i = 0; i < count; ++i) any |= expected[i] = slow_check(words_of(blocks.data() + i * kSha1BlockBytes));
  for (const Sha1Path& path : paths) {
    Sha1State joint = kSha1Initial, plain = kSha1Initial;
    for (std::size_t i = 0, now = 0, most = 1; i < count; i += now, most = most % 16 + 1) {
      const Sha1Lanes& lanes = sha1_lanes(path.cpu, std::min(most, count - i));
      now = std::min({most, count - i, lanes.lanes});
      const char* const at = blocks.data() + i * kSha1BlockBytes;
      lanes.check(at, now, got.data() + i);
      if (lanes.compress_and_check == nullptr) continue;
      std::uint32_t vectors[kSha1LanesMax];
      Sha1Trace joint_traces[kSha1LanesMax], plain_traces[kSha1LanesMax];
      Sha1State joint_after[kSha1LanesMax], plain_after[kSha1LanesMax];
      lanes.compress_and_check(joint, at, now, joint_traces, joint_after, vectors);
      sha1_compress({}, plain, at, now, plain_traces, plain_after);
      EXPECT_EQ(joint, plain) << path.name;
      EXPECT_TRUE(std::equal(vectors, vectors + now, expected.begin() + static_cast<std::ptrdiff_t>(i))) << path.name;
      EXPECT_TRUE(std::equal(joint_after, joint_after + now, plain_after)) << path.name;
      for (std::size_t k = 0; k < now; ++k) EXPECT_EQ(joint_traces[k].points, plain_traces[k].points) << path.name;
    }
    EXPECT_EQ(got, expected) << path.name;
  }
  return any;
}

TEST(Sha1Lanes, check_of_random_blocks) {
  std::mt19937_64 random(4);
  const auto paths = sha1_paths();
  std::string blocks(2000 * kSha1BlockBytes, '\0');
  for (int round = 0; round < 100; ++round) {
    for (std::size_t i = 0; i < blocks.size(); i += 8) {
      const std::uint64_t word = random();
      std::memcpy(blocks.data() + i, &word, 8);
    }
    ASSERT_NE(check_all(paths, blocks), 0U);
    ASSERT_FALSE(HasFailure());
  }
}

// Blocks that meet all conditions of one vector: the expansion is linear, so they are solved for.
class Solver {
 public:
  Solver() {
    for (std::size_t bit = 0; bit < 512; ++bit) {
      Words w = {};
      w[bit / 32] = 1U << bit % 32;
      columns_[bit] = expand(w);
    }
  }

  Words solve(unsigned vector, std::mt19937_64& random) const {
    std::vector<Equation> rows;
    for (const Sha1Condition& it : kSha1Conditions)
      for (unsigned bit = 0; (it.vectors >> vector & 1) != 0 && bit < 32; ++bit)
        if ((it.bits >> bit & 1) != 0) rows.push_back(equation(it, bit));
    Words w = {};
    for (std::size_t t = 0; t < 16; ++t) w[t] = static_cast<std::uint32_t>(random());
    std::vector<std::size_t> pivots;
    for (std::size_t row = 0; row < rows.size(); ++row) {
      std::size_t pivot = 0;
      while (pivot < 512 && !rows[row][pivot]) ++pivot;
      EXPECT_LT(pivot, 512U) << "conditions that depend on each other";
      for (std::size_t other = 0; other < rows.size(); ++other)
        if (other != row && rows[other][pivot]) rows[other] ^= rows[row];
      pivots.push_back(pivot);
    }
    for (std::size_t row = 0; row < rows.size(); ++row) {
      bool odd = rows[row][512];
      for (std::size_t bit = 0; bit < 512; ++bit) odd ^= rows[row][bit] && (w[bit / 32] >> bit % 32 & 1) != 0;
      if (odd) w[pivots[row] / 32] ^= 1U << pivots[row] % 32;
    }
    return w;
  }

 private:
  using Equation = std::bitset<513>;  // the last bit: the right side

  Equation equation(const Sha1Condition& it, unsigned bit) const {
    Equation out;
    for (std::size_t i = 0; i < 512; ++i)
      out[i] = ((columns_[i][it.step] ^ std::rotl(columns_[i][it.turned_step], it.turn)) >> bit & 1) != 0;
    out[512] = (it.want >> bit & 1) != 0;
    return out;
  }

  std::array<Words, 512> columns_;
};

TEST(Sha1Lanes, check_of_blocks_made_for_each_vector) {
  std::mt19937_64 random(5);
  const auto paths = sha1_paths();
  const Solver solver;
  for (unsigned vector = 0; vector < kDisturbanceVectorCount; ++vector) {
    std::string blocks(100 * kSha1BlockBytes, '\0');
    for (std::size_t i = 0; i < blocks.size(); i += kSha1BlockBytes) {
      put_block(blocks.data() + i, solver.solve(vector, random));
      ASSERT_NE(slow_check(words_of(blocks.data() + i)) >> vector & 1, 0U) << vector;
    }
    check_all(paths, blocks);
    ASSERT_FALSE(HasFailure()) << vector;
  }
}

// From the state in the middle, the chaining values that make both blocks collide.
TEST(Sha1Lanes, confirm_tells_collisions_from_others) {
  std::mt19937_64 random(6);
  for (const Sha1Path& path : sha1_paths())
    for (unsigned vector = 0; vector < kDisturbanceVectorCount; ++vector) {
      const Sha1Difference& difference = kSha1Differences[vector];
      std::array<std::array<char, kSha1BlockBytes>, kSha1LanesMax> blocks;
      std::array<Sha1Suspect, kSha1LanesMax> colliding, others;
      for (std::size_t i = 0; i < kSha1LanesMax; ++i) {
        Words w = {}, x = {};
        for (std::size_t t = 0; t < 16; ++t) {
          w[t] = static_cast<std::uint32_t>(random());
          x[t] = w[t] ^ difference.message[t];
        }
        put_block(blocks[i].data(), w);
        w = expand(w), x = expand(x);
        const int step = kSha1Middles[difference.middle];
        Sha1State middle;
        for (auto& word : middle) word = static_cast<std::uint32_t>(random());
        Sha1State after = backward(middle, x, step);
        const Sha1State end = forward(middle, x, step, kSteps);
        for (std::size_t k = 0; k < 5; ++k) after[k] += end[k];
        colliding[i] = others[i] = {blocks[i].data(), middle, after, vector};
        others[i].after[random() % 5] ^= 1U << random() % 32;
      }
      for (std::size_t count = 1; count <= kSha1LanesMax; ++count) {
        const Sha1Lanes& lanes = sha1_lanes_to_confirm(path.cpu, count);
        if (count > lanes.lanes) break;
        auto suspects = others;
        EXPECT_FALSE(lanes.confirm(suspects.data(), count)) << path.name << " " << vector;
        const std::size_t at = random() % count;
        suspects[at] = colliding[at];
        EXPECT_TRUE(lanes.confirm(suspects.data(), count)) << path.name << " " << vector;
      }
    }
}

TEST(Sha1Lanes, traces_hold_the_middle_states) {
  std::mt19937_64 random(7);
  for (const Sha1Path& path : sha1_paths()) {
    char block[kSha1BlockBytes];
    for (char& c : block) c = static_cast<char>(random());
    Sha1State state = kSha1Initial, after;
    Sha1Trace trace;
    sha1_compress(path.cpu, state, block, 1, &trace, &after);
    EXPECT_EQ(state, after);
    for (std::size_t i = 0; i < kSha1Middles.size(); ++i)
      EXPECT_EQ(trace.middle(i), forward(kSha1Initial, words_of(block), 0, kSha1Middles[i])) << path.name;
  }
}

// The words of a difference follow the expansion like a message's, and the disturbance ends in the middle.
TEST(Sha1Lanes, differences_are_those_of_the_attack_on_record) {
  // II(52,0): the mask between the colliding blocks of the first published collision.
  std::size_t at = 0;
  while (kDisturbanceVectors[at].type != 2 || kDisturbanceVectors[at].k != 52) ++at;
  const std::array<std::uint32_t, 16> published = {0x0C000002, 0xC0000010, 0xB400001C, 0x3C000004, 0xBC00001A, 0x20000010,
                                                   0x2400001C, 0xEC000014, 0x0C000002, 0xC0000010, 0xB400001C, 0x2C000004,
                                                   0xBC000018, 0xB0000010, 0x0000000C, 0xB8000010};
  EXPECT_EQ(kSha1Differences[at].message, published);
  EXPECT_EQ(kSha1Middles[kSha1Differences[at].middle], 64);
}

}  // namespace
}  // namespace vexor
