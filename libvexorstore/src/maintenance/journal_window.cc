#include "maintenance/journal_window.h"

#include "store/journal.h"

namespace vexor::maintenance {

using sys::Family;

namespace {
constexpr std::uint64_t kOldInARow = 1000;
}  // namespace

Result<void> JournalWindow::begin(const sys::StorageSnapshot& snapshot, std::int64_t since_ms) {
  VEXOR_TRY(const std::uint64_t last, store::applied_sequence(snapshot));
  // By sequence: from the first young record on all count as young, whatever clocks did. So many old ones in a row, seen from
  // the end, are the end of it: a clock that was wrong for some records ends no retention.
  std::uint64_t first = last + 1;
  for (std::uint64_t sequence = last; sequence > 0 && first - sequence <= kOldInARow; --sequence) {
    VEXOR_TRY(const std::int64_t time_ms, store::read_journal_time(snapshot, sequence));
    if (time_ms > since_ms) first = sequence;
  }
  for (std::uint64_t sequence = first; sequence <= last; ++sequence) {
    VEXOR_TRY(const format::JournalRecord record, store::read_journal_record(snapshot, sequence));
    VEXOR_TRY(add(snapshot, record));
  }
  last_ = last;
  has_begun_ = true;
  return success();
}

Result<void> JournalWindow::advance(const sys::StorageSnapshot& snapshot) {
  VEXOR_TRY(const std::uint64_t last, store::applied_sequence(snapshot));
  while (last_ < last) {
    VEXOR_TRY(const format::JournalRecord record, store::read_journal_record(snapshot, last_ + 1));
    VEXOR_TRY(add(snapshot, record));
    ++last_;
  }
  return success();
}

Result<void> JournalWindow::add(const sys::StorageSnapshot& snapshot, const format::JournalRecord& record) {
  if (record.object_count > 0) pools_[record.pool].ranges.emplace_back(record.first_object, record.object_count);
  const bool is_restored = record.kind == format::OperationKind::kRepositoryRestore;
  if (record.refs.empty() && !is_restored) return success();
  VEXOR_TRY(const auto home, home_of(snapshot, record.repository));
  if (!home) return success();  // purged since
  PoolEvents& events = pools_[home->pool];
  if (is_restored) {
    VEXOR_TRY(name_all_refs(snapshot, record.repository, *home));
  }
  for (const format::RefChange& change : record.refs) {
    for (const std::string* encoded : {&change.old_row, &change.new_row}) {
      if (encoded->empty()) continue;
      VEXOR_TRY(const format::RefRow row, format::decode_ref_row(home->algorithm, *encoded));
      if (row.symref_target.empty()) events.named.push_back(row.number);
    }
  }
  return success();
}

// A deleted repository that comes back was deleted before the retention, maybe, and its refs counted for nothing.
Result<void> JournalWindow::name_all_refs(const sys::StorageSnapshot& snapshot, format::RepositoryNumber repository, const Home& home) {
  const std::string prefix = format::ref_key(repository, {});
  const auto cursor = snapshot.cursor(Family::kRefs);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const format::RefRow row, format::decode_ref_row(home.algorithm, cursor->value()));
    if (row.symref_target.empty()) pools_[home.pool].named.push_back(row.number);
  }
  return cursor->status();
}

Result<std::optional<JournalWindow::Home>> JournalWindow::home_of(const sys::StorageSnapshot& snapshot, format::RepositoryNumber repository) {
  const auto known = homes_.find(repository);
  if (known != homes_.end()) return std::optional<Home>(known->second);
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, "r" + format::pool_key(repository)));
  if (!row) return std::optional<Home>();
  VEXOR_TRY(const format::RepositoryRow decoded, format::decode_repository_row(row->bytes()));
  const Home home{decoded.pool, decoded.algorithm};
  homes_.emplace(repository, home);
  return std::optional<Home>(home);
}

}  // namespace vexor::maintenance
