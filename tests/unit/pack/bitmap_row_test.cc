#include "pack/reachability.h"

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

}  // namespace
}  // namespace vexor::pack
