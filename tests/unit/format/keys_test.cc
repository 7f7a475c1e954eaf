#include "format/keys.h"

#include <map>

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

std::string made(const Vector& vector) {
  const std::string kind = vector.text("kind");
  const auto number = [&](const char* key) { return static_cast<std::uint32_t>(vector.number(key)); };
  if (kind == "pool") return pool_key(vector.number("pool"));
  if (kind == "extent") return extent_key(vector.number("pool"), number("number"), number("chunk"));
  if (kind == "number") return number_key(vector.number("pool"), number("number"));
  if (kind == "index") return index_key(vector.number("pool"), vector.id("id"));
  if (kind == "ref") return ref_key(vector.number("repository"), vector.text("ref"));
  if (kind == "reflog") return reflog_key(vector.number("repository"), vector.text("ref"), vector.number("sequence"));
  if (kind == "journal") return journal_key(vector.number("sequence"));
  return "unknown kind";
}

TEST(Keys, vectors_in_the_order_of_their_bytes) {
  std::map<std::string, std::string> last;
  for (const Vector& vector : family_vectors("keys")) {
    SCOPED_TRACE(vector.name);
    EXPECT_EQ(to_hex(made(vector)), to_hex(vector.bytes));
    std::string& before = last[vector.text("kind")];
    if (vector.text("kind") != "index") {
      EXPECT_LT(before, vector.bytes);
    }
    before = vector.bytes;
  }
}

TEST(Keys, the_number_is_read_back_and_every_cut_is_an_error) {
  for (const Vector& vector : family_vectors("keys")) {
    if (vector.text("kind") != "extent" && vector.text("kind") != "number") continue;
    SCOPED_TRACE(vector.name);
    EXPECT_EQ(number_of_key(vector.bytes).value(), vector.number("number"));
    if (vector.text("kind") == "extent") {
      const ExtentKey key = decode_extent_key(vector.bytes).value();
      EXPECT_EQ(extent_key(key.pool, key.first, key.chunk), vector.bytes);
      EXPECT_EQ(key.chunk, vector.number("chunk"));
      EXPECT_EQ(has_extent_header(vector.bytes), key.chunk == 0);
      EXPECT_EQ(decode_extent_key(vector.bytes + "x").error().code(), Errc::kCorrupt);
      EXPECT_EQ(decode_extent_key(Bytes(vector.bytes).substr(0, 15)).error().code(), Errc::kCorrupt);
    }
    for (std::size_t cut = 0; cut < 12; ++cut) {
      const auto part = number_of_key(Bytes(vector.bytes).substr(0, cut));
      ASSERT_TRUE(part.has_error()) << cut;
      EXPECT_EQ(part.error().code(), Errc::kCorrupt);
    }
  }
}

}  // namespace
}  // namespace vexor::format
