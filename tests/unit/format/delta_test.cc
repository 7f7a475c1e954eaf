#include "format/delta.h"

#include <gtest/gtest.h>

namespace vexor::format {
namespace {

Result<std::string> make(Bytes base, Bytes delta, std::uint64_t bytes_max = 1000) {
  std::string out;
  VEXOR_TRY(apply_delta(base, delta, bytes_max, out));
  return out;
}

TEST(Delta, copies_and_inserts) {
  const std::string delta("\x0a\x08\x90\x05\x03xyz", 8);  // base 10, result 8: copy 5 from 0, insert xyz
  const auto out = make("helloworld", delta);
  ASSERT_TRUE(out.has_value());
  EXPECT_EQ(out.value(), "helloxyz");
}

TEST(Delta, refuses_what_leaves_its_bounds) {
  const std::string base = "helloworld";
  const std::vector<std::string> bad = {
      std::string("\x09\x05\x90\x05", 4),          // another base size
      std::string("\x0a\x05\x91\x08\x05", 5),      // copy behind the end of the base
      std::string("\x0a\x04\x90\x05", 4),          // copy over the result size
      std::string("\x0a\x06\x90\x05", 4),          // shorter than it says
      std::string("\x0a\x05\x00", 3),              // reserved instruction
      std::string("\x0a\x05\x05" "ab", 5),         // insert cut off
      std::string("\x0a\x05\x91", 3),              // copy cut off
      std::string("\x0a", 1),                      // no result size
      std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10),
  };
  for (std::size_t i = 0; i < bad.size(); ++i) {
    EXPECT_TRUE(make(base, bad[i]).has_error()) << i;
  }
}

TEST(Delta, result_limit_is_named) {
  const std::string delta("\x0a\x08\x90\x05\x03xyz", 8);
  const auto out = make("helloworld", delta, 7);
  ASSERT_TRUE(out.has_error());
  EXPECT_EQ(out.error().code(), Errc::kLimitExceeded);
}

TEST(Delta, a_huge_result_size_alone_allocates_nothing) {
  const std::string delta("\x0a\xff\xff\xff\xff\xff\x7f\x90\x05", 9);  // result 2^42
  EXPECT_TRUE(make("helloworld", delta, UINT64_MAX).has_error());
}

}  // namespace
}  // namespace vexor::format
