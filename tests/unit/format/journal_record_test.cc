#include "format/journal_record.h"

#include <map>

#include "crypto/digest.h"
#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

std::string hex_or(const std::string& bytes, const char* none) { return bytes.empty() ? none : to_hex(bytes); }

TEST(JournalRecord, vectors_whole_and_cut) {
  run_row_vectors(
      family_vectors("journal"), [](const Vector&, Bytes bytes) { return decode_journal_record(bytes); },
      [](const Vector&, const JournalRecord& record) { return encode_journal_record(record); },
      [](const Vector& vector, const JournalRecord& record) {
        EXPECT_EQ(record.epoch, vector.number("epoch"));
        EXPECT_EQ(record.sequence, vector.number("sequence"));
        EXPECT_EQ(record.time_ms, vector.integer("time_ms"));
        EXPECT_EQ(record.actor, vector.number("actor"));
        EXPECT_EQ(record.actor_name, vector.text("actor_name"));
        EXPECT_EQ(static_cast<unsigned>(record.kind), vector.number("operation"));
        EXPECT_NE(operation_name(record.kind), "unknown");
        EXPECT_EQ(record.repository, vector.number("repository"));
        EXPECT_EQ(record.subject, vector.text("subject"));
        EXPECT_EQ(record.pool, vector.number("pool"));
        EXPECT_EQ(record.first_object, vector.number("first_object"));
        EXPECT_EQ(record.object_count, vector.number("object_count"));
        EXPECT_EQ(record.objects_digest, vector.octets("objects_digest"));
        EXPECT_EQ(record.previous_hash, vector.octets("previous_hash"));
        EXPECT_EQ(record.purge_request, vector.all("purge_request").empty() ? 0U : vector.number("purge_request"));
        EXPECT_EQ(to_hex(record.own_hash), vector.all("own_hash").empty() ? "" : vector.all("own_hash").front());
        EXPECT_EQ(journal_record_time(vector.bytes).value(), record.time_ms);
        EXPECT_EQ(journal_record_repository(vector.bytes).value(), record.repository);
        std::vector<std::string> refs;
        for (const RefChange& ref : record.refs) refs.push_back(ref.name + " " + hex_or(ref.old_row, "-") + " " + hex_or(ref.new_row, "-"));
        EXPECT_EQ(refs, vector.all("ref"));
        std::vector<std::string> changes;
        for (const RowChange& change : record.changes) {
          changes.push_back(std::string(sys::family_name(change.family)) + " " + to_hex(change.key) + " " + (change.value ? hex_or(*change.value, "-") : "!"));
        }
        EXPECT_EQ(changes, vector.all("change"));
        std::vector<std::string> erasures;
        for (const RangeErasure& erasure : record.erasures) {
          erasures.push_back(std::string(sys::family_name(erasure.family)) + " " + to_hex(erasure.first) + " " + to_hex(erasure.end));
        }
        EXPECT_EQ(erasures, vector.all("erasure"));
      });
}

// Whoever applies a record puts its sequence into such a row.
TEST(JournalRecord, a_new_row_of_a_ref_that_cannot_be_applied_is_corrupt) {
  JournalRecord record;
  record.kind = OperationKind::kRefTransaction;
  const auto decoded = [&](const std::string& row) {
    record.refs = {{"refs/heads/main", {}, row}};
    return decode_journal_record(encode_journal_record(record));
  };
  const std::string whole = std::string("\1\0\0", 3) + std::string(24, 'x');
  EXPECT_TRUE(decoded("").has_value());
  EXPECT_TRUE(decoded(whole).has_value());
  std::string of_another_sequence = whole;
  of_another_sequence[1] = 1;
  for (const std::string& row : {std::string("\1"), std::string("\1\0", 2), of_another_sequence}) {
    const auto refused = decoded(row);
    ASSERT_TRUE(refused.has_error()) << row.size();
    EXPECT_EQ(refused.error().code(), Errc::kCorrupt);
  }
}

TEST(JournalRecord, each_names_the_digest_of_the_one_before) {
  std::string previous(32, '\0');
  for (const Vector& vector : family_vectors("journal")) {
    if (vector.name == "revoke") return;  // a record from elsewhere
    EXPECT_EQ(to_hex(decode_journal_record(vector.bytes).value().previous_hash), to_hex(previous)) << vector.name;
    previous = blake2b_256(vector.bytes);
  }
}

TEST(JournalRecord, the_purged_form_is_what_the_vectors_say) {
  std::map<std::string, Vector> named;
  for (const Vector& vector : family_vectors("journal")) named.emplace(vector.name, vector);
  JournalRecord push = decode_journal_record(named.at("push").bytes).value();
  push.changes.push_back({sys::Family::kBitmaps, number_key(1, 7), std::nullopt});
  push.changes.push_back({sys::Family::kRepositories, "nann/secret", pool_key(1)});
  const std::string hash = blake2b_256(named.at("push").bytes);
  EXPECT_EQ(to_hex(encode_journal_record(purged_form(push, 9, hash, false))), to_hex(named.at("purged-push").bytes));
  EXPECT_EQ(to_hex(encode_journal_record(purged_form(push, 9, hash, true))), to_hex(named.at("purged-push-to-a-shared-pool").bytes));
}

}  // namespace
}  // namespace vexor::format
