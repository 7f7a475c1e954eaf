// Rows that travel with a journal record, and the row that says how far the journal is applied. Spec:
// docs/format/log-rows.md, meta.md.
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

}  // namespace vexor::format
