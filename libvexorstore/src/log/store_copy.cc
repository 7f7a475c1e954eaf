#include "vexorstore/store_copy.h"

#include <fstream>

#include "crypto/digest.h"
#include "format/journal_record.h"
#include "format/log_rows.h"
#include "format/pool_rows.h"
#include "maintenance/journal_check.h"
#include "store/journal.h"
#include "store/store_core.h"

namespace vexor {

using sys::Family;

namespace {

constexpr std::uint64_t kCheckBytes = 1ULL << 30U;  // of files, or of rows, in one call
constexpr std::int64_t kCheckMs = 1000;             // the same

Result<void> check_all_files(sys::StorageBackend& copy) {
  std::string position;
  for (bool more = true; more;) {
    std::uint64_t bytes = kCheckBytes;
    std::vector<sys::DamagedRows> damaged;
    VEXOR_TRY(more, copy.check_some(position, bytes, damaged));
    if (!damaged.empty()) return Error(Errc::kCorrupt, std::string(sys::family_name(damaged.front().family)) + ": " + damaged.front().what);
  }
  return success();
}

Result<void> check_journal(const sys::StorageSnapshot& snapshot, std::uint64_t told, CheckedCopy& out) {
  const auto cursor = snapshot.cursor(Family::kJournal);
  for (cursor->seek(format::journal_key(0)); cursor->valid(); cursor->next()) {
    VEXOR_TRY(const format::JournalRecord record, format::decode_journal_record(cursor->value()));
    const bool follows = record.sequence == out.last.sequence + 1 && record.previous_hash == out.last.hash &&
                         record.epoch >= out.last.epoch && cursor->key() == Bytes(format::journal_key(record.sequence));
    if (!follows) return Error(Errc::kCorrupt, "journal record " + std::to_string(record.sequence) + " does not follow on the one before");
    out.last = {record.epoch, record.sequence, store::record_hash(record, cursor->value())};
    if (record.sequence == told) out.hash_at_told = out.last.hash;
  }
  return cursor->status();
}

// A copy that lacks what its journal tells of must not take the place of a store that may have it.
Result<void> check_state(sys::StorageBackend& copy, std::uint64_t applied) {
  std::string first;
  maintenance::JournalCheck check(copy, 1, applied, [&](Family family, const std::string& what) {
    if (first.empty()) first = std::string(sys::family_name(family)) + ": " + what;
  });
  for (bool done = false; !done;) {
    maintenance::Budget budget(sys::system_clock(), kCheckBytes, kCheckMs);
    VEXOR_TRY(done, check.step(budget));
    if (!first.empty()) return Error(Errc::kCorrupt, first);
  }
  return success();
}

}  // namespace

void FileDigest::add(Bytes piece) { value_ = blake2b_256(value_ + std::string(piece)); }

std::string digest_of(Bytes bytes) { return blake2b_256(bytes); }

Result<std::string> file_digest(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  FileDigest digest;
  std::string piece(kCopyPieceBytesMax, '\0');
  while (in) {
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (in.gcount() > 0) digest.add(Bytes(piece.data(), static_cast<std::size_t>(in.gcount())));
  }
  if (!in.eof()) return Error(Errc::kIo, "a file of a copy cannot be read");
  return digest.value();
}

Result<CheckedCopy> check_copy(sys::StorageBackend& copy, std::uint64_t told_sequence) {
  VEXOR_TRY(check_all_files(copy));
  VEXOR_TRY(const auto snapshot, copy.snapshot());
  CheckedCopy out;
  if (told_sequence == 0) out.hash_at_told = out.last.hash;
  VEXOR_TRY(check_journal(*snapshot, told_sequence, out));
  VEXOR_TRY(const auto applied, snapshot->get(Family::kMeta, format::applied_key()));
  if (!applied) return Error(Errc::kCorrupt, "the copy is of a store that is no member of a replica set");
  VEXOR_TRY(out.applied, format::decode_applied_row(applied->bytes()));
  if (out.applied > out.last.sequence) return Error(Errc::kCorrupt, "the journal ends before what was applied of it");
  VEXOR_TRY(check_state(copy, out.applied));
  VEXOR_TRY(const auto state, snapshot->get(Family::kMeta, format::replication_state_key()));
  if (state) out.replication_state = std::string(state->bytes());
  return out;
}

Result<void> forget_place(sys::StorageBackend& copy) {
  sys::Batch batch;
  batch.erase_range(Family::kMeta, "d", "e");
  return copy.commit(batch, sys::Durability::kSynced);
}

Result<bool> was_member(Store& store) {
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  VEXOR_TRY(const auto applied, snapshot->get(Family::kMeta, format::applied_key()));
  VEXOR_TRY(const auto state, snapshot->get(Family::kMeta, format::replication_state_key()));
  return applied && (state || store.core().committer->last_position().sequence > 0);
}

}  // namespace vexor
