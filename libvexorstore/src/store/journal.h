// Reading the journal of one snapshot.
#pragma once

#include "format/journal_record.h"

namespace vexor::store {

// Sequence of the last record that is applied: behind it a replica may still cut records off. 0: none.
Result<std::uint64_t> applied_sequence(const sys::StorageSnapshot& snapshot);

// What the record after it names as the hash of the one before: BLAKE2b-256 of the encoded record, or of what it was when it was whole.
std::string record_hash(const format::JournalRecord& record, Bytes encoded);

// The row of a ref that a record with this sequence names, as it is kept: in records its sequence is 0, which is one octet.
std::string ref_row_at(Bytes row_of_record, std::uint64_t sequence);

// Errors: kCorrupt (the record is missing or malformed).
// When it was made; Unix time in milliseconds.
Result<std::int64_t> read_journal_time(const sys::StorageSnapshot& snapshot, std::uint64_t sequence);
Result<format::JournalRecord> read_journal_record(const sys::StorageSnapshot& snapshot, std::uint64_t sequence);

}  // namespace vexor::store
