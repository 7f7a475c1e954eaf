// PurgeWork: one approved purge after the other, in steps.
#include "vexorstore/purge.h"

#include <algorithm>

#include "format/log_rows.h"
#include "store/forgotten.h"
#include "store/journal.h"
#include "store/purges.h"
#include "vexorstore/sys/forgetting.h"

namespace vexor {

namespace {

using format::JournalRecord;
using format::OperationKind;
using format::PurgeReportRow;
using format::PurgeRow;
using store::StoreCore;
using sys::Family;

constexpr std::size_t kRecordsPerBatchMax = 1000;

struct Range {
  Family family;
  std::string first;
  std::string end;
};

std::vector<Range> rows_of_repository(const PurgeRow& row) {
  std::vector<Range> out;
  const std::string first = format::pool_key(row.repository);
  const std::string end = format::pool_key(row.repository + 1);
  for (const Family family : {Family::kRefs, Family::kReflog, Family::kGrants}) out.push_back({family, first, end});
  out.push_back({Family::kRepositories, "r" + first, "r" + end});
  out.push_back({Family::kMeta, "v" + first, "v" + end});
  if (row.keeps_objects) return out;
  out.push_back({Family::kMeta, format::late_prefix(row.pool), format::late_prefix(row.pool + 1)});
  out.push_back({Family::kMeta, store::dropped_key(row.pool), store::dropped_key(row.pool + 1)});
  out.push_back({Family::kRepositories, store::forgetting_key(row.pool), store::forgetting_key(row.pool + 1)});
  for (const Family family : {Family::kExtents, Family::kIndex, Family::kGraph, Family::kBitmaps, Family::kShapes, Family::kQuarantine}) {
    out.push_back({family, format::pool_key(row.pool), format::pool_key(row.pool + 1)});
  }
  return out;
}

// What the record becomes; nullopt: it stays.
std::optional<JournalRecord> without(const PurgeRow& row, const JournalRecord& record, Bytes encoded) {
  if (record.is_purged()) {
    if (row.keeps_objects || record.pool != row.pool || record.pool == 0) return std::nullopt;
    return format::purged_form(record, record.purge_request, record.own_hash, false);  // its objects went now
  }
  const bool is_of_purge = record.kind == OperationKind::kRepositoryPurge || record.kind == OperationKind::kPurgeRequest || record.kind == OperationKind::kPurgeReport;
  if (record.repository != row.repository || is_of_purge) return std::nullopt;
  return format::purged_form(record, row.request, store::record_hash(record, encoded), row.keeps_objects);
}

class Work final : public PurgeWork {
 public:
  Work(StoreCore& core, std::vector<std::filesystem::path> copies) : core_(core), copies_(std::move(copies)), forgetting_(dynamic_cast<sys::Forgetting*>(core.backend.get())) {}

  Result<Step> work(std::uint64_t bytes) override {
    switch (phase_) {
      case Phase::kNone: return begin();
      case Phase::kJournal: return journal(bytes);
      case Phase::kReaders: return forget(Phase::kCompact);
      case Phase::kCompact: return compact(bytes);
      case Phase::kFiles: return has_copies() ? Step::kWaiting : forget(Phase::kVerify);
      case Phase::kVerify: return verify();
    }
    return Step::kIdle;
  }

 private:
  enum class Phase : std::uint8_t { kNone, kJournal, kReaders, kCompact, kFiles, kVerify };

  Result<Step> begin();
  Result<Step> journal(std::uint64_t bytes);
  Result<Step> forget(Phase next);
  Result<Step> compact(std::uint64_t bytes);
  Result<Step> verify();
  void begin_compaction();
  bool has_copies() const;
  Result<bool> has_rows(const sys::StorageSnapshot& snapshot) const;

