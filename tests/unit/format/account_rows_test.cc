#include "format/account_rows.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

TEST(AccountRow, vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("accounts"), "account"), [](const Vector&, Bytes bytes) { return decode_account_row(bytes); },
      [](const Vector&, const AccountRow& row) { return encode_account_row(row); },
      [](const Vector& vector, const AccountRow& row) {
        EXPECT_EQ(row.id, vector.number("id"));
        EXPECT_EQ(row.name, vector.text("account_name"));
        EXPECT_EQ(row.password_hash, vector.text("password_hash"));
        EXPECT_EQ(row.disabled, vector.flag("disabled"));
      });
}

TEST(KeyRow, vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("accounts"), "key"), [](const Vector&, Bytes bytes) { return decode_key_row(bytes); },
      [](const Vector&, const KeyRow& row) { return encode_key_row(row); },
      [](const Vector& vector, const KeyRow& row) {
        EXPECT_EQ(row.account, vector.number("account"));
        EXPECT_EQ(row.type, vector.text("type"));
        EXPECT_EQ(row.comment, vector.text("comment"));
      });
}

TEST(GrantRow, vectors_whole_and_cut) {
  run_row_vectors(
      of_kind(family_vectors("accounts"), "grant"), [](const Vector&, Bytes bytes) { return decode_grant_row(bytes); },
      [](const Vector&, std::uint8_t permission) { return encode_grant_row(permission); },
      [](const Vector& vector, std::uint8_t permission) { EXPECT_EQ(permission, vector.number("permission")); });
}

}  // namespace
}  // namespace vexor::format
