// Rows of purges: what was asked for, by whom, and what each member did. Spec: docs/format/purge.md.
#pragma once

#include "format/keys.h"

namespace vexor::format {

enum class PurgeState : std::uint8_t { kOpen = 1, kApproved, kWithdrawn, kRefused };

// repositories, key 'p' request. Times: Unix, in milliseconds.
struct PurgeRow {
  std::uint64_t request = 0;
  RepositoryNumber repository = 0;
  PoolId pool = 0;
  std::int64_t deleted_ms = 0;  // when the repository was deleted
  std::string name;             // that it had
  std::string reason;
  PurgeState state = PurgeState::kOpen;
  std::uint64_t requested_by = 0;  // accounts, and their names then
  std::string requested_name;
  std::int64_t requested_ms = 0;
  std::int64_t expires_ms = 0;
  std::uint64_t decided_by = 0;  // 0: nobody has
  std::string decided_name;
  std::int64_t decided_ms = 0;
  bool keeps_objects = false;    // approved: others use the pool
  std::uint64_t erased_rows = 0;  // approved: by that record, counted at the primary
};
std::string encode_purge_row(const PurgeRow& row);
Result<PurgeRow> decode_purge_row(Bytes value);
inline std::string purge_key(std::uint64_t request) { return "p" + pool_key(request); }

// repositories, key 'q' request member: a member told that it is done. meta, key 'x' request: this store is.
struct PurgeReportRow {
  std::int64_t began_ms = 0;
  std::int64_t ended_ms = 0;
  std::uint64_t journal_records = 0;  // that are in the purged form
  std::uint64_t compacted_bytes = 0;  // of files that were written anew
};
std::string encode_purge_report_row(const PurgeReportRow& row);
Result<PurgeReportRow> decode_purge_report_row(Bytes value);
inline std::string purge_report_key(std::uint64_t request, std::uint64_t member) { return "q" + pool_key(request) + pool_key(member); }
inline std::string purge_done_key(std::uint64_t request) { return "x" + pool_key(request); }

}  // namespace vexor::format