  StoreCore& core_;
  std::vector<std::filesystem::path> copies_;
  sys::Forgetting* forgetting_;
  Phase phase_ = Phase::kNone;
  PurgeRow row_;
  PurgeReportRow report_;
  std::uint64_t next_ = 1;   // journal sequence
  std::uint64_t first_ = 0;  // purged records, from and to; 0: none
  std::uint64_t last_ = 0;
  std::uint64_t moment_ = 0;
  std::vector<Range> ranges_;  // that are still to be compacted, last first
  std::string position_;
};

Result<PurgeWork::Step> Work::begin() {
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  VEXOR_TRY(const auto purges, store::read_purges(*snapshot));
  for (const PurgeRow& row : purges) {
    if (row.state != format::PurgeState::kApproved) continue;
    VEXOR_TRY(const auto done, store::read_purge_report(*snapshot, Family::kMeta, format::purge_done_key(row.request)));
    if (done) continue;
    row_ = row;
    // Requests are worked off by number; of two in one pool the one with the higher number may have been approved first.
    row_.keeps_objects = row.keeps_objects && std::none_of(purges.begin(), purges.end(), [&](const PurgeRow& other) {
      return other.state == format::PurgeState::kApproved && other.pool == row.pool && !other.keeps_objects;
    });
    report_ = {};
    report_.began_ms = core_.clock.wall_time_ms();
    next_ = 1;
    first_ = last_ = 0;
    phase_ = Phase::kJournal;
    return Step::kWorking;
  }
  return Step::kIdle;
}

// Every record before the approval is applied, since that is.
Result<PurgeWork::Step> Work::journal(std::uint64_t bytes) {
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  VEXOR_TRY(const std::uint64_t last, store::applied_sequence(*snapshot));
  store::Change change;
  change.is_recorded = false;
  // A store that became a member since the approval has noted these from the records of before.
  if (next_ == 1 && !row_.keeps_objects) change.rows.erase_range(Family::kMeta, format::late_prefix(row_.pool), format::late_prefix(row_.pool + 1));
  std::uint64_t read = 0;
  const auto cursor = snapshot->cursor(Family::kJournal);
  for (cursor->seek(format::journal_key(next_)); next_ <= last && read < bytes && change.preconditions.size() < kRecordsPerBatchMax; cursor->next(), ++next_) {
    VEXOR_TRY(cursor->status());
    const std::string key = format::journal_key(next_);
    if (!cursor->valid() || cursor->key() != Bytes(key)) return Error(Errc::kCorrupt, "journal record " + std::to_string(next_) + " is missing");
    read += cursor->value().size();
    VEXOR_TRY(const JournalRecord record, format::decode_journal_record(cursor->value()));
    const auto less = without(row_, record, cursor->value());
    const bool is_done = record.is_purged() && record.purge_request == row_.request;
    if (!less && !is_done) continue;
    if (first_ == 0) first_ = next_;
    last_ = next_;
    ++report_.journal_records;
    if (!less) continue;
    change.preconditions.push_back({Family::kJournal, key, std::string(cursor->value())});
    change.rows.put(Family::kJournal, key, format::encode_journal_record(*less));
  }
  if (next_ > last) phase_ = Phase::kReaders;
  moment_ = 0;
  if (change.rows.empty()) return Step::kWorking;
  VEXOR_TRY(core_.committer->submit(std::move(change)));
  return Step::kWorking;
}

Result<PurgeWork::Step> Work::forget(Phase next) {
  if (forgetting_ == nullptr && core_.backend->capabilities().persistent) return Error(Errc::kUnavailable, "this kind of storage cannot forget what it erased");
  if (forgetting_ != nullptr) {
    VEXOR_TRY(const bool done, forgetting_->forget(moment_));
    if (!done) return Step::kWaiting;
  }
  phase_ = next;
  if (next == Phase::kCompact) begin_compaction();
  return Step::kWorking;
}

// Names and settings lie in small families, which are written anew whole.
void Work::begin_compaction() {
  ranges_ = rows_of_repository(row_);
  for (Range& range : ranges_) {
    if (range.family == Family::kRepositories || range.family == Family::kMeta) range = {range.family, {}, "\xff"};
  }
  if (first_ != 0) ranges_.push_back({Family::kJournal, format::journal_key(first_), format::journal_key(last_ + 1)});
  position_.clear();
}

Result<PurgeWork::Step> Work::compact(std::uint64_t bytes) {
  if (ranges_.empty()) {
    phase_ = Phase::kFiles;
    return Step::kWorking;
  }
  const Range& range = ranges_.back();
  VEXOR_TRY(const bool more, core_.backend->compact(range.family, range.first, range.end, position_, bytes));
  report_.compacted_bytes += bytes;
  if (more) return Step::kWorking;
  ranges_.pop_back();
  position_.clear();
  return Step::kWorking;
}

bool Work::has_copies() const {
  for (const std::filesystem::path& path : copies_) {
    std::error_code failed;
    if (std::filesystem::exists(path, failed) && !std::filesystem::is_empty(path, failed)) return true;
  }
  return false;
}

Result<bool> Work::has_rows(const sys::StorageSnapshot& snapshot) const {
  for (const Range& range : rows_of_repository(row_)) {
    const auto cursor = snapshot.cursor(range.family);
    cursor->seek(range.first);
    VEXOR_TRY(cursor->status());
    if (cursor->valid() && cursor->key() < Bytes(range.end)) return true;
  }
  if (first_ == 0) return false;
  const auto cursor = snapshot.cursor(Family::kJournal);
  for (cursor->seek(format::journal_key(first_)); cursor->valid() && cursor->key() <= Bytes(format::journal_key(last_)); cursor->next()) {
    VEXOR_TRY(const JournalRecord record, format::decode_journal_record(cursor->value()));
    if (without(row_, record, cursor->value())) return true;
  }
  VEXOR_TRY(cursor->status());
  return false;
}

// Rows may be there still: of a push that began before the repository was deleted. All of it is done again when they went.
Result<PurgeWork::Step> Work::verify() {
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  VEXOR_TRY(const bool some, has_rows(*snapshot));
  phase_ = Phase::kNone;
  if (some) return Step::kWaiting;
  report_.ended_ms = core_.clock.wall_time_ms();
  sys::Batch batch;
  batch.put(Family::kMeta, format::purge_done_key(row_.request), format::encode_purge_report_row(report_));
  VEXOR_TRY(core_.backend->commit(batch, sys::Durability::kSynced));
  return Step::kWorking;
}

}  // namespace

std::unique_ptr<PurgeWork> PurgeWork::begin(Store& store, std::vector<std::filesystem::path> copies) { return std::make_unique<Work>(store.core(), std::move(copies)); }

}  // namespace vexor
