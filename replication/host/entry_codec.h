// Journal entries as the bytes of log entries: docs/protocol/replication.md, "Entries of a store".
#pragma once

#include "replication/types.h"
#include "vexorstore/replica_log.h"

namespace vexor::replication {

Digest to_digest(const std::string& hash);  // 32 octets
std::string to_hash(const Digest& digest);
EntryId to_entry_id(const LogPosition& position);

// entry-bytes := rows-apart:octet record-size:4 record rows
std::string pack_entry_bytes(const LogEntry& entry);
// Computes epoch, id and previous hash from the record. Errors: kProtocol.
Result<Entry> unpack_entry(std::shared_ptr<const std::string> bytes);
Result<LogEntry> to_log_entry(const Entry& entry);
bool has_rows_apart(const Entry& entry);
// Whether both are of one record in one form, whatever they have of its rows.
bool same_record(const Entry& left, const Entry& right);

}  // namespace vexor::replication
