#include "format/purge_rows.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

TEST(PurgeRows, request_vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("purge"), "request"), [](const Vector&, Bytes bytes) { return decode_purge_row(bytes); },
      [](const Vector&, const PurgeRow& row) { return encode_purge_row(row); },
      [](const Vector& vector, const PurgeRow& row) {
        EXPECT_EQ(row.request, vector.number("request"));
        EXPECT_EQ(row.repository, vector.number("repository"));
        EXPECT_EQ(row.pool, vector.number("pool"));
        EXPECT_EQ(row.deleted_ms, vector.integer("deleted_ms"));
        EXPECT_EQ(row.name, vector.text("repository_name"));
        EXPECT_EQ(row.reason, vector.text("reason"));
        EXPECT_EQ(static_cast<unsigned>(row.state), vector.number("state"));
        EXPECT_EQ(row.requested_by, vector.number("requested_by"));
        EXPECT_EQ(row.requested_name, vector.text("requested_name"));
        EXPECT_EQ(row.requested_ms, vector.integer("requested_ms"));
        EXPECT_EQ(row.expires_ms, vector.integer("expires_ms"));
        EXPECT_EQ(row.decided_by, vector.number("decided_by"));
        EXPECT_EQ(row.decided_name, vector.text("decided_name"));
        EXPECT_EQ(row.decided_ms, vector.integer("decided_ms"));
        EXPECT_EQ(row.keeps_objects ? 1U : 0U, vector.number("keeps_objects"));
        EXPECT_EQ(row.erased_rows, vector.number("erased_rows"));
      });
}

TEST(PurgeRows, report_vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("purge"), "report"), [](const Vector&, Bytes bytes) { return decode_purge_report_row(bytes); },
      [](const Vector&, const PurgeReportRow& row) { return encode_purge_report_row(row); },
      [](const Vector& vector, const PurgeReportRow& row) {
        EXPECT_EQ(row.began_ms, vector.integer("began_ms"));
        EXPECT_EQ(row.ended_ms, vector.integer("ended_ms"));
        EXPECT_EQ(row.journal_records, vector.number("journal_records"));
        EXPECT_EQ(row.compacted_bytes, vector.number("compacted_bytes"));
      });
}

}  // namespace
}  // namespace vexor::format
