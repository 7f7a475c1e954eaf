#include "maintenance/journal_window.h"

#include "store/journal.h"

namespace vexor::maintenance {

using sys::Family;

Result<void> JournalWindow::begin(const sys::StorageSnapshot& snapshot, std::int64_t since_ms) {
  VEXOR_TRY(const std::uint64_t last, store::applied_sequence(snapshot));
  // By sequence: behind the first old record, seen from the end, all count as old, whatever clocks did.
  for (std::uint64_t sequence = last; sequence > 0; --sequence) {
    VEXOR_TRY(const format::JournalRecord record, store::read_journal_record(snapshot, sequence));
    if (record.time_ms <= since_ms) break;
    VEXOR_TRY(add(snapshot, record));
  }
  last_ = last;
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
  if (record.refs.empty()) return success();
  VEXOR_TRY(const auto home, home_of(snapshot, record.repository));
  if (!home) return success();  // purged since
  PoolEvents& events = pools_[home->pool];
  for (const format::RefChange& change : record.refs) {
    for (const std::string* encoded : {&change.old_row, &change.new_row}) {
      if (encoded->empty()) continue;
      VEXOR_TRY(const format::RefRow row, format::decode_ref_row(home->algorithm, *encoded));
      if (row.symref_target.empty()) events.named.push_back(row.number);
    }
  }
  return success();
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
