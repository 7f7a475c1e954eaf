// The journal as people read it.
#include "format/state_rows.h"
#include "store/store_core.h"
#include "vexorstore/history.h"

namespace vexor {

using sys::Family;

namespace {

ObjectId id_of(HashAlgorithm algorithm, Bytes row) {
  const ObjectId none = ObjectId::null(algorithm);
  if (row.empty()) return none;
  const auto decoded = format::decode_ref_row(algorithm, row);
  return decoded.has_value() && decoded.value().symref_target.empty() ? decoded.value().id : none;
}

Result<JournalEntry> entry_of(const sys::StorageSnapshot& snapshot, Bytes encoded) {
  VEXOR_TRY(const format::JournalRecord record, format::decode_journal_record(encoded));
  JournalEntry out;
  out.sequence = record.sequence;
  out.time_ms = record.time_ms;
  out.actor = record.actor_name;
  out.operation = std::string(format::operation_name(record.kind));
  out.subject = record.subject;
  out.new_objects = record.object_count;
  out.ref_count = record.refs.size();
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, "r" + format::pool_key(record.repository)));
  if (!row) return out;
  VEXOR_TRY(const format::RepositoryRow repository, format::decode_repository_row(row->bytes()));
  out.repository = repository.name;
  for (const format::RefChange& change : record.refs) {
    if (out.refs.size() == kJournalEntryRefsMax) break;
    out.refs.push_back({change.name, id_of(repository.algorithm, change.old_row), id_of(repository.algorithm, change.new_row)});
  }
  return out;
}

}  // namespace

Result<std::vector<JournalEntry>> read_journal(Store& store, JournalSequence after, std::size_t max) {
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  std::vector<JournalEntry> out;
  const auto cursor = snapshot->cursor(Family::kJournal);
  if (after == UINT64_MAX) return out;
  for (cursor->seek(format::journal_key(after + 1)); cursor->valid() && out.size() < max; cursor->next()) {
    VEXOR_TRY(JournalEntry entry, entry_of(*snapshot, cursor->value()));
    out.push_back(std::move(entry));
  }
  VEXOR_TRY(cursor->status());
  return out;
}

Result<std::optional<std::int64_t>> journal_time(Store& store, JournalSequence sequence) {
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  VEXOR_TRY(const auto row, snapshot->get(Family::kJournal, format::journal_key(sequence)));
  if (!row) return std::optional<std::int64_t>();
  VEXOR_TRY(const std::int64_t time_ms, format::journal_record_time(row->bytes()));
  return std::optional(time_ms);
}

}  // namespace vexor
