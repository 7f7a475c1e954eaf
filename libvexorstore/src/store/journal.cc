#include "store/journal.h"

#include "crypto/digest.h"
#include "format/log_rows.h"

namespace vexor::store {

using sys::Family;

Result<std::uint64_t> applied_sequence(const sys::StorageSnapshot& snapshot) {
  VEXOR_TRY(const auto applied, snapshot.get(Family::kMeta, format::applied_key()));
  if (applied) return format::decode_applied_row(applied->bytes());
  const auto cursor = snapshot.cursor(Family::kJournal);
  cursor->seek_for_prev(std::string(9, '\xff'));
  VEXOR_TRY(cursor->status());
  if (!cursor->valid()) return std::uint64_t{0};
  ByteReader key(cursor->key());
  return key.u64be();
}

std::string record_hash(const format::JournalRecord& record, Bytes encoded) {
  return record.is_purged() ? record.own_hash : blake2b_256(encoded);
}

std::string ref_row_at(Bytes row_of_record, std::uint64_t sequence) {
  std::string out(row_of_record.substr(0, 1));
  put_varint(out, sequence);
  out.append(row_of_record.substr(2));
  return out;
}

Result<std::int64_t> read_journal_time(const sys::StorageSnapshot& snapshot, std::uint64_t sequence) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kJournal, format::journal_key(sequence)));
  if (!row) return Error(Errc::kCorrupt, "journal record " + std::to_string(sequence) + " is missing");
  return format::journal_record_time(row->bytes());
}

Result<format::JournalRecord> read_journal_record(const sys::StorageSnapshot& snapshot, std::uint64_t sequence) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kJournal, format::journal_key(sequence)));
  if (!row) return Error(Errc::kCorrupt, "journal record " + std::to_string(sequence) + " is missing");
  return format::decode_journal_record(row->bytes());
}

}  // namespace vexor::store
