#include "log/pool_algorithms.h"

#include "store/journal.h"

namespace vexor::log {

using format::PoolId;
using format::RepositoryNumber;
using format::RepositoryRow;
using sys::Family;

namespace {

Result<std::optional<RepositoryRow>> read_row(const sys::StorageSnapshot& snapshot, RepositoryNumber repository) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, "r" + format::pool_key(repository)));
  if (!row) return std::optional<RepositoryRow>();
  VEXOR_TRY(RepositoryRow decoded, format::decode_repository_row(row->bytes()));
  return std::optional<RepositoryRow>(std::move(decoded));
}

}  // namespace

std::optional<RepositoryNumber> PoolAlgorithms::find(PoolId pool) const {
  const std::lock_guard lock(mutex_);
  const auto found = users_.find(pool);
  return found == users_.end() ? std::nullopt : std::optional(found->second);
}

void PoolAlgorithms::remember(PoolId pool, RepositoryNumber user) {
  const std::lock_guard lock(mutex_);
  if (users_.size() >= kPoolsMax) users_.clear();
  users_[pool] = user;
}

Result<std::optional<HashAlgorithm>> PoolAlgorithms::of(const sys::StorageSnapshot& snapshot, const format::JournalRecord& record) {
  VEXOR_TRY(const auto own, read_row(snapshot, record.repository));
  if (own) return std::optional(own->algorithm);
  if (const auto user = find(record.pool)) {
    if (*user == kNobody) return std::optional<HashAlgorithm>();
    VEXOR_TRY(const auto row, read_row(snapshot, *user));
    if (row && row->pool == record.pool) return std::optional(row->algorithm);
  }
  const auto cursor = snapshot.cursor(Family::kRepositories);
  for (cursor->seek("r"); cursor->valid() && cursor->key()[0] == 'r'; cursor->next()) {
    VEXOR_TRY(const RepositoryRow row, format::decode_repository_row(cursor->value()));
    if (row.pool != record.pool) continue;
    remember(record.pool, row.number);
    return std::optional(row.algorithm);
  }
  VEXOR_TRY(cursor->status());
  // A pool that is gone never comes back. One whose first repository is in the tail is still to come.
  VEXOR_TRY(const std::uint64_t applied, store::applied_sequence(snapshot));
  if (record.sequence != 0 && record.sequence <= applied) remember(record.pool, kNobody);
  return std::optional<HashAlgorithm>();
}

}  // namespace vexor::log
