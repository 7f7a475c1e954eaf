// Journal record: one change of state. Spec: docs/format/journal.md.
//
// State rows are a function of the records in sequence order: ref updates say old and new, every
// other state row is written out as it becomes (`changes`). Objects are named by their number
// range and a digest; their rows are durable before the record is.
#pragma once

#include <optional>
#include <vector>

#include "format/keys.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor::format {

enum class OperationKind : std::uint8_t {
  kRefTransaction = 1,
  kRepositoryCreate,
  kRepositoryFork,
  kRepositoryRename,
  kRepositoryDelete,
  kRepositoryRestore,
  kRepositoryPurge,
  kRepositorySettings,
  kAccount,
  kKey,
  kGrant,
  kPurgeRequest,  // made, withdrawn or refused; an approval is a kRepositoryPurge
  kPurgeReport,
  kForget,  // objects of a pool that nothing reaches any more (docs/format/forgotten.md)
};
std::string_view operation_name(OperationKind kind);

struct RefChange {
  std::string name;
  std::string old_row;  // encoded RefRow, empty: the ref did not exist
  std::string new_row;  // encoded RefRow, empty: deleted. Its sequence field is 0 in the record.
};

struct RowChange {
  sys::Family family;
  std::string key;
  std::optional<std::string> value;  // nullopt: erased
};

struct RangeErasure {
  sys::Family family;
  std::string first;
  std::string end;  // exclusive
};

struct JournalRecord {
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  std::int64_t time_ms = 0;  // Unix time
  std::uint64_t actor = 0;   // account; 0 = the operator
  std::string actor_name;
  OperationKind kind = OperationKind::kRefTransaction;
  RepositoryNumber repository = 0;
  std::string subject;  // what a person reads in a listing
  PoolId pool = 0;
  ObjectNumber first_object = 0;
  std::uint32_t object_count = 0;  // numbers [first_object, first_object + object_count)
  std::string objects_digest;      // BLAKE2b-256 over the new ids in number order; empty if none
  std::vector<RefChange> refs;
  std::vector<RowChange> changes;
  std::vector<RangeErasure> erasures;  // done before `changes`
  std::string previous_hash;  // BLAKE2b-256 of the encoded record before this one, when that was whole
  // Of the purged form only: the request that purged it, and its hash when it was whole. The form has no actor, subject,
  // refs and erasures.
  std::uint64_t purge_request = 0;
  std::string own_hash;
  bool is_purged() const { return !own_hash.empty(); }
};

// Without what was the repository's. `own_hash`: of the encoded whole record, 32 octets. With `keeps_objects` the objects
// are still there, since another repository has them: their range stays, and the rows that derive from them.
JournalRecord purged_form(const JournalRecord& whole, std::uint64_t request, std::string own_hash, bool keeps_objects);

// What can be read again: a record with more is not to be written.
constexpr std::uint64_t kJournalItemsMax = 4'000'000;              // refs, and other rows, each
constexpr std::uint64_t kJournalRecordBytesMax = 240ULL << 20U;    // one goes to other members in one message
// Errors: kLimitExceeded.
Result<void> check_journal_record(const JournalRecord& record);

// A record of nothing but the objects: under this name their rows go ahead (docs/protocol/replication.md, B1).
JournalRecord range_form(const JournalRecord& record);

std::string encode_journal_record(const JournalRecord& record);
Result<JournalRecord> decode_journal_record(Bytes value);
// Only whose record it is. Errors: kCorrupt.
Result<RepositoryNumber> journal_record_repository(Bytes value);
// Only when it was made; Unix time in milliseconds. Errors: kCorrupt.
Result<std::int64_t> journal_record_time(Bytes value);

}  // namespace vexor::format
