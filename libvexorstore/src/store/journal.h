// Reading the journal of one snapshot.
#pragma once

#include "format/journal_record.h"

namespace vexor::store {

// Sequence of the last record that is applied: behind it a replica may still cut records off. 0: none.
Result<std::uint64_t> applied_sequence(const sys::StorageSnapshot& snapshot);

// Errors: kCorrupt (the record is missing or malformed).
Result<format::JournalRecord> read_journal_record(const sys::StorageSnapshot& snapshot, std::uint64_t sequence);

}  // namespace vexor::store
