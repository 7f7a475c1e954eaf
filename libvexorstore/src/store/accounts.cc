// Store: accounts, passwords, keys, grants.
//
// accounts: 'a' id -> record, 'n' name -> id. keys: 'f' fingerprint -> record. grants: repository,
// account -> permission. Passwords are bcrypt hashes; the text of one is never kept.
#include <crypt.h>
#include <sodium.h>

#include "crypto/digest.h"
#include "format/account_rows.h"
#include "store/repository_changes.h"
#include "store/store_core.h"

namespace vexor {

using format::AccountRow;
using format::OperationKind;
using sys::Family;

namespace {

constexpr int kBcryptCost = 10;
constexpr std::size_t kPasswordBytesMin = 8;
constexpr std::size_t kPasswordBytesMax = 72;  // bcrypt reads no more: longer ones are refused
// A hash that no password has: what unknown names are checked against.
constexpr const char* kDummyHash = "$2b$10$abcdefghijklmnopqrstuuJg6Nd6bJr6nHpzzYlkIWWhX5hYyZnAi";

Result<std::string> bcrypt(Bytes password, const std::string& setting) {
  auto data = std::make_unique<crypt_data>();
  std::string text(password);
  const char* hash = crypt_rn(text.c_str(), setting.c_str(), data.get(), static_cast<int>(sizeof(crypt_data)));
  sodium_memzero(text.data(), text.size());
  if (hash == nullptr) return Error(Errc::kIo, "password hashing failed");
  return std::string(hash);
}

Result<std::string> hash_password(Bytes password) {
  if (password.size() < kPasswordBytesMin || password.size() > kPasswordBytesMax || password.find('\0') != Bytes::npos) {
    return Error(Errc::kInvalidArgument, "a password has 8 to 72 bytes");
  }
  const std::string random = random_bytes(16);
  char setting[CRYPT_GENSALT_OUTPUT_SIZE];
  if (crypt_gensalt_rn("$2b$", kBcryptCost, random.data(), 16, setting, sizeof setting) == nullptr) {
    return Error(Errc::kIo, "password hashing failed");
  }
  return bcrypt(password, setting);
}

bool verify_password(Bytes password, const std::string& hash) {
  const bool usable = hash.size() == 60 && (hash.starts_with("$2b$") || hash.starts_with("$2y$"));
  const bool fits = password.size() <= kPasswordBytesMax && password.find('\0') == Bytes::npos;
  const auto made = bcrypt(fits ? password : Bytes("-"), usable ? hash : kDummyHash);
  return made.has_value() && usable && fits && constant_time_equal(made.value(), hash);
}

Result<std::optional<AccountRow>> find_row(const sys::StorageSnapshot& snapshot, const std::string& name) {
  VEXOR_TRY(const auto id, snapshot.get(Family::kAccounts, "n" + name));
  if (!id) return std::optional<AccountRow>();
  VEXOR_TRY(const auto row, snapshot.get(Family::kAccounts, "a" + std::string(id->bytes())));
  if (!row) return Error(Errc::kCorrupt, "an account name without its row");
  VEXOR_TRY(AccountRow decoded, format::decode_account_row(row->bytes()));
  return std::optional<AccountRow>(std::move(decoded));
}

store::Change begin_change(OperationKind kind, const Actor& actor, std::string subject) {
  store::Change change;
  change.record.kind = kind;
  change.record.actor = actor.account;
  change.record.actor_name = actor.name;
  change.record.subject = std::move(subject);
  return change;
}

}  // namespace

Result<std::optional<AccountRow>> store::find_account_row(const sys::StorageSnapshot& snapshot, std::uint64_t id) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kAccounts, "a" + format::pool_key(id)));
  if (!row) return std::optional<AccountRow>();
  VEXOR_TRY(AccountRow decoded, format::decode_account_row(row->bytes()));
  return std::optional<AccountRow>(std::move(decoded));
}

AccountInfo store::to_info(const StoreCore& core, const AccountRow& row) {
  const std::string tag = sys::keyed_tag(core.credentials_key, row.password_hash);
  ByteReader reader(tag);
  return {row.id, row.name, row.disabled, reader.u64be().value()};
}

Result<AccountInfo> Store::create_account(const std::string& name, Bytes password, const Actor& actor, Receipt* receipt) {
  const bool fine = !name.empty() && name.size() <= 64 && name[0] != '-' && name[0] != '.' &&
                    name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == std::string::npos;
  if (!fine) return Error(Errc::kInvalidArgument, "an account name has letters, digits, '.', '_' and '-'");
  AccountRow row;
  row.id = core_->next_id();
  row.name = name;
  if (!password.empty()) {
    VEXOR_TRY(row.password_hash, hash_password(password));
  }
  store::Change change = begin_change(OperationKind::kAccount, actor, "create " + name);
  change.preconditions.push_back({Family::kAccounts, "n" + name, std::nullopt});
  change.preconditions.push_back({Family::kAccounts, "a" + format::pool_key(row.id), std::nullopt});  // an id is given out once
  change.record.changes.push_back({Family::kAccounts, "a" + format::pool_key(row.id), encode_account_row(row)});
  change.record.changes.push_back({Family::kAccounts, "n" + name, format::pool_key(row.id)});
  change.record.changes.push_back({Family::kRepositories, "i", format::pool_key(row.id + 1)});
  auto done = core_->committer->submit(std::move(change), receipt);
  if (done.has_error() && done.error().code() == Errc::kConflict) return Error(Errc::kConflict, name + ": the name is taken");
  if (done.has_error()) return std::move(done).error();
  return store::to_info(*core_, row);
}

