#include "format/journal_record.h"

namespace vexor::format {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint8_t kVersionPurged = 2;
constexpr std::size_t kHashBytes = 32;

Result<std::string> read_text(ByteReader& reader) {
  VEXOR_TRY(const Bytes text, reader.bytes());
  return std::string(text);
}

// The row of a ref that a record brings: of sequence 0, in whose place its own comes when it is applied; or none.
bool is_new_row(Bytes row) { return row.empty() || (row.size() > 2 && row[1] == 0); }

Result<void> read_refs(ByteReader& reader, JournalRecord& record) {
  VEXOR_TRY(const std::uint64_t refs, reader.varint());
  if (refs > kJournalItemsMax) return Error(Errc::kCorrupt, "journal record: too many refs");
  for (std::uint64_t i = 0; i < refs; ++i) {
    RefChange change;
    VEXOR_TRY(change.name, read_text(reader));
    VEXOR_TRY(change.old_row, read_text(reader));
    VEXOR_TRY(change.new_row, read_text(reader));
    if (!is_new_row(change.new_row)) return Error(Errc::kCorrupt, "journal record: the new row of a ref");
    record.refs.push_back(std::move(change));
  }
  return success();
}

Result<void> read_changes(ByteReader& reader, JournalRecord& record) {
  VEXOR_TRY(const std::uint64_t changes, reader.varint());
  if (changes > kJournalItemsMax) return Error(Errc::kCorrupt, "journal record: too many changes");
  for (std::uint64_t i = 0; i < changes; ++i) {
    VEXOR_TRY(const std::uint8_t family, reader.u8());
    if (family >= sys::kFamilyCount) return Error(Errc::kCorrupt, "journal record: family");
    RowChange change{static_cast<sys::Family>(family), {}, std::nullopt};
    VEXOR_TRY(change.key, read_text(reader));
    VEXOR_TRY(const bool present, reader.flag());
    if (present) {
      VEXOR_TRY(change.value, read_text(reader));
    }
    record.changes.push_back(std::move(change));
  }
  return success();
}

Result<void> read_erasures(ByteReader& reader, JournalRecord& record) {
  VEXOR_TRY(const std::uint64_t erasures, reader.varint());
  if (erasures > sys::kFamilyCount) return Error(Errc::kCorrupt, "journal record: too many erasures");
  for (std::uint64_t i = 0; i < erasures; ++i) {
    VEXOR_TRY(const std::uint8_t family, reader.u8());
    if (family >= sys::kFamilyCount) return Error(Errc::kCorrupt, "journal record: family");
    RangeErasure erasure{static_cast<sys::Family>(family), {}, {}};
    VEXOR_TRY(erasure.first, read_text(reader));
    VEXOR_TRY(erasure.end, read_text(reader));
    if (erasure.first >= erasure.end) return Error(Errc::kCorrupt, "journal record: an erasure of nothing");
    record.erasures.push_back(std::move(erasure));
  }
  return success();
}

Result<void> read_operation(ByteReader& reader, JournalRecord& record) {
  VEXOR_TRY(const std::uint8_t kind, reader.u8());
  if (kind < 1 || kind > static_cast<std::uint8_t>(OperationKind::kForget)) {
    return Error(Errc::kCorrupt, "journal record: unknown operation");
  }
  record.kind = static_cast<OperationKind>(kind);
  return success();
}

Result<void> read_objects(ByteReader& reader, JournalRecord& record) {
  VEXOR_TRY(record.pool, reader.varint());
  VEXOR_TRY(const std::uint64_t first, reader.varint());
  VEXOR_TRY(const std::uint64_t count, reader.varint());
  if (first > kNoObject || count > kNoObject) return Error(Errc::kCorrupt, "journal record: range");
  record.first_object = static_cast<ObjectNumber>(first);
  record.object_count = static_cast<std::uint32_t>(count);
  VEXOR_TRY(record.objects_digest, read_text(reader));
  return success();
}

Result<void> read_whole(ByteReader& reader, JournalRecord& record) {
  VEXOR_TRY(record.actor, reader.varint());
  VEXOR_TRY(record.actor_name, read_text(reader));
  VEXOR_TRY(read_operation(reader, record));
  VEXOR_TRY(record.repository, reader.varint());
  VEXOR_TRY(record.subject, read_text(reader));
  VEXOR_TRY(read_objects(reader, record));
  VEXOR_TRY(record.previous_hash, read_text(reader));
  VEXOR_TRY(read_refs(reader, record));
  VEXOR_TRY(read_changes(reader, record));
  return read_erasures(reader, record);
}

Result<void> read_purged(ByteReader& reader, JournalRecord& record) {
  VEXOR_TRY(read_operation(reader, record));
  VEXOR_TRY(record.repository, reader.varint());
  VEXOR_TRY(record.purge_request, reader.varint());
  VEXOR_TRY(record.previous_hash, read_text(reader));
  VEXOR_TRY(record.own_hash, read_text(reader));
  if (record.own_hash.size() != kHashBytes) return Error(Errc::kCorrupt, "journal record: hash of the whole record");
  VEXOR_TRY(read_objects(reader, record));
  return read_changes(reader, record);
}

void put_objects(std::string& out, const JournalRecord& record) {
  put_varint(out, record.pool);
  put_varint(out, record.first_object);
  put_varint(out, record.object_count);
  put_bytes(out, record.objects_digest);
}

void put_changes(std::string& out, const JournalRecord& record) {
  put_varint(out, record.changes.size());
  for (const RowChange& change : record.changes) {
    put_u8(out, static_cast<std::uint8_t>(change.family));
    put_bytes(out, change.key);
    put_u8(out, change.value ? 1 : 0);
    if (change.value) put_bytes(out, *change.value);
  }
}

// Or tells which objects were forgotten ('f' in repositories): as long as their pool is there, that stays.
bool belongs_to_objects(const RowChange& change) {
  using sys::Family;
  const bool tells_of_forgotten = change.family == Family::kRepositories && change.key.starts_with('f');
  return tells_of_forgotten || change.family == Family::kIndex || change.family == Family::kGraph || change.family == Family::kBitmaps || change.family == Family::kShapes;
}

Result<std::uint8_t> read_version(ByteReader& reader) {
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion && version != kVersionPurged) return Error(Errc::kCorrupt, "journal record: unknown version");
  return version;
}

}  // namespace

