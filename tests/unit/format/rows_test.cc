#include <gtest/gtest.h>

#include "format/extent.h"
#include "format/journal_record.h"
#include "format/pack_entry.h"
#include "format/ref_name.h"
#include "format/state_rows.h"

namespace vexor::format {
namespace {

ObjectId id_of(char c) { return ObjectId::from_raw(HashAlgorithm::kSha1, std::string(20, c)); }

TEST(Extent, round_trip_and_every_cut_is_an_error) {
  std::vector<ExtentObject> objects(2);
  objects[0].id = id_of('a');
  objects[0].type = ObjectType::kTree;
  objects[0].entry_bytes = 300;
  objects[0].payload_bytes = 4;
  objects[1].id = id_of('b');
  objects[1].is_delta = true;
  objects[1].entry_bytes = 20;
  objects[1].object_bytes = 5000;
  objects[1].payload_bytes = 3;
  objects[1].base = 1000;  // a number above its own
  objects[1].depth = 7;
  const std::string value = encode_extent_header(41, objects) + "PPPPqqq";
  const auto header = decode_extent_header(41, HashAlgorithm::kSha1, value);
  ASSERT_TRUE(header.has_value()) << header.error().message();
  ASSERT_EQ(header.value().objects.size(), 2U);
  const ExtentObject& second = header.value().objects[1];
  EXPECT_EQ(second.base, 1000U);
  EXPECT_EQ(second.depth, 7U);
  EXPECT_EQ(second.object_bytes, 5000U);
  EXPECT_EQ(second.payload_offset, 4U);
  EXPECT_EQ(header.value().objects[0].object_bytes, 300U);
  for (std::size_t cut = 0; cut < value.size(); ++cut) {
    EXPECT_TRUE(decode_extent_header(41, HashAlgorithm::kSha1, Bytes(value).substr(0, cut)).has_error()) << cut;
  }
}

TEST(JournalRecord, round_trip_and_every_cut_is_an_error) {
  JournalRecord record;
  record.sequence = 12;
  record.time_ms = 1700000000123;
  record.actor = 4;
  record.actor_name = "ann";
  record.repository = 9;
  record.pool = 9;
  record.first_object = 100;
  record.object_count = 3;
  record.objects_digest = std::string(32, 'd');
  record.previous_hash = std::string(32, 'p');
  record.refs.push_back({"refs/heads/main", "", "row"});
  record.changes.push_back({sys::Family::kGrants, "key", std::nullopt});
  record.changes.push_back({sys::Family::kKeys, "key2", "value"});
  const std::string encoded = encode_journal_record(record);
  const auto decoded = decode_journal_record(encoded);
  ASSERT_TRUE(decoded.has_value()) << decoded.error().message();
  EXPECT_EQ(encode_journal_record(decoded.value()), encoded);
  EXPECT_FALSE(decoded.value().changes[0].value.has_value());
  for (std::size_t cut = 0; cut < encoded.size(); ++cut) {
    EXPECT_TRUE(decode_journal_record(Bytes(encoded).substr(0, cut)).has_error()) << cut;
  }
  EXPECT_TRUE(decode_journal_record(encoded + "x").has_error());
}

TEST(RepositoryRow, round_trip) {
  RepositoryRow row;
  row.number = 5;
  row.pool = 3;
  row.algorithm = HashAlgorithm::kSha256;
  row.name = "a/b";
  row.is_public = true;
  row.protect.push_back({"refs/heads/main", true, false, {"ann", "bob"}});
  row.hidden = {"refs/internal/"};
  const auto decoded = decode_repository_row(encode_repository_row(row));
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(encode_repository_row(decoded.value()), encode_repository_row(row));
  EXPECT_EQ(decoded.value().protect.at(0).only_users.size(), 2U);
  EXPECT_EQ(decoded.value().refs_max, 0U);
  const std::string before = encode_repository_row(row);
  row.refs_max = 1000;
  const auto limited = decode_repository_row(encode_repository_row(row));
  ASSERT_TRUE(limited.has_value());
  EXPECT_EQ(limited.value().refs_max, 1000U);
  EXPECT_TRUE(encode_repository_row(row).starts_with(before));  // rows without it stay as they are
}

TEST(PackEntry, round_trip_sizes_and_distances) {
  for (const std::uint64_t size : std::initializer_list<std::uint64_t>{0, 15, 16, 2047, 2048, 1ULL << 40, UINT64_MAX >> 1}) {
    std::string out;
    append_pack_entry_header(out, PackEntryKind::kBlob, size);
    const auto header = decode_pack_entry_header(out, HashAlgorithm::kSha1);
    ASSERT_TRUE(header.has_value() && header.value());
    EXPECT_EQ(header.value()->inflated_bytes, size);
    EXPECT_EQ(header.value()->header_bytes, out.size());
  }
  for (const std::uint64_t distance : std::initializer_list<std::uint64_t>{1, 127, 128, 16511, 16512, 1ULL << 40}) {
    std::string out;
    append_pack_entry_header(out, PackEntryKind::kOfsDelta, 5);
    append_ofs_distance(out, distance);
    for (std::size_t cut = 0; cut < out.size(); ++cut) {
      const auto part = decode_pack_entry_header(Bytes(out).substr(0, cut), HashAlgorithm::kSha1);
      ASSERT_TRUE(part.has_value());
      EXPECT_FALSE(part.value().has_value());
    }
    const auto header = decode_pack_entry_header(out, HashAlgorithm::kSha1);
    ASSERT_TRUE(header.has_value() && header.value());
    EXPECT_EQ(header.value()->base_distance, distance);
  }
}

TEST(PackEntry, refuses_bad_types_and_sizes) {
  for (const std::string& bad : std::vector<std::string>{std::string("\x05"), std::string("\x50"), std::string("\xb0") + std::string(10, '\xff')}) {
    EXPECT_TRUE(decode_pack_entry_header(bad, HashAlgorithm::kSha1).has_error());
  }
}

TEST(RefName, follows_check_ref_format) {
  for (const char* good : {"HEAD", "refs/heads/main", "refs/heads/a@b", "refs/x/y-1.2"}) EXPECT_TRUE(is_valid_ref_name(good)) << good;
  for (const char* bad : {"", "main", "refs/heads/", "refs//x", "refs/heads/.x", "refs/heads/x.lock", "refs/heads/a..b", "refs/heads/a b",
                          "refs/heads/a~", "refs/heads/a^", "refs/heads/a:", "refs/heads/a?", "refs/heads/a*", "refs/heads/a[",
                          "refs/heads/a\\b", "refs/heads/a@{1}", "refs/heads/x.", "refs/../../etc/passwd", "refs/heads/\x7f"}) {
    EXPECT_FALSE(is_valid_ref_name(bad)) << bad;
  }
  EXPECT_FALSE(is_valid_ref_name("refs/heads/" + std::string(2000, 'a')));
}

TEST(RefName, patterns) {
  EXPECT_TRUE(ref_pattern_matches("refs/heads/*", "refs/heads/a/b"));
  EXPECT_TRUE(ref_pattern_matches("refs/internal/", "refs/internal/x"));
  EXPECT_TRUE(ref_pattern_matches("refs/*/main", "refs/heads/main"));
  EXPECT_FALSE(ref_pattern_matches("refs/heads/main", "refs/heads/main2"));
  EXPECT_FALSE(ref_pattern_matches("refs/internal/", "refs/internal"));
}

}  // namespace
}  // namespace vexor::format
