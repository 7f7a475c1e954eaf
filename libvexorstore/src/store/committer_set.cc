// Committer, second half: what a member of a replica set does besides. Spec: docs/protocol/replication.md.
#include "store/committer.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "base/check.h"
#include "format/log_rows.h"
#include "format/state_rows.h"
#include "store/forgotten.h"
#include "store/store_core.h"

namespace vexor::store {

using sys::Family;

namespace {

constexpr std::size_t kApplyRecordsMax = 256;  // in one batch
constexpr std::size_t kApplyBytesMax = 16U << 20U;
// How long a change waits for servers to answer before it is refused: who stood still for a moment is heard again by then.
constexpr std::chrono::milliseconds kMembersPause{100};
constexpr int kMembersPauses = 10;
constexpr const char* kNotPrimary = "this server is not the primary of its replica set";
constexpr const char* kTakenBack = "the replica set takes no changes at the moment; nothing was changed, try again";

Result<format::JournalRecord> read_record(const sys::StorageSnapshot& snapshot, std::uint64_t sequence, std::size_t* bytes = nullptr) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kJournal, format::journal_key(sequence)));
  if (!row) return Error(Errc::kCorrupt, "journal record " + std::to_string(sequence) + " is missing");
  if (bytes != nullptr) *bytes += row->bytes().size();
  return format::decode_journal_record(row->bytes());
}

Error unknown_outcome(std::uint64_t sequence, std::uint64_t epoch) {
  return Error(Errc::kIndeterminate, "not enough servers have answered; whether journal record " + std::to_string(sequence) + " of epoch " +
                                         std::to_string(epoch) + " is kept is not known yet")
      .with_sequence(sequence);
}

}  // namespace

Result<CopyPolicy> copies_of(const Change& change) {
  if (change.record.repository == 0) return CopyPolicy::kCluster;
  const std::string key = "r" + format::pool_key(change.record.repository);
  const std::string* row = nullptr;
  for (const Precondition& want : change.preconditions) {
    if (want.family == Family::kRepositories && want.expected && want.key == key) row = &*want.expected;
  }
  for (const format::RowChange& made : change.record.changes) {
    if (made.family == Family::kRepositories && made.value && made.key == key) row = &*made.value;
  }
  if (row == nullptr) return CopyPolicy::kCluster;
  VEXOR_TRY(const RepositoryRow decoded, format::decode_repository_row(*row));
  return decoded.copies;
}

void Committer::take_writing() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return !leading_; });
  leading_ = true;
}

void Committer::release_writing() {
  const std::lock_guard lock(mutex_);
  end_writing();
}

// Under mutex_. The first change that waits writes next, for others with it; if somebody else is faster, it is woken by the end of that.
void Committer::end_writing() {
  leading_ = false;
  if (!queue_.empty()) queue_.front()->wake.notify_one();
  wake_.notify_all();
}

Committer::Role Committer::role() const {
  const std::lock_guard lock(mutex_);
  return role_;
}

LogPosition Committer::last_position() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

Result<void> Committer::join() {
  const WritingTurn turn(*this);
  sys::Batch batch;
  if (role() != Role::kAlone) {
    VEXOR_TRY(const auto snapshot, backend_.snapshot());
    VEXOR_TRY(const auto noted, snapshot->get(Family::kMeta, format::late_rows_key()));
    if (noted) return success();
    return note_whole_journal(backend_, std::move(batch));  // it became a member before there were such rows
  }
  batch.put(Family::kMeta, format::applied_key(), format::encode_applied_row(last_sequence()));
  VEXOR_TRY(note_whole_journal(backend_, std::move(batch)));
  const std::lock_guard lock(mutex_);
  role_ = Role::kReplica;
  ++reign_;
  ++withdrawals_;
  refuse_queue(kNotPrimary);
  return success();
}

bool Committer::wait_applied() {
  std::unique_lock lock(mutex_);
  const std::uint64_t until = last_.sequence;
  const auto is_applied = [&] { return applied_ >= std::min(until, last_.sequence); };  // what was taken back will never be
  applied_wake_.wait_for(lock, applied_wait_, [&] { return broken_ || role_ != Role::kPrimary || is_applied(); });
  return !broken_ && is_applied();
}

std::uint64_t Committer::reign() const {
  const std::lock_guard lock(mutex_);
  return reign_;
}

std::uint64_t Committer::withdrawals() const {
  const std::lock_guard lock(mutex_);
  return withdrawals_;
}

// To be called by who writes: then the reign does not change.
Result<void> Committer::check_reign(std::uint64_t reign) const {
  if (reign != this->reign()) return Error(Errc::kUnavailable, kNotPrimary);
  return success();
}

