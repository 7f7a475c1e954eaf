#include "format/pack_entry.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

PackEntryKind kind_of(const std::string& name) {
  if (name == "ofs-delta") return PackEntryKind::kOfsDelta;
  if (name == "ref-delta") return PackEntryKind::kRefDelta;
  return static_cast<PackEntryKind>(parse_object_type(name).value());
}

TEST(PackHeader, vectors_whole_and_cut) {
  for (const Vector& vector : of_kind(family_vectors("pack_entry"), "pack")) {
    SCOPED_TRACE(vector.name);
    const auto header = decode_pack_header(vector.bytes);
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) EXPECT_TRUE(decode_pack_header(Bytes(vector.bytes).substr(0, cut)).has_error()) << cut;
    EXPECT_TRUE(decode_pack_header(vector.bytes + "x").has_error());
    if (vector.refused()) {
      ASSERT_TRUE(header.has_error());
      EXPECT_EQ(errc_name(header.error().code()), vector.text("error"));
      continue;
    }
    ASSERT_TRUE(header.has_value());
    EXPECT_EQ(header.value().version, vector.number("version"));
    EXPECT_EQ(header.value().object_count, vector.number("object_count"));
    if (header.value().version != 2) continue;  // we write version 2
    std::string out;
    append_pack_header(out, header.value().object_count);
    EXPECT_EQ(out, vector.bytes);
  }
}

TEST(PackEntry, vectors_whole_cut_and_followed) {
  for (const Vector& vector : of_kind(family_vectors("pack_entry"), "entry")) {
    SCOPED_TRACE(vector.name);
    const auto header = decode_pack_entry_header(vector.bytes, vector.algorithm());
    if (vector.refused()) {
      ASSERT_TRUE(header.has_error());
      EXPECT_EQ(errc_name(header.error().code()), vector.text("error"));
      continue;
    }
    ASSERT_TRUE(header.has_value() && header.value());
    EXPECT_EQ(header.value()->kind, kind_of(vector.text("entry")));
    EXPECT_EQ(header.value()->inflated_bytes, vector.number("size"));
    EXPECT_EQ(header.value()->base_distance, vector.has("distance") ? vector.number("distance") : 0U);
    if (vector.has("base")) {
      EXPECT_EQ(header.value()->base_id, vector.id("base"));
    }
    EXPECT_EQ(header.value()->header_bytes, vector.bytes.size());
    if (vector.text_or("canonical", "yes") == "yes") {
      std::string out;
      append_pack_entry_header(out, header.value()->kind, header.value()->inflated_bytes);
      if (vector.has("distance")) append_ofs_distance(out, header.value()->base_distance);
      if (vector.has("base")) out.append(header.value()->base_id.raw());
      EXPECT_EQ(to_hex(out), to_hex(vector.bytes));
    }
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
      const auto part = decode_pack_entry_header(Bytes(vector.bytes).substr(0, cut), vector.algorithm());
      ASSERT_TRUE(part.has_value()) << cut;
      EXPECT_FALSE(part.value().has_value()) << cut;
    }
    const auto followed = decode_pack_entry_header(vector.bytes + "\x78\x9c", vector.algorithm());
    ASSERT_TRUE(followed.has_value() && followed.value());
    EXPECT_EQ(followed.value()->header_bytes, vector.bytes.size());
  }
}

}  // namespace
}  // namespace vexor::format