namespace {
Result<void> change_account(store::StoreCore& core, const std::string& name, const std::string& what, const Actor& actor, Receipt* receipt,
                            const std::function<Result<void>(AccountRow&)>& edit) {
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  VEXOR_TRY(auto row, find_row(*snapshot, name));
  if (!row) return Error(Errc::kNotFound, name + ": no such account");
  store::Change change = begin_change(OperationKind::kAccount, actor, what + " " + name);
  const std::string key = "a" + format::pool_key(row->id);
  change.preconditions.push_back({Family::kAccounts, key, encode_account_row(*row)});
  VEXOR_TRY(edit(*row));
  change.record.changes.push_back({Family::kAccounts, key, encode_account_row(*row)});
  VEXOR_TRY(core.committer->submit(std::move(change), receipt));
  return success();
}
}  // namespace

Result<void> Store::set_password(const std::string& name, Bytes password, const Actor& actor, Receipt* receipt) {
  return change_account(*core_, name, "password", actor, receipt, [&](AccountRow& row) -> Result<void> {
    VEXOR_TRY(row.password_hash, hash_password(password));
    return success();
  });
}

Result<void> Store::set_disabled(const std::string& name, bool disabled, const Actor& actor, Receipt* receipt) {
  return change_account(*core_, name, disabled ? "disable" : "enable", actor, receipt, [&](AccountRow& row) -> Result<void> {
    row.disabled = disabled;
    return success();
  });
}

Result<std::optional<AccountInfo>> Store::find_account(const std::string& name) const {
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  VEXOR_TRY(const auto row, find_row(*snapshot, name));
  if (!row) return std::optional<AccountInfo>();
  return std::optional<AccountInfo>(store::to_info(*core_, *row));
}

Result<std::vector<AccountInfo>> Store::list_accounts() const {
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  std::vector<AccountInfo> out;
  const auto cursor = snapshot->cursor(Family::kAccounts);
  for (cursor->seek("a"); cursor->valid() && cursor->key()[0] == 'a'; cursor->next()) {
    VEXOR_TRY(const AccountRow row, format::decode_account_row(cursor->value()));
    out.push_back(store::to_info(*core_, row));
  }
  VEXOR_TRY(cursor->status());
  return out;
}

Result<std::optional<AccountInfo>> Store::check_password(const std::string& name, Bytes password) const {
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  VEXOR_TRY(const auto row, find_row(*snapshot, name));
  const bool right = verify_password(password, row && !row->password_hash.empty() ? row->password_hash : kDummyHash);
  if (!row || !right || row->disabled) return std::optional<AccountInfo>();
  return std::optional<AccountInfo>(store::to_info(*core_, *row));
}

Result<void> Store::grant(const std::string& repository, const std::string& account, Permission permission, const Actor& actor, Receipt* receipt) {
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  VEXOR_TRY(const auto row, store::find_repository_row(*snapshot, repository));
  if (!row) return Error(Errc::kNotFound, repository + ": no such repository");
  VEXOR_TRY(const auto who, find_row(*snapshot, account));
  if (!who) return Error(Errc::kNotFound, account + ": no such account");
  store::Change change = begin_change(OperationKind::kGrant, actor, repository + " " + account);
  change.record.repository = row->number;
  store::expect_row(change, *row);  // a grant to what was purged meanwhile would stay for ever
  const std::string key = format::pool_key(row->number) + format::pool_key(who->id);
  if (permission == Permission::kNone) {
    change.record.changes.push_back({Family::kGrants, key, std::nullopt});
  } else {
    change.record.changes.push_back({Family::kGrants, key, format::encode_grant_row(static_cast<std::uint8_t>(permission))});
  }
  VEXOR_TRY(core_->committer->submit(std::move(change), receipt));
  return success();
}

Result<Permission> Store::permission_of(const RepositoryInfo& repository, std::uint64_t account) const {
  Permission out = repository.is_public ? Permission::kRead : Permission::kNone;
  if (account == 0) return out;
  VEXOR_TRY(const auto snapshot, core_->backend->snapshot());
  VEXOR_TRY(const auto who, store::find_account_row(*snapshot, account));
  if (!who || who->disabled) return Permission::kNone;
  if (repository.name.starts_with(who->name + "/")) return Permission::kOwner;
  VEXOR_TRY(const auto grant, snapshot->get(Family::kGrants, format::pool_key(repository.id) + format::pool_key(account)));
  if (!grant) return out;
  VEXOR_TRY(const std::uint8_t granted, format::decode_grant_row(grant->bytes()));
  out = std::max(out, static_cast<Permission>(granted));
  return out;
}

}  // namespace vexor
