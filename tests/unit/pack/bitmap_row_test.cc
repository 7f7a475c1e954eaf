#include "pack/reachability.h"

#include <random>

#include "support/vector_test.h"

namespace vexor::pack {
namespace {

using namespace test;

std::string members(const Roaring& set) {
  std::string out;
  for (auto at = set.begin(); at != set.end();) {
    const std::uint32_t first = *at;
    std::uint32_t last = first;
    for (++at; at != set.end() && *at == last + 1; ++at) ++last;
    out += (out.empty() ? "" : " ") + std::to_string(first) + (last == first ? "" : "-" + std::to_string(last));
  }
  return out.empty() ? "none" : out;
}

TEST(BitmapRow, vectors_whole_and_cut) {
  run_row_vectors(
      family_vectors("bitmap"), [](const Vector&, Bytes bytes) { return decode_bitmap_row(bytes); },
      [](const Vector&, const BitmapRow& row) { return encode_bitmap_row(row); },
      [](const Vector& vector, const BitmapRow& row) {
        EXPECT_EQ(row.base, vector.number("base"));
        EXPECT_EQ(row.depth, vector.number("depth"));
        EXPECT_EQ(members(row.additions), vector.text("members"));
      });
}

// The decoder compares the size of the set that it read with the bytes that were there: no set that is written,
// of whatever containers, may fail that.
TEST(BitmapRow, sets_of_every_density_come_back) {
  std::mt19937 random(1);
  for (const std::uint32_t members : {1U, 4096U, 4097U, 60'000U}) {
    for (const std::uint32_t span : {65'536U, 300'000U, 3'000'000U}) {
      for (int kind = 0; kind < 8; ++kind) {
        Roaring set;
        for (std::uint32_t i = 0; i < members; ++i) set.add(random() % span);
        if ((kind & 1) != 0) set.addRange(random() % span, span + 70'000U);
        if ((kind & 2) != 0) {
          Roaring other;
          for (std::uint32_t i = 0; i < members; ++i) other.add(random() % span);
          set = set - other;
          set |= other & set;
        }
        if ((kind & 4) != 0) set.runOptimize();
        BitmapRow row;
        row.base = 3;
        row.depth = 2;
        row.additions = set;
        const std::string encoded = encode_bitmap_row(row);
        const auto decoded = decode_bitmap_row(encoded);
        ASSERT_TRUE(decoded.has_value()) << members << " of " << span << ", kind " << kind << ": " << decoded.error().message();
        EXPECT_TRUE(decoded.value().additions == set);
        EXPECT_EQ(encode_bitmap_row(decoded.value()), encoded);
        EXPECT_TRUE(decode_bitmap_row(encoded + "x").has_error());
      }
    }
  }
}

}  // namespace
}  // namespace vexor::pack