Result<void> Committer::put_quarantine(Bytes key, Bytes row, std::uint64_t reign) {
  const WritingTurn turn(*this);
  if (role() == Role::kReplica) return Error(Errc::kUnavailable, kNotPrimary);
  VEXOR_TRY(check_reign(reign));
  sys::Batch batch;
  batch.put(Family::kQuarantine, key, row);
  return backend_.commit(batch, sys::Durability::kSynced);
}

Result<std::unique_ptr<StagedCopies>> Committer::stage(Change& change) {
  std::unique_ptr<StagedCopies> out;
  if (role() == Role::kAlone || change.record.object_count == 0) return out;
  VEXOR_TRY(const CopyPolicy copies, copies_of(change));
  VEXOR_TRY(await_members(copies));  // before anything is sent for it
  VEXOR_TRY(change.finish_files());
  LogSink* sink = nullptr;
  {
    const WritingTurn turn(*this);
    if (role() != Role::kPrimary) return Error(Errc::kUnavailable, kNotPrimary);
    VEXOR_TRY(check_reign(change.reign));
    const auto last = std::stable_partition(change.bulk.begin(), change.bulk.end(), [](const auto& file) { return file->family() == Family::kIndex; });
    std::vector<std::unique_ptr<sys::BulkWriter>> files(std::make_move_iterator(last), std::make_move_iterator(change.bulk.end()));
    change.bulk.erase(last, change.bulk.end());
    VEXOR_TRY(backend_.ingest(std::move(files)));
    VEXOR_TRY(backend_.commit(change.rows, sys::Durability::kSynced));
    const std::lock_guard lock(mutex_);
    staged_ranges_.insert(format::number_key(change.record.pool, change.record.first_object));
    sink = sink_;
    ++asking_;
  }
  out = sink->stage(format::encode_journal_record(format::range_form(change.record)));
  const std::lock_guard lock(mutex_);
  --asking_;
  applied_wake_.notify_all();
  return out;
}

Result<void> Committer::drop_staged(const format::JournalRecord& range, std::uint64_t reign) {
  const WritingTurn turn(*this);
  if (role() == Role::kReplica || reign != this->reign()) return success();  // whoever follows has swept it
  sys::Batch batch;
  erase_rows_of_range(range.pool, range.first_object, range.object_count, batch);
  VEXOR_TRY(backend_.commit(batch, sys::Durability::kBuffered));
  const std::lock_guard lock(mutex_);
  staged_ranges_.erase(format::number_key(range.pool, range.first_object));
  return success();
}

std::set<std::string> Committer::staged_ranges() const {
  const std::lock_guard lock(mutex_);
  return staged_ranges_;
}

// What the tail will make of the rows: new changes are checked against it.
Result<void> Committer::replay_tail() {
  const LogPosition last = last_position();
  VEXOR_TRY(const auto snapshot, backend_.snapshot());
  pending_.clear();
  for (std::uint64_t sequence = last_sequence() + 1; sequence <= last.sequence; ++sequence) {
    VEXOR_TRY(const format::JournalRecord record, read_record(*snapshot, sequence));
    sys::Batch state;
    apply_record(record, state);
    pending_.add(state, sequence);
  }
  return success();
}

Result<void> Committer::lead_set(std::uint64_t epoch, LogSink& sink, std::uint64_t turn) {
  const WritingTurn writing(*this);
  if (role() != Role::kReplica) return Error(Errc::kInvalidArgument, "the store leads already, or is no member of a set");
  if (epoch < last_position().epoch) return Error(Errc::kInvalidArgument, "the epoch is below that of the last record");
  VEXOR_TRY(replay_tail());
  const std::lock_guard lock(mutex_);
  if (broken_) return Error(Errc::kUnavailable, "the store must be reopened after a failed write");
  role_ = Role::kPrimary;
  ++reign_;
  ++withdrawals_;
  epoch_ = epoch;
  turn_ = turn;
  sink_ = &sink;
  return success();
}

// They are the last ones, and nothing of them is left: before that nobody is told that nothing changed. Under mutex_.
void Committer::refuse_appended_after(std::uint64_t sequence, const char* why) {
  while (!appended_.empty() && appended_.back().sequence > sequence) {
    appended_.back().waiter->tell(Error(Errc::kUnavailable, why));
    appended_.pop_back();
  }
}

