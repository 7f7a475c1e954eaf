#include "format/log_rows.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

TEST(LogRows, vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("log-rows"), "rows"), [](const Vector&, Bytes bytes) { return decode_log_rows(bytes); },
      [](const Vector&, const LogRows& rows) { return encode_log_rows(rows.algorithm, rows.rows); },
      [](const Vector& vector, const LogRows& rows) {
        EXPECT_EQ(hash_name(rows.algorithm), vector.text("row_algorithm"));
        std::vector<std::string> found;
        for (const sys::Batch::Op& op : rows.rows.ops()) {
          found.push_back(std::string(sys::family_name(op.family)) + " " + to_hex(op.key) + " " + (op.value.empty() ? "-" : to_hex(op.value)));
        }
        EXPECT_EQ(found, vector.all("row"));
      });
}

TEST(LogRows, applied_vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("log-rows"), "applied"), [](const Vector&, Bytes bytes) { return decode_applied_row(bytes); },
      [](const Vector&, const std::uint64_t& sequence) { return encode_applied_row(sequence); },
      [](const Vector& vector, const std::uint64_t& sequence) { EXPECT_EQ(sequence, vector.number("sequence")); });
}

TEST(LogRows, late_vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("log-rows"), "late"), [](const Vector&, Bytes bytes) { return decode_late_row(bytes); },
      [](const Vector&, const LateRow& row) { return encode_late_row(row); },
      [](const Vector& vector, const LateRow& row) {
        EXPECT_EQ(row.sequence, vector.number("sequence"));
        EXPECT_EQ(row.object_count, vector.number("objects"));
      });
}

TEST(LogRows, keys_of_late_rows_lie_behind_the_one_that_says_that_they_are_there) {
  EXPECT_LT(late_rows_key(), late_key(0, 0));
  EXPECT_FALSE(late_rows_key().starts_with(late_prefix(0)));
  EXPECT_EQ(number_of_late_key(late_key(7, 123)).value(), 123U);
  EXPECT_EQ(number_of_late_key(late_rows_key()).error().code(), Errc::kCorrupt);
  EXPECT_EQ(number_of_late_key("").error().code(), Errc::kCorrupt);
  EXPECT_EQ(encode_late_rows_row(), "\1");
}

TEST(LogRows, what_does_not_travel_is_left_out) {
  sys::Batch batch;
  batch.put(sys::Family::kIndex, "a", "b");
  batch.erase(sys::Family::kGraph, "a");
  batch.put(sys::Family::kGraph, "c", "d");
  const auto rows = decode_log_rows(encode_log_rows(HashAlgorithm::kSha256, batch));
  ASSERT_TRUE(rows.has_value());
  EXPECT_EQ(rows.value().rows.ops().size(), 1U);
}

}  // namespace
}  // namespace vexor::format
