// Store: SSH public keys. keys: 'f' SHA-256 of the key blob -> record.
#include <array>

#include <openssl/evp.h>

#include "crypto/digest.h"
#include "format/account_rows.h"
#include "store/store_core.h"

namespace vexor {

using format::KeyRow;
using format::OperationKind;
using sys::Family;

namespace {

constexpr std::size_t kKeyLineBytesMax = 16384;
constexpr std::size_t kRsaBitsMin = 3072;
constexpr std::array<std::string_view, 6> kPlainTypes = {
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"};

std::string base64(Bytes bytes, bool padded) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  while (!padded && out.ends_with('=')) out.pop_back();
  return out;
}

std::optional<std::string> unbase64(Bytes text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  std::string out(text.size() / 4 * 3 + 1, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  out.resize(static_cast<std::size_t>(size) - (text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0));
  return out;
}

Result<Bytes> ssh_string(ByteReader& reader) {
  VEXOR_TRY(const std::uint32_t size, reader.u32be());
  return reader.take(size);
}

// The key's type, if it is one that may log in. Certificates are none: nothing here checks a CA.
Result<std::string> accepted_type(Bytes blob) {
  const auto refused = [](const char* why) { return Error(Errc::kInvalidArgument, why); };
  ByteReader reader(blob);
  const auto type = ssh_string(reader);
  if (type.has_error()) return refused("not an SSH public key");
  for (const std::string_view plain : kPlainTypes) {
    if (type.value() == plain) {
      const auto body = ssh_string(reader);
      if (body.has_error() || body.value().empty()) return refused("not an SSH public key");
      return std::string(plain);
    }
  }
  if (type.value() != "ssh-rsa") return refused("keys of this type are not accepted; use ed25519, ecdsa, sk- or RSA of 3072 bits");
  const auto exponent = ssh_string(reader);
  const auto modulus = ssh_string(reader);
  if (exponent.has_error() || modulus.has_error() || !reader.empty()) return refused("not an SSH public key");
  Bytes digits = modulus.value();
  while (digits.starts_with('\0')) digits.remove_prefix(1);
  std::size_t bits = digits.size() * 8;
  for (unsigned top = digits.empty() ? 0x80U : octet(digits, 0); (top & 0x80U) == 0; top <<= 1U) --bits;
  if (bits < kRsaBitsMin) return refused("RSA keys need at least 3072 bits");
  return std::string("ssh-rsa");
}

std::string fingerprint_of(Bytes digest) { return "SHA256:" + base64(digest, false); }

}  // namespace

Result<KeyInfo> Store::add_key(const std::string& account, const std::string& key_line, const Actor& actor, Receipt* receipt) {
  if (key_line.size() > kKeyLineBytesMax) return Error(Errc::kLimitExceeded, "the key line is too long");
  std::string_view rest(key_line);
  while (!rest.empty() && (rest.back() == '\n' || rest.back() == '\r' || rest.back() == ' ')) rest.remove_suffix(1);
  const std::size_t first = rest.find(' ');
  if (first == std::string_view::npos) return Error(Errc::kInvalidArgument, "a key line is TYPE BASE64 [COMMENT]");
  const std::size_t second = rest.find(' ', first + 1);
  const auto blob = unbase64(rest.substr(first + 1, second == std::string_view::npos ? second : second - first - 1));
  if (!blob) return Error(Errc::kInvalidArgument, "a key line is TYPE BASE64 [COMMENT]");
  VEXOR_TRY(const std::string type, accepted_type(*blob));
  if (type != rest.substr(0, first)) return Error(Errc::kInvalidArgument, "the key is of another type than its line says");
  VEXOR_TRY(const auto who, find_account(account));
  if (!who) return Error(Errc::kNotFound, account + ": no such account");
  KeyRow row{who->id, type, second == std::string_view::npos ? "" : std::string(rest.substr(second + 1))};
  for (char& c : row.comment) {
    if (octet(Bytes(&c, 1), 0) < 0x20 || c == 0x7F) c = '?';
  }
  const std::string digest = sha256(*blob);
  store::Change change;
  change.record.kind = OperationKind::kKey;
  change.record.actor = actor.account;
  change.record.actor_name = actor.name;
  change.record.subject = "add " + fingerprint_of(digest) + " to " + account;
  change.preconditions.push_back({Family::kKeys, "f" + digest, std::nullopt});
  change.record.changes.push_back({Family::kKeys, "f" + digest, encode_key_row(row)});
  auto done = core_->committer->submit(std::move(change), receipt);
  if (done.has_error() && done.error().code() == Errc::kConflict) return Error(Errc::kConflict, "the key is in use already");
  if (done.has_error()) return std::move(done).error();
  return KeyInfo{fingerprint_of(digest), row.type, row.comment, row.account};
}

Result<void> Store::remove_key(const std::string& fingerprint, const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  const auto cursor = snapshot->cursor(Family::kKeys);
  for (cursor->seek("f"); cursor->valid() && cursor->key()[0] == 'f'; cursor->next()) {
    if (fingerprint_of(cursor->key().substr(1)) != fingerprint) continue;
    store::Change change;
    change.record.kind = OperationKind::kKey;
    change.record.actor = actor.account;
    change.record.actor_name = actor.name;
    change.record.subject = "remove " + fingerprint;
    change.record.changes.push_back({Family::kKeys, std::string(cursor->key()), std::nullopt});
    VEXOR_TRY(core_->committer->submit(std::move(change), receipt));
    return success();
  }
  return Error(Errc::kNotFound, "no such key");
}

Result<std::vector<KeyInfo>> Store::list_keys(const std::string& account) const {
  VEXOR_TRY(const auto who, find_account(account));
  if (!who) return Error(Errc::kNotFound, account + ": no such account");
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  std::vector<KeyInfo> out;
  const auto cursor = snapshot->cursor(Family::kKeys);
  for (cursor->seek("f"); cursor->valid() && cursor->key()[0] == 'f'; cursor->next()) {
    VEXOR_TRY(const KeyRow row, format::decode_key_row(cursor->value()));
    if (row.account == who->id) out.push_back({fingerprint_of(cursor->key().substr(1)), row.type, row.comment, row.account});
  }
  VEXOR_TRY(cursor->status());
  return out;
}

Result<std::optional<AccountInfo>> Store::find_key(Bytes key_blob) const {
  if (accepted_type(key_blob).has_error()) return std::optional<AccountInfo>();
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  VEXOR_TRY(const auto row, snapshot->get(Family::kKeys, "f" + sha256(key_blob)));
  if (!row) return std::optional<AccountInfo>();
  VEXOR_TRY(const KeyRow key, format::decode_key_row(row->bytes()));
  VEXOR_TRY(const auto who, store::find_account_row(*snapshot, key.account));
  if (!who || who->disabled) return std::optional<AccountInfo>();
  return std::optional<AccountInfo>(store::to_info(*core_, *who));
}

}  // namespace vexor