Result<void> Committer::take_back(const std::function<Result<void>()>& erase, const LogPosition& to, std::uint64_t turn) {
  const WritingTurn writing(*this);
  {
    const std::lock_guard apply_lock(apply_mutex_);
    {
      const std::lock_guard lock(mutex_);
      if (role_ != Role::kPrimary) return Error(Errc::kInvalidArgument, "the store is not the primary");
      if (to.sequence < applied_) return Error(Errc::kInvalidArgument, "journal record " + std::to_string(to.sequence + 1) + " is applied");
    }
    auto done = erase();
    const std::lock_guard lock(mutex_);
    if (done.has_error()) {
      broken_ = true;
      give_up_appended();
      return std::move(done).error();
    }
    ++withdrawals_;
    turn_ = turn;
    last_ = to;
    order_.forget();
    refuse_appended_after(to.sequence, kTakenBack);
    applied_wake_.notify_all();
  }
  return replay_tail();
}

// Under mutex_.
void Committer::give_up_appended() {
  for (const Written& one : appended_) one.waiter->tell(unknown_outcome(one.sequence, last_.epoch));
  appended_.clear();
}

void Committer::follow(ReplicaLog::Waiting waiting) {
  const WritingTurn turn(*this);
  pending_.clear();
  std::unique_lock lock(mutex_);
  if (role_ == Role::kAlone) return;
  role_ = Role::kReplica;
  ++reign_;
  ++withdrawals_;
  epoch_ = 0;
  sink_ = nullptr;
  refuse_queue(kNotPrimary);
  if (waiting == ReplicaLog::Waiting::kEnds) give_up_appended();
  applied_wake_.notify_all();
  applied_wake_.wait(lock, [&] { return asking_ == 0; });  // the sink may go now
}

// Q4.
Result<void> Committer::confirm_refusal() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [&] { return !leading_; });  // what it was judged by may not be with the sink yet
  if (role_ == Role::kAlone) return success();
  if (role_ != Role::kPrimary) return Error(Errc::kUnavailable, kNotPrimary);
  LogSink& sink = *sink_;
  ++asking_;
  lock.unlock();
  auto confirmed = sink.confirm_head();
  lock.lock();
  --asking_;
  applied_wake_.notify_all();
  return confirmed;
}

Result<void> Committer::admit_forgetting() const {
  const std::lock_guard lock(mutex_);
  return role_ == Role::kPrimary ? sink_->admit_forgetting() : success();
}

// C6, C7: before the record has a place in the log, where those behind it would have to be taken back with it.
Result<void> Committer::await_members(CopyPolicy copies) {
  std::unique_lock lock(mutex_);
  Result<void> admitted = success();
  const auto may_go_on = [&] {
    admitted = success();
    if (role_ == Role::kPrimary && !broken_) admitted = sink_->admit(copies);  // else the turn says what is wrong
    return admitted.has_value();
  };
  for (int pauses = 0; pauses < kMembersPauses; ++pauses) {
    if (wake_.wait_for(lock, kMembersPause, may_go_on)) break;
  }
  return admitted;
}

Result<void> Committer::append_replica(const sys::Batch& batch, std::vector<std::unique_ptr<sys::BulkWriter>> files, const LogPosition& from, const LogPosition& to) {
  const WritingTurn turn(*this);
  {
    const std::lock_guard lock(mutex_);
    if (broken_) return Error(Errc::kUnavailable, "the store must be reopened after a failed write");
    if (role_ != Role::kReplica) return Error(Errc::kConflict, "the store is not a follower");
    if (last_.sequence != from.sequence || last_.hash != from.hash) return Error(Errc::kConflict, "the entries do not follow on the last one");
  }
  if (!files.empty()) {
    VEXOR_TRY(backend_.ingest(std::move(files)));
  }
  const auto done = backend_.commit(batch, sys::Durability::kSynced);
  const std::lock_guard lock(mutex_);
  if (done.has_error()) {
    broken_ = true;
    return Error(Errc::kIndeterminate, "the write failed: " + done.error().message());
  }
  last_ = to;
  return success();
}

Result<void> Committer::cut(const std::function<Result<void>()>& erase, const LogPosition& to) {
  const WritingTurn turn(*this);
  const std::lock_guard apply_lock(apply_mutex_);
  {
    const std::lock_guard lock(mutex_);
    if (role_ != Role::kReplica) return Error(Errc::kInvalidArgument, "the store is not a follower");
    if (to.sequence < applied_) return Error(Errc::kInvalidArgument, "journal record " + std::to_string(to.sequence + 1) + " is applied: it cannot be cut off");
  }
  auto done = erase();
  const std::lock_guard lock(mutex_);
  if (done.has_error()) {
    broken_ = true;  // some of it may be gone
    give_up_appended();
    return std::move(done).error();
  }
  last_ = to;
  order_.forget();
  refuse_appended_after(to.sequence, kNotPrimary);
  return success();
}

Result<void> Committer::apply(std::uint64_t sequence) {
  for (;;) {
    VEXOR_TRY(const bool is_over, apply_some(sequence));
    if (is_over) return success();
    VEXOR_TRY(apply_forgetting(sequence));
  }
}

