#include "store/committer.h"

#include "base/check.h"
#include "crypto/digest.h"
#include "format/log_rows.h"
#include "format/state_rows.h"
#include "store/journal.h"

namespace vexor::store {
namespace {

constexpr std::size_t kGroupChangesMax = 64;
constexpr std::size_t kGroupBytesMax = 32U << 20U;
constexpr const char* kBroken = "the store must be reopened after a failed write";
constexpr const char* kNotPrimary = "this server is not the primary of its replica set";
constexpr const char* kUnknown = "this server stopped being the primary; whether the change is kept is not known yet: journal sequence ";

// Files are gone from the change once they are in; they never come without it.
bool is_bulk(const Change& change) { return change.expected_generation.has_value(); }

}  // namespace

void apply_record(const format::JournalRecord& record, sys::Batch& batch) {
  using sys::Family;
  for (const format::RefChange& change : record.refs) {
    const std::string key = format::ref_key(record.repository, change.name);
    if (change.new_row.empty()) {
      batch.erase(Family::kRefs, key);
    } else {
      VEXOR_CHECK(change.new_row.size() > 2 && change.new_row[1] == 0);
      batch.put(Family::kRefs, key, ref_row_at(change.new_row, record.sequence));
    }
    batch.put(Family::kReflog, format::reflog_key(record.repository, change.name, record.sequence),
              format::encode_reflog_row({record.time_ms, record.actor_name, change.old_row, change.new_row}));
  }
  if (!record.refs.empty()) {
    // The repository's ref generation: readers' caches are keyed by it.
    std::string generation;
    put_u64be(generation, record.sequence);
    batch.put(Family::kRepositories, "g" + format::pool_key(record.repository), generation);
  }
  for (const format::RangeErasure& erasure : record.erasures) batch.erase_range(erasure.family, erasure.first, erasure.end);
  for (const format::RowChange& change : record.changes) {
    if (change.value) {
      batch.put(change.family, change.key, *change.value);
    } else {
      batch.erase(change.family, change.key);
    }
  }
}

Result<std::unique_ptr<Committer>> Committer::open(sys::StorageBackend& backend,
                                                   const sys::Clock& clock) {
  std::unique_ptr<Committer> out(new Committer(backend, clock));
  VEXOR_TRY(const auto snapshot, backend.snapshot());
  const auto cursor = snapshot->cursor(sys::Family::kJournal);
  cursor->seek_for_prev(std::string(9, '\xff'));
  VEXOR_TRY(cursor->status());
  if (cursor->valid()) {
    VEXOR_TRY(const format::JournalRecord last, format::decode_journal_record(cursor->value()));
    out->last_ = {last.epoch, last.sequence, record_hash(last, cursor->value())};
  }
  out->applied_ = out->last_.sequence;
  VEXOR_TRY(const auto row, snapshot->get(sys::Family::kMeta, format::applied_key()));
  if (row) {
    out->role_ = Role::kReplica;
    VEXOR_TRY(out->applied_, format::decode_applied_row(row->bytes()));
    if (out->applied_ > out->last_.sequence) return Error(Errc::kCorrupt, "the journal ends before what was applied of it");
  }
  return out;
}

std::vector<Committer::Waiter*> Committer::take_group() {
  std::vector<Waiter*> group;
  std::size_t bytes = 0;
  while (!queue_.empty() && group.size() < kGroupChangesMax && bytes < kGroupBytesMax) {
    Waiter* next = queue_.front();
    const bool alone = !next->change.bulk.empty() || !next->change.is_recorded;
    if (alone && !group.empty()) break;
    bytes += next->change.rows.bytes();
    group.push_back(next);
    queue_.pop_front();
    if (alone) break;
  }
  return group;
}

Result<void> Change::finish_files() const {
  for (const auto& file : bulk) {
    VEXOR_TRY(file->finish());
  }
  return success();
}

Result<Receipt> Committer::submit(Change change, Receipt* told) {
  const bool is_recorded = change.is_recorded;
  if (is_recorded) {
    VEXOR_TRY(change.copies, copies_of(change));
    VEXOR_TRY(await_members(change.copies));
  }
  VEXOR_TRY(change.finish_files());
  auto outcome = submit_once(std::move(change));
  if (is_recorded && outcome.has_error() && outcome.error().code() == Errc::kConflict) {
    VEXOR_TRY(confirm_refusal());
  }
  if (told != nullptr && outcome.has_value()) *told = outcome.value();
  return outcome;
}

Result<Receipt> Committer::submit_once(Change change) {
  Waiter self{std::move(change), std::nullopt};
  std::unique_lock lock(mutex_);
  if (broken_) return Error(Errc::kUnavailable, kBroken);
  if (role_ == Role::kReplica && self.change.is_recorded) return Error(Errc::kUnavailable, kNotPrimary);
  queue_.push_back(&self);
  const auto may_go_on = [&] { return self.outcome.has_value() || (!leading_ && !self.is_appended); };
  self.wake.wait(lock, may_go_on);
  while (!self.outcome) {
    leading_ = true;
    std::vector<Waiter*> group = take_group();
    lock.unlock();
    lead(group);
    lock.lock();
    end_writing();
    self.wake.wait(lock, may_go_on);
  }
  return std::move(*self.outcome);
}

Result<void> Committer::check(const Change& change, const sys::StorageSnapshot& snapshot) const {
  if (change.expected_generation &&
      *change.expected_generation != index_generation(change.record.pool)) {
    return Error(Errc::kConflict, "the pool gained objects meanwhile");
  }
  for (const Precondition& want : change.preconditions) {
    bool holds = false;
    if (const std::optional<std::string>* pending = pending_.find(want.family, want.key)) {
      holds = *pending == want.expected;
    } else {
      VEXOR_TRY(const auto row, snapshot.get(want.family, want.key));
      holds = row.has_value() == want.expected.has_value() &&
              (!row || row->bytes() == Bytes(*want.expected));
    }
    if (!holds) return Error(Errc::kConflict, "a row changed meanwhile");
  }
  return success();
}

// Of two creations the one with the lower id may commit last: the counter of ids never goes back.
Result<void> Committer::raise_counter(Change& change, const sys::StorageSnapshot& snapshot) const {
  for (format::RowChange& row : change.record.changes) {
    if (row.family != sys::Family::kRepositories || row.key != "i" || !row.value) continue;
    std::string current;
    if (const std::optional<std::string>* pending = pending_.find(row.family, row.key)) {
      current = pending->value_or(std::string());
    } else {
      VEXOR_TRY(const auto stored, snapshot.get(row.family, row.key));
      if (stored) current = std::string(stored->bytes());
    }
    if (current.size() == row.value->size() && current > *row.value) row.value = current;  // both big-endian
  }
  return success();
}

Result<void> Committer::prepare(Change& change, const sys::StorageSnapshot& snapshot) {
  if (role_ == Role::kReplica && change.is_recorded) return Error(Errc::kUnavailable, kNotPrimary);
  if (change.record.object_count > 0) {
    VEXOR_TRY(check_reign(change.reign));
  }
  if (change.is_recorded) {
    VEXOR_TRY(format::check_journal_record(change.record));
  }
  if (change.withdrawals && *change.withdrawals != withdrawals()) return Error(Errc::kConflict, "records that were appended are taken back");
  VEXOR_TRY(check(change, snapshot));
  VEXOR_TRY(raise_counter(change, snapshot));
  if (role_ != Role::kAlone && change.record.object_count > 0) {
    VEXOR_TRY(order_.load(snapshot, change.record.pool));
  }
  if (!change.bulk.empty()) {
    {
      const std::lock_guard lock(mutex_);
      staged_ranges_.erase(format::number_key(change.record.pool, change.record.first_object));
    }
    VEXOR_TRY(backend_.ingest(std::move(change.bulk)));
  }
  return success();
}

namespace {

LogEntry log_entry(const Change& change, const LogPosition& position, std::string encoded) {
  LogEntry entry;
  entry.position = position;
  entry.record = std::move(encoded);
  entry.copies = change.copies;
  if (change.quarantine_row.empty()) return entry;
  entry.rows_apart = is_bulk(change) || change.rows.bytes() > kLogRowsBytesMax;
  if (!entry.rows_apart) entry.rows = format::encode_log_rows(static_cast<HashAlgorithm>(change.quarantine_row[0]), change.rows);
  return entry;
}

}  // namespace

void Committer::append(Change& change, LogPosition& last, sys::Batch& batch, std::vector<LogEntry>& entries) {
  format::JournalRecord& record = change.record;
  record.epoch = epoch_;
  record.sequence = last.sequence + 1;
  record.time_ms = clock_.wall_time_ms();
  record.previous_hash = last.hash;
  std::string encoded = format::encode_journal_record(record);
  last = {epoch_, record.sequence, blake2b_256(encoded)};
  batch.put(sys::Family::kJournal, format::journal_key(record.sequence), encoded);
  sys::Batch state;
  apply_record(record, state);
  pending_.add(change.rows, record.sequence);
  pending_.add(state, record.sequence);
  const std::string quarantine_key = format::number_key(record.pool, record.first_object);
  if (role_ == Role::kAlone) {
    batch.append(std::move(state));
    if (is_bulk(change) && !change.quarantine_row.empty()) batch.erase(sys::Family::kQuarantine, quarantine_key);
  } else {
    entries.push_back(log_entry(change, last, std::move(encoded)));
    entries.back().turn = turn_;
    if (!change.quarantine_row.empty()) batch.put(sys::Family::kQuarantine, quarantine_key, change.quarantine_row);
    if (record.object_count > 0) order_.note(record, batch);
  }
  batch.append(std::move(change.rows));
}

void Committer::lead(std::vector<Waiter*>& group) {
  LogPosition last;
  {
    const std::lock_guard lock(mutex_);
    last = last_;
    pending_.prune(applied_);  // before the snapshot, which then shows what is forgotten here
  }
  sys::Batch batch;
  std::vector<Written> written;
  std::vector<LogEntry> entries;
  Outcomes outcomes;
  // A change without record is judged by rows that an applied record may erase: it is written before or after that.
  std::unique_lock<std::mutex> applying;
  if (std::any_of(group.begin(), group.end(), [](const Waiter* waiter) { return !waiter->change.is_recorded; })) applying = std::unique_lock(apply_mutex_);
  auto snapshot = backend_.snapshot();
  for (Waiter* waiter : group) {
    Result<void> ready = snapshot.has_error() ? Result<void>(snapshot.error().clone()) : prepare(waiter->change, *snapshot.value());
    if (ready.has_error()) {
      outcomes.emplace_back(waiter, std::move(ready).error());
      continue;
    }
    if (waiter->change.is_recorded) {
      append(waiter->change, last, batch, entries);
    } else {
      batch.append(std::move(waiter->change.rows));
    }
    written.push_back({waiter, last.sequence});
  }
  bool broken = false;
  if (!written.empty()) {
    if (auto done = backend_.commit(batch, sys::Durability::kSynced); done.has_error()) {
      broken = true;
      for (const Written& one : written) {
        const std::uint64_t sequence = one.waiter->change.is_recorded ? one.sequence : 0;
        outcomes.emplace_back(one.waiter, Error(Errc::kIndeterminate, "the write failed: " + done.error().message()).with_sequence(sequence));
      }
    }
  }
  if (applying.owns_lock()) applying.unlock();
  finish(written, last, outcomes, broken);
  if (broken && sink_ != nullptr) sink_->failed();
  if (!broken && !entries.empty()) sink_->appended(std::move(entries));
}

void Committer::finish(const std::vector<Written>& written, const LogPosition& last, Outcomes& outcomes, bool broken) {
  const std::lock_guard lock(mutex_);
  if (broken) {
    broken_ = true;
    refuse_queue(kBroken);
    for (const Written& one : appended_) one.waiter->tell(Error(Errc::kIndeterminate, kUnknown + std::to_string(one.sequence)).with_sequence(one.sequence));
    appended_.clear();
    applied_wake_.notify_all();
  } else {
    last_ = last;
    if (role_ == Role::kAlone) applied_ = last.sequence;
    for (const Written& one : written) {
      if (one.waiter->change.extends_index) ++generations_[one.waiter->change.record.pool];
      if (role_ == Role::kPrimary && one.waiter->change.is_recorded) {
        one.waiter->is_appended = true;
        appended_.push_back(one);
      } else {
        outcomes.emplace_back(one.waiter, Receipt{.sequence = one.sequence});
      }
    }
  }
  // Set last: a waiter's frame is gone as soon as it sees its outcome.
  for (auto& [waiter, outcome] : outcomes) waiter->tell(std::move(outcome));
}

void Committer::refuse_queue(const char* why) {
  for (Waiter* waiter : queue_) waiter->tell(Error(Errc::kUnavailable, why));
  queue_.clear();
}

std::uint64_t Committer::index_generation(format::PoolId pool) const {
  const std::lock_guard lock(mutex_);
  const auto found = generations_.find(pool);
  return found == generations_.end() ? 0 : found->second;
}

std::uint64_t Committer::last_sequence() const {
  const std::lock_guard lock(mutex_);
  return applied_;
}

}  // namespace vexor::store
