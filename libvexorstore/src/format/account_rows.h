// Values of the families of people: accounts, keys, grants. Spec: docs/format/accounts.md.
#pragma once

#include <cstdint>
#include <string>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::format {

struct AccountRow {
  std::uint64_t id = 0;
  std::string name;
  std::string password_hash;  // bcrypt, "$2b$..."; empty: no password logs in
  bool disabled = false;
};
std::string encode_account_row(const AccountRow& row);
Result<AccountRow> decode_account_row(Bytes value);

struct KeyRow {
  std::uint64_t account = 0;
  std::string type;  // "ssh-ed25519", ...
  std::string comment;
};
std::string encode_key_row(const KeyRow& row);
Result<KeyRow> decode_key_row(Bytes value);

// One octet, a Permission: 1 read, 2 write, 3 owner. No permission is no row.
std::string encode_grant_row(std::uint8_t permission);
Result<std::uint8_t> decode_grant_row(Bytes value);

}  // namespace vexor::format