std::string_view operation_name(OperationKind kind) {
  switch (kind) {
    case OperationKind::kRefTransaction: return "ref-transaction";
    case OperationKind::kRepositoryCreate: return "repository-create";
    case OperationKind::kRepositoryFork: return "repository-fork";
    case OperationKind::kRepositoryRename: return "repository-rename";
    case OperationKind::kRepositoryDelete: return "repository-delete";
    case OperationKind::kRepositoryRestore: return "repository-restore";
    case OperationKind::kRepositoryPurge: return "repository-purge";
    case OperationKind::kRepositorySettings: return "repository-settings";
    case OperationKind::kAccount: return "account";
    case OperationKind::kKey: return "key";
    case OperationKind::kGrant: return "grant";
    case OperationKind::kPurgeRequest: return "purge-request";
    case OperationKind::kPurgeReport: return "purge-report";
    case OperationKind::kForget: return "forget";
  }
  return "unknown";
}

Result<void> check_journal_record(const JournalRecord& record) {
  std::uint64_t bytes = 0;
  for (const RefChange& change : record.refs) bytes += change.name.size() + change.old_row.size() + change.new_row.size() + 8;
  for (const RowChange& change : record.changes) bytes += change.key.size() + (change.value ? change.value->size() : 0) + 8;
  for (const RangeErasure& erasure : record.erasures) bytes += erasure.first.size() + erasure.end.size() + 4;
  if (record.refs.size() <= kJournalItemsMax && record.changes.size() <= kJournalItemsMax && record.erasures.size() <= sys::kFamilyCount && bytes <= kJournalRecordBytesMax) return success();
  return Error(Errc::kLimitExceeded, "this changes too many rows at once: " + std::to_string(record.refs.size() + record.changes.size()) + " of " + std::to_string(bytes) + " bytes");
}

