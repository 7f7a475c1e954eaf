#include "format/delta.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

TEST(Delta, vectors_whole_cut_and_followed) {
  for (const Vector& vector : family_vectors("delta")) {
    SCOPED_TRACE(vector.name);
    const std::string base = vector.text("base");
    const std::uint64_t bytes_max = vector.has("result_bytes_max") ? vector.number("result_bytes_max") : 1000;
    std::string out = "what was there before";
    const auto done = apply_delta(base, vector.bytes, bytes_max, out);
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
      std::string part;
      EXPECT_TRUE(apply_delta(base, Bytes(vector.bytes).substr(0, cut), bytes_max, part).has_error()) << cut;
    }
    if (vector.refused()) {
      ASSERT_TRUE(done.has_error());
      EXPECT_EQ(errc_name(done.error().code()), vector.text("error"));
      continue;
    }
    ASSERT_TRUE(done.has_value()) << done.error().message();
    EXPECT_EQ(out, vector.text("result"));
    const auto sizes = decode_delta_sizes(vector.bytes);
    ASSERT_TRUE(sizes.has_value());
    EXPECT_EQ(sizes.value().base_bytes, vector.number("base_bytes"));
    EXPECT_EQ(sizes.value().result_bytes, vector.number("result_bytes"));
    for (const char more : {'\0', '\1', '\x90'}) EXPECT_TRUE(apply_delta(base, vector.bytes + more, bytes_max, out).has_error());
  }
}

TEST(Delta, a_copy_of_size_0_copies_65536_octets) {
  const std::string base(70000, 'b');
  std::string out;
  ASSERT_TRUE(apply_delta(base, std::string("\xf0\xa2\x04\x80\x80\x04\x80", 7), 100000, out).has_value());
  EXPECT_EQ(out, base.substr(0, 65536));
}

}  // namespace
}  // namespace vexor::format