namespace {

bool forgets(const format::JournalRecord& record) { return record.kind == format::OperationKind::kForget; }

void add_applied(const format::JournalRecord& record, sys::Batch& batch) {
  apply_record(record, batch);
  if (record.object_count > 0) batch.erase(Family::kQuarantine, format::number_key(record.pool, record.first_object));
}

// Rows of the index go in when a record is appended: an id that is about to be forgotten may lead to the number of a later push by now. What is left
// when this record and the later one are appended and applied is the same in whatever order that happens: the row of the later one.
Result<void> keep_later_index_rows(const sys::StorageSnapshot& snapshot, format::JournalRecord& record) {
  const std::string key = forgetting_key(record.pool);
  Roaring forgotten;
  for (const format::RowChange& change : record.changes) {
    if (change.family != Family::kRepositories || !change.value || change.key.size() <= key.size() || !change.key.starts_with(key)) continue;
    VEXOR_TRY(const ForgottenRow row, decode_forgotten_row(*change.value));
    forgotten |= row.numbers;
  }
  std::vector<format::RowChange> changes;
  for (format::RowChange& change : record.changes) {
    if (change.family == Family::kIndex && !change.value) {
      VEXOR_TRY(const auto row, snapshot.get(Family::kIndex, change.key));
      if (!row) continue;
      VEXOR_TRY(const format::ObjectNumber number, format::decode_index_row(row->bytes()));
      if (!forgotten.contains(number)) continue;
    }
    changes.push_back(std::move(change));
  }
  record.changes = std::move(changes);
  return success();
}

}  // namespace

// Up to the first record that forgets; true: there was none. Does not wait for who appends: that takes as long as the disk.
Result<bool> Committer::apply_some(std::uint64_t sequence) {
  const std::lock_guard apply_lock(apply_mutex_);
  if (sequence > last_position().sequence) return Error(Errc::kInvalidArgument, "journal record " + std::to_string(sequence) + " is not here");
  if (role() == Role::kAlone) return Error(Errc::kInvalidArgument, "the store is no member of a set");
  for (std::uint64_t next = last_sequence() + 1; next <= sequence;) {
    VEXOR_TRY(const auto snapshot, backend_.snapshot());
    sys::Batch batch;
    std::size_t bytes = 0;
    bool is_at_forgetting = false;
    const std::uint64_t first = next;
    while (next <= sequence && next - first < kApplyRecordsMax && bytes < kApplyBytesMax) {
      VEXOR_TRY(const format::JournalRecord record, read_record(*snapshot, next, &bytes));
      is_at_forgetting = forgets(record);
      if (is_at_forgetting) break;
      add_applied(record, batch);
      ++next;
    }
    if (next > first) {
      VEXOR_TRY(write_applied(batch, next - 1));
    }
    if (is_at_forgetting) return false;
  }
  return true;
}

// The next record, if it forgets: by itself, and while nobody appends. Such a record looks at rows that are put by appending.
Result<void> Committer::apply_forgetting(std::uint64_t sequence) {
  const WritingTurn turn(*this);
  const std::lock_guard apply_lock(apply_mutex_);
  const std::uint64_t next = last_sequence() + 1;
  if (next > std::min(sequence, last_position().sequence)) return success();
  VEXOR_TRY(const auto snapshot, backend_.snapshot());
  VEXOR_TRY(format::JournalRecord record, read_record(*snapshot, next));
  if (!forgets(record)) return success();  // others apply too
  VEXOR_TRY(keep_later_index_rows(*snapshot, record));
  sys::Batch batch;
  add_applied(record, batch);
  return write_applied(batch, next);
}

// With apply_mutex_.
Result<void> Committer::write_applied(sys::Batch& batch, std::uint64_t sequence) {
  batch.put(Family::kMeta, format::applied_key(), format::encode_applied_row(sequence));
  // Not synced: what is lost of it is applied again.
  VEXOR_TRY(backend_.commit(batch, sys::Durability::kBuffered));
  const std::lock_guard lock(mutex_);
  applied_ = sequence;
  applied_wake_.notify_all();
  return success();
}

void Committer::give_up(std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  std::erase_if(appended_, [&](const Written& one) {
    if (one.sequence != sequence) return false;
    one.waiter->tell(unknown_outcome(sequence, epoch_));
    return true;
  });
}

void Committer::settle(const Receipt& receipt) {
  const std::lock_guard lock(mutex_);
  const auto found = std::lower_bound(appended_.begin(), appended_.end(), receipt.sequence, [](const Written& one, std::uint64_t sequence) { return one.sequence < sequence; });
  if (found == appended_.end() || found->sequence != receipt.sequence) return;
  found->waiter->tell(receipt);
  appended_.erase(found);
}

}  // namespace vexor::store