JournalRecord range_form(const JournalRecord& record) {
  JournalRecord out;
  out.repository = record.repository;
  out.pool = record.pool;
  out.first_object = record.first_object;
  out.object_count = record.object_count;
  out.objects_digest = record.objects_digest;
  out.previous_hash = std::string(32, '\0');
  return out;
}

JournalRecord purged_form(const JournalRecord& whole, std::uint64_t request, std::string own_hash, bool keeps_objects) {
  JournalRecord out;
  out.epoch = whole.epoch;
  out.sequence = whole.sequence;
  out.time_ms = whole.time_ms;
  out.kind = whole.kind;
  out.repository = whole.repository;
  out.previous_hash = whole.previous_hash;
  out.purge_request = request;
  out.own_hash = std::move(own_hash);
  if (!keeps_objects) return out;
  out.pool = whole.pool;
  out.first_object = whole.first_object;
  out.object_count = whole.object_count;
  out.objects_digest = whole.objects_digest;
  for (const RowChange& change : whole.changes) {
    if (belongs_to_objects(change)) out.changes.push_back(change);
  }
  return out;
}

std::string encode_journal_record(const JournalRecord& record) {
  std::string out;
  put_u8(out, record.is_purged() ? kVersionPurged : kVersion);
  put_varint(out, record.epoch);
  put_varint(out, record.sequence);
  put_u64be(out, static_cast<std::uint64_t>(record.time_ms));
  if (record.is_purged()) {
    put_u8(out, static_cast<std::uint8_t>(record.kind));
    put_varint(out, record.repository);
    put_varint(out, record.purge_request);
    put_bytes(out, record.previous_hash);
    put_bytes(out, record.own_hash);
    put_objects(out, record);
    put_changes(out, record);
    return out;
  }
  put_varint(out, record.actor);
  put_bytes(out, record.actor_name);
  put_u8(out, static_cast<std::uint8_t>(record.kind));
  put_varint(out, record.repository);
  put_bytes(out, record.subject);
  put_objects(out, record);
  put_bytes(out, record.previous_hash);
  put_varint(out, record.refs.size());
  for (const RefChange& change : record.refs) {
    put_bytes(out, change.name);
    put_bytes(out, change.old_row);
    put_bytes(out, change.new_row);
  }
  put_changes(out, record);
  put_varint(out, record.erasures.size());
  for (const RangeErasure& erasure : record.erasures) {
    put_u8(out, static_cast<std::uint8_t>(erasure.family));
    put_bytes(out, erasure.first);
    put_bytes(out, erasure.end);
  }
  return out;
}

Result<RepositoryNumber> journal_record_repository(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, read_version(reader));
  VEXOR_TRY(reader.varint());  // epoch
  VEXOR_TRY(reader.varint());  // sequence
  VEXOR_TRY(reader.u64be());   // time
  if (version == kVersion) {
    VEXOR_TRY(reader.varint());  // actor
    VEXOR_TRY(reader.bytes());   // its name
  }
  VEXOR_TRY(reader.u8());      // operation
  return reader.varint();
}

Result<std::int64_t> journal_record_time(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(read_version(reader));
  VEXOR_TRY(reader.varint());  // epoch
  VEXOR_TRY(reader.varint());  // sequence
  VEXOR_TRY(const std::uint64_t time, reader.u64be());
  return static_cast<std::int64_t>(time);
}

Result<JournalRecord> decode_journal_record(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, read_version(reader));
  JournalRecord record;
  VEXOR_TRY(record.epoch, reader.varint());
  VEXOR_TRY(record.sequence, reader.varint());
  VEXOR_TRY(const std::uint64_t time, reader.u64be());
  record.time_ms = static_cast<std::int64_t>(time);
  VEXOR_TRY(version == kVersion ? read_whole(reader, record) : read_purged(reader, record));
  VEXOR_TRY(reader.end());
  return record;
}

}  // namespace vexor::format
