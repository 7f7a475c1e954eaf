// Rows that travel with a journal record, and what a member of a replica set notes of its journal: how far it is applied, and
// which records come after later numbers. Spec: docs/format/log-rows.md, meta.md.
#pragma once

#include "format/keys.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor::format {

// Rows of the objects of one record, or a piece of them. `algorithm`: of the pool.
struct LogRows {
  HashAlgorithm algorithm = HashAlgorithm::kSha1;
  sys::Batch rows;  // puts, of families that travel
};
// Takes the puts of the families that travel (extents, graph, bitmaps, shapes) and leaves the others out:
// index rows are made from the extents.
std::string encode_log_rows(HashAlgorithm algorithm, const sys::Batch& batch);
// Errors: kCorrupt (also for rows of other families).
Result<LogRows> decode_log_rows(Bytes value);
bool travels_with_log(sys::Family family);

// meta, key 'l': the journal is applied up to this sequence. There in members of replica sets only.
inline std::string applied_key() { return "l"; }
std::string encode_applied_row(std::uint64_t sequence);
Result<std::uint64_t> decode_applied_row(Bytes value);
// meta, key 's': what replication keeps; opaque.
inline std::string replication_state_key() { return "s"; }

// meta, key 'o' pool first-number: a record that comes after one of its pool with higher numbers. In members of replica sets only.
struct LateRow {
  std::uint64_t sequence = 0;
  std::uint32_t object_count = 0;  // numbers first-number and on; at least 1
};
inline std::string late_prefix(PoolId pool) { return "o" + pool_key(pool); }
inline std::string late_key(PoolId pool, ObjectNumber first) { return "o" + number_key(pool, first); }
// Errors: kCorrupt (not a key of such a row).
Result<ObjectNumber> number_of_late_key(Bytes key);
std::string encode_late_row(const LateRow& row);
Result<LateRow> decode_late_row(Bytes value);
// meta, key 'o' alone: the rows above are there of the whole journal.
inline std::string late_rows_key() { return "o"; }
std::string encode_late_rows_row();

}  // namespace vexor::format
