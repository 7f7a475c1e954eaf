#include "format/account_rows.h"

#include "base/bytes_io.h"

namespace vexor::format {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kPermissionMax = 3;

}  // namespace

std::string encode_account_row(const AccountRow& row) {
  std::string out;
  put_u8(out, kVersion);
  put_u64be(out, row.id);
  put_bytes(out, row.name);
  put_bytes(out, row.password_hash);
  put_u8(out, row.disabled ? 1 : 0);
  return out;
}

Result<AccountRow> decode_account_row(Bytes value) {
  ByteReader reader(value);
  AccountRow row;
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, "account row: unknown version");
  VEXOR_TRY(row.id, reader.u64be());
  VEXOR_TRY(const Bytes name, reader.bytes());
  row.name = std::string(name);
  VEXOR_TRY(const Bytes hash, reader.bytes());
  row.password_hash = std::string(hash);
  VEXOR_TRY(row.disabled, reader.flag());
  VEXOR_TRY(reader.end());
  return row;
}

std::string encode_key_row(const KeyRow& row) {
  std::string out;
  put_u8(out, kVersion);
  put_u64be(out, row.account);
  put_bytes(out, row.type);
  put_bytes(out, row.comment);
  return out;
}

Result<KeyRow> decode_key_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, "key row: unknown version");
  KeyRow row;
  VEXOR_TRY(row.account, reader.u64be());
  VEXOR_TRY(const Bytes type, reader.bytes());
  row.type = std::string(type);
  VEXOR_TRY(const Bytes comment, reader.bytes());
  row.comment = std::string(comment);
  VEXOR_TRY(reader.end());
  return row;
}

std::string encode_grant_row(std::uint8_t permission) { return std::string(1, static_cast<char>(permission)); }

Result<std::uint8_t> decode_grant_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t permission, reader.u8());
  if (permission < 1 || permission > kPermissionMax) return Error(Errc::kCorrupt, "grant row: unknown permission");
  VEXOR_TRY(reader.end());
  return permission;
}

}  // namespace vexor::format
