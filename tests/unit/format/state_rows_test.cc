#include "format/state_rows.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

TEST(RefRow, vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("refs"), "ref"), [](const Vector& vector, Bytes bytes) { return decode_ref_row(vector.algorithm(), bytes); },
      [](const Vector&, const RefRow& row) { return encode_ref_row(row); },
      [](const Vector& vector, const RefRow& row) {
        EXPECT_EQ(row.sequence, vector.number("sequence"));
        EXPECT_EQ(row.symref_target, vector.text_or("target", ""));
        if (vector.has("target")) return;
        EXPECT_EQ(row.id, vector.id("id"));
        EXPECT_EQ(row.number, vector.number("number"));
        ASSERT_EQ(row.peeled.has_value(), vector.has("peeled"));
        if (!row.peeled) return;
        EXPECT_EQ(*row.peeled, vector.id("peeled"));
        EXPECT_EQ(row.peeled_number, vector.number("peeled_number"));
      });
}

TEST(ReflogRow, vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("refs"), "reflog"), [](const Vector&, Bytes bytes) { return decode_reflog_row(bytes); },
      [](const Vector&, const ReflogRow& row) { return encode_reflog_row(row); },
      [](const Vector& vector, const ReflogRow& row) {
        EXPECT_EQ(row.time_ms, vector.integer("time_ms"));
        EXPECT_EQ(row.actor_name, vector.text("actor"));
        EXPECT_EQ(row.old_row, vector.octets("old"));
        EXPECT_EQ(row.new_row, vector.octets("new"));
      });
}

std::string describe(const ProtectRule& rule) {
  std::string out = rule.pattern + " " + std::to_string((rule.no_force ? 1 : 0) + (rule.no_delete ? 2 : 0));
  for (const std::string& user : rule.only_users) out += " " + user;
  return out;
}

TEST(RepositoryRow, vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("repositories"), "repository"), [](const Vector&, Bytes bytes) { return decode_repository_row(bytes); },
      [](const Vector&, const RepositoryRow& row) { return encode_repository_row(row); },
      [](const Vector& vector, const RepositoryRow& row) {
        EXPECT_EQ(row.number, vector.number("number"));
        EXPECT_EQ(row.pool, vector.number("pool"));
        EXPECT_EQ(hash_name(row.algorithm), vector.text("repository_algorithm"));
        EXPECT_EQ(row.name, vector.text("repository_name"));
        EXPECT_EQ(row.description, vector.text("description"));
        EXPECT_EQ(row.is_public, vector.flag("public"));
        EXPECT_EQ(row.deleted_at_ms, vector.integer("deleted_at_ms"));
        EXPECT_EQ(row.deleted_name, vector.text("deleted_name"));
        EXPECT_EQ(row.fork_of, vector.number("fork_of"));
        std::vector<std::string> rules;
        for (const ProtectRule& rule : row.protect) rules.push_back(describe(rule));
        EXPECT_EQ(rules, vector.all("rule"));
        EXPECT_EQ(row.hidden, vector.all("hidden"));
        EXPECT_EQ(row.check_policy, vector.text("check_policy"));
        EXPECT_EQ(row.pack_bytes_max, vector.number("pack_bytes_max"));
        EXPECT_EQ(row.object_bytes_max, vector.number("object_bytes_max"));
        EXPECT_EQ(row.bundles, vector.all("bundle"));
        EXPECT_EQ(row.refs_max, vector.number("refs_max"));
        EXPECT_EQ(static_cast<std::uint64_t>(row.copies), vector.has("copies") ? vector.number("copies") : 0);
      });
}

TEST(RepositoryNumbers, vectors) {
  for (const Vector& vector : of_kind(family_vectors("repositories"), "number")) {
    EXPECT_EQ(pool_key(vector.number("number")), vector.bytes) << vector.name;
    ByteReader reader(vector.bytes);
    EXPECT_EQ(reader.u64be().value(), vector.number("number")) << vector.name;
  }
}

}  // namespace
}  // namespace vexor::format
