// What the unit tests of a stored value do with each of its vectors.
#pragma once

#include <gtest/gtest.h>

#include "support/vectors.h"

namespace vexor::test {

inline std::vector<Vector> family_vectors(const std::string& family) { return load_vectors(std::string(VEXOR_TEST_DATA) + "/vectors/" + family + ".txt"); }

// Calls `check(vector, decoded)` for what must decode; it must encode to the same bytes. Every cut, and one octet
// more, must be refused with kCorrupt, as must the vectors that say so.
template <class Decode, class Encode, class Check>
void run_row_vectors(const std::vector<Vector>& vectors, Decode decode, Encode encode, Check check) {
  for (const Vector& vector : vectors) {
    SCOPED_TRACE(vector.name);
    const auto decoded = decode(vector, Bytes(vector.bytes));
    if (vector.refused()) {
      ASSERT_TRUE(decoded.has_error()) << "it was taken";
      EXPECT_EQ(errc_name(decoded.error().code()), vector.text("error"));
      continue;
    }
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
    check(vector, decoded.value());
    EXPECT_EQ(to_hex(encode(vector, decoded.value())), to_hex(vector.bytes));
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
      const auto part = decode(vector, Bytes(vector.bytes).substr(0, cut));
      ASSERT_TRUE(part.has_error()) << "cut at " << cut;
      EXPECT_EQ(part.error().code(), Errc::kCorrupt) << "cut at " << cut;
    }
    for (const char more : {'\0', '\1', '\xff'}) {
      EXPECT_TRUE(decode(vector, Bytes(vector.bytes + more)).has_error()) << "with an octet more";
    }
  }
}

// The vectors of a file whose `kind` field is `kind`.
inline std::vector<Vector> of_kind(const std::vector<Vector>& vectors, const std::string& kind) {
  std::vector<Vector> out;
  for (const Vector& vector : vectors) {
    if (vector.text("kind") == kind) out.push_back(vector);
  }
  EXPECT_FALSE(out.empty()) << kind;
  return out;
}

}  // namespace vexor::test
