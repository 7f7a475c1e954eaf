#include "format/pool_rows.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

TEST(IndexRow, vectors_whole_and_cut) {
  run_row_vectors(
      family_vectors("index"), [](const Vector&, Bytes bytes) { return decode_index_row(bytes); },
      [](const Vector&, ObjectNumber number) { return encode_index_row(number); },
      [](const Vector& vector, ObjectNumber number) { EXPECT_EQ(number, vector.number("number")); });
}

TEST(GraphRow, vectors_whole_and_cut) {
  run_row_vectors(
      family_vectors("graph"), [](const Vector&, Bytes bytes) { return decode_graph_row(bytes); },
      [](const Vector&, const GraphRow& row) { return encode_graph_row(row); },
      [](const Vector& vector, const GraphRow& row) {
        EXPECT_EQ(row.tree, vector.number("tree"));
        EXPECT_EQ(row.generation, vector.number("generation"));
        EXPECT_EQ(row.commit_time, vector.integer("time"));
        std::vector<std::string> parents;
        for (const ObjectNumber parent : row.parents) parents.push_back(std::to_string(parent));
        EXPECT_EQ(parents, vector.all("parent"));
        std::vector<std::string> additions;
        for (const ObjectNumber number : row.additions.value_or(std::vector<ObjectNumber>())) additions.push_back(std::to_string(number));
        EXPECT_EQ(additions, vector.all("addition"));
      });
}

TEST(QuarantineRow, vectors_whole_and_cut) {
  run_row_vectors(
      family_vectors("quarantine"), [](const Vector&, Bytes bytes) { return decode_quarantine_row(bytes); },
      [](const Vector&, const QuarantineRow& row) { return encode_quarantine_row(row); },
      [](const Vector& vector, const QuarantineRow& row) {
        EXPECT_EQ(hash_name(row.algorithm), vector.text("row_algorithm"));
        EXPECT_EQ(row.object_count, vector.number("object_count"));
      });
}

TEST(UpkeepRows, vectors_whole_and_cut) {
  const auto vectors = family_vectors("meta");
  run_row_vectors(
      of_kind(vectors, "pool"), [](const Vector&, Bytes bytes) { return decode_pool_upkeep_row(bytes); },
      [](const Vector&, const PoolUpkeepRow& row) { return encode_pool_upkeep_row(row); },
      [](const Vector& vector, const PoolUpkeepRow& row) {
        EXPECT_EQ(row.rewrites, vector.number("rewrites"));
        EXPECT_EQ(row.sweeps, vector.number("sweeps"));
        EXPECT_EQ(row.merged_to, vector.number("merged_to"));
        EXPECT_EQ(row.swept_objects, vector.number("swept_objects"));
        EXPECT_EQ(row.redelta_objects, vector.number("redelta_objects"));
        const auto or_0 = [&](const char* key) { return vector.has(key) ? vector.number(key) : 0; };
        EXPECT_EQ(row.frozen_to, or_0("frozen_to"));
        EXPECT_EQ(row.cold_extents, or_0("cold_extents"));
        EXPECT_EQ(row.cold_bytes, or_0("cold_bytes"));
        EXPECT_EQ(row.stale_bytes, or_0("stale_bytes"));
      });
  run_row_vectors(
      of_kind(vectors, "cursor"), [](const Vector&, Bytes bytes) { return decode_upkeep_cursor_row(bytes); },
      [](const Vector&, PoolId pool) { return encode_upkeep_cursor_row(pool); },
      [](const Vector& vector, PoolId pool) { EXPECT_EQ(pool, vector.number("pool")); });
  run_row_vectors(
      of_kind(vectors, "scrub"), [](const Vector&, Bytes bytes) { return decode_scrub_row(bytes); },
      [](const Vector&, const ScrubRow& row) { return encode_scrub_row(row); },
      [](const Vector& vector, const ScrubRow& row) {
        EXPECT_EQ(row.verified_ms, vector.number("verified_ms"));
        EXPECT_EQ(row.verified_sequence, vector.number("verified_sequence"));
        EXPECT_EQ(row.round_ms, vector.number("round_ms"));
        EXPECT_EQ(row.round_sequence, vector.number("round_sequence"));
        EXPECT_EQ(row.next, vector.number("next"));
        EXPECT_EQ(row.damaged, vector.number("damaged"));
      });
}

}  // namespace
}  // namespace vexor::format
