#include "vexorstore/replica_log.h"

#include <condition_variable>
#include <set>

#include "format/log_rows.h"
#include "log/base_check.h"
#include "log/pool_algorithms.h"
#include "log/rows_reader.h"
#include "log/rows_writer.h"
#include "store/forgotten.h"
#include "store/journal.h"
#include "store/purges.h"

namespace vexor {

using format::JournalRecord;
using store::Committer;
using store::StoreCore;
using sys::Family;

namespace {

class StoreLog final : public ReplicaLog {
 public:
  explicit StoreLog(StoreCore& core) : core_(core) {}

  LogPosition last() const override { return core_.committer->last_position(); }
  std::uint64_t applied() const override { return core_.committer->last_sequence(); }
  Result<LogPosition> position(std::uint64_t sequence) const override;
  Result<void> lead(std::uint64_t epoch, LogSink& sink, std::uint64_t turn) override;
  Result<void> follow(Waiting waiting) override;
  Result<void> take_back(std::uint64_t sequence, std::uint64_t turn) override;
  Result<void> append(const std::vector<LogEntry>& entries) override;
  Result<void> cut(std::uint64_t sequence) override;
  Result<void> apply(std::uint64_t sequence) override { return core_.committer->apply(sequence); }
  void settle(const Receipt& receipt) override { core_.committer->settle(receipt); }
  void give_up(std::uint64_t sequence) override { core_.committer->give_up(sequence); }
  Result<LogEntry> read(std::uint64_t sequence) const override;
  Result<std::unique_ptr<RowsReader>> read_rows(std::uint64_t sequence) const override;
  Result<std::unique_ptr<RowsReader>> read_rows_of(Bytes record) const override;
  std::uint64_t reign() const override {
    const std::lock_guard lock(mutex_);
    return primaries_;
  }
  Result<std::unique_ptr<RowsWriter>> write_rows(Bytes record, std::optional<std::uint64_t> reign) override;
  bool claim_rows(Bytes record) override;
  Result<void> drop_rows(Bytes record) override;
  Result<void> save_state(Bytes state) override;
  Result<std::string> load_state() const override;

 private:
  Result<std::string> encoded_record(const sys::StorageSnapshot& snapshot, std::uint64_t sequence) const;
  Result<std::unique_ptr<RowsReader>> rows_of(const store::SnapshotPtr& snapshot, JournalRecord record) const;
  Result<std::optional<JournalRecord>> purged_meanwhile(const sys::StorageSnapshot& snapshot, const JournalRecord& record, const std::string& hash) const;
  Result<void> raise_ids() const;
  Result<void> forget_staged();
  log::Staged::iterator find_staged(const JournalRecord& record);  // with mutex_ held
  struct Appending;
  Result<void> add_entry(const LogEntry& entry, Appending& to);
  Result<void> write(Appending& to);
  std::optional<log::StagedRows> begin_append(const JournalRecord& record, std::vector<std::string>& ranges);
  Result<void> write_in_turn(std::uint64_t reign, const JournalRecord& record, const std::function<Result<void>()>& work);
  Result<void> add_rows(const JournalRecord& record, const LogEntry& entry, sys::Batch& batch, log::BaseCheck& bases) const;
  log::BaseCheck make_base_check();
  Result<bool> has_record_of(format::PoolId pool, format::ObjectNumber first) const;  // with mutex_ held
  Result<void> erase_record(std::uint64_t sequence) const;
  Result<void> erase_after(std::uint64_t sequence) const;

  StoreCore& core_;
  mutable std::mutex mutex_;
  std::uint64_t led_epoch_ = 0;                    // the last one; lead() and follow() alone
  std::uint64_t primaries_ = 0;                    // guarded by mutex_; that this store followed or was
  log::Staged staged_;                             // guarded by mutex_; of a range in `writing_` its writer's
  std::set<std::string> writing_;                  // guarded by mutex_; ranges at which a writer is at work
  std::set<std::string> appending_;                // guarded by mutex_; ranges of records that are being appended
  std::condition_variable idle_;                   // one of `writing_` less
  mutable log::PoolAlgorithms algorithms_;
};

Result<std::string> StoreLog::encoded_record(const sys::StorageSnapshot& snapshot, std::uint64_t sequence) const {
  VEXOR_TRY(const auto row, snapshot.get(Family::kJournal, format::journal_key(sequence)));
  if (!row) return Error(Errc::kNotFound, "journal record " + std::to_string(sequence) + " is not here");
  return std::string(row->bytes());
}

Result<LogPosition> StoreLog::position(std::uint64_t sequence) const {
  if (sequence == 0) return LogPosition();
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  VEXOR_TRY(const std::string encoded, encoded_record(*snapshot, sequence));
  VEXOR_TRY(const JournalRecord record, format::decode_journal_record(encoded));
  return LogPosition{record.epoch, record.sequence, store::record_hash(record, encoded)};
}

// The primary gives out ids that no record of the tail has.
Result<void> StoreLog::raise_ids() const {
  // Before the snapshot: a record that is applied right behind it is looked at too.
  const std::uint64_t applied = this->applied();
  const std::uint64_t last = this->last().sequence;
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  VEXOR_TRY(core_.load_ids(*snapshot));
  for (std::uint64_t sequence = applied + 1; sequence <= last; ++sequence) {
    VEXOR_TRY(const std::string encoded, encoded_record(*snapshot, sequence));
    VEXOR_TRY(const JournalRecord record, format::decode_journal_record(encoded));
    for (const format::RowChange& change : record.changes) {
      if (change.family != Family::kRepositories || change.key != "i" || !change.value) continue;
      ByteReader reader(*change.value);
      VEXOR_TRY(const std::uint64_t next, reader.u64be());
      core_.raise_ids(next);
    }
  }
  return success();
}

Result<void> StoreLog::lead(std::uint64_t epoch, LogSink& sink, std::uint64_t turn) {
  VEXOR_TRY(forget_staged());
  // In the same reign no number is given out twice: members may hold rows of a push that came to nothing.
  if (epoch != led_epoch_) core_.numbers.reset();
  led_epoch_ = epoch;
  VEXOR_TRY(raise_ids());
  return core_.committer->lead_set(epoch, sink, turn);
}

Result<void> StoreLog::follow(Waiting waiting) {
  core_.committer->follow(waiting);
  return forget_staged();
}

// Rows that came before their records, which went with another primary, and ranges that pushes here had
// begun when this server was the primary: the next one gives out these numbers again.
Result<void> StoreLog::forget_staged() {
  std::unique_lock lock(mutex_);
  ++primaries_;  // no writer begins any more
  idle_.wait(lock, [this] { return writing_.empty(); });
  // A takeover waits for this: what is large is not read again.
  std::set<std::string> unindexed = core_.committer->staged_ranges();
  for (const auto& [range, rows] : staged_) unindexed.insert(range);
  staged_.clear();
  return core_.sweep_quarantine(unindexed);
}

// What is to be appended next.
struct StoreLog::Appending {
  LogPosition from;
  LogPosition last;  // of what is in the batch
  std::vector<std::unique_ptr<sys::BulkWriter>> files{};  // go in before the batch
  sys::Batch batch{};
  std::vector<std::string> ranges{};
  log::BaseCheck bases;
};

// What writers of rows write is in quarantine, and a range whose record is here must not be again: of one range there is either a
// writer at work or an append on its way. Records of other ranges wait for neither.
Result<void> StoreLog::append(const std::vector<LogEntry>& entries) {
  Appending to{.from = last(), .last = last(), .bases = make_base_check()};
  const auto append = [&]() -> Result<void> {
    for (const LogEntry& entry : entries) {
      VEXOR_TRY(add_entry(entry, to));
    }
    return write(to);
  };
  auto done = append();
  const std::lock_guard lock(mutex_);
  for (const std::string& range : to.ranges) appending_.erase(range);
  return done;
}

Result<void> StoreLog::write(Appending& to) {
  VEXOR_TRY(core_.committer->append_replica(to.batch, std::move(to.files), to.from, to.last));
  to.from = to.last;
  to.files.clear();
  to.batch = sys::Batch();
  return success();
}

// The range of the record is the caller's until it is taken out of `appending_`. Returns what was staged of it.
std::optional<log::StagedRows> StoreLog::begin_append(const JournalRecord& record, std::vector<std::string>& ranges) {
  const std::string range = format::number_key(record.pool, record.first_object);
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [&] { return !writing_.contains(range); });
  appending_.insert(range);
  ranges.push_back(range);
  const auto found = find_staged(record);
  if (found == staged_.end()) return std::nullopt;
  std::optional<log::StagedRows> out(std::move(found->second));
  staged_.erase(found);
  return out;
}

log::BaseCheck StoreLog::make_base_check() {
  return log::BaseCheck(core_, [this](const std::string& range) {
    const std::lock_guard lock(mutex_);
    return staged_.contains(range);
  });
}

Result<void> StoreLog::add_entry(const LogEntry& entry, Appending& to) {
  auto decoded = format::decode_journal_record(entry.record);
  if (decoded.has_error()) return Error(Errc::kProtocol, decoded.error().message());
  const JournalRecord& record = decoded.value();
  if (record.sequence != to.last.sequence + 1 || record.previous_hash != to.last.hash) return Error(Errc::kConflict, "the entries do not follow on the last one");
  if (record.epoch < to.last.epoch) return Error(Errc::kProtocol, "a record of an epoch before that of the last one");
  const LogPosition at{record.epoch, record.sequence, store::record_hash(record, entry.record)};
  if (entry.position.sequence != at.sequence || entry.position.epoch != at.epoch || entry.position.hash != at.hash) {
    return Error(Errc::kProtocol, "a record at another position than it says");
  }
  sys::Batch rows;
  rows.put(Family::kJournal, format::journal_key(record.sequence), entry.record);
  if (record.object_count > 0) {
    auto staged = begin_append(record, to.ranges);
    VEXOR_TRY(const store::SnapshotPtr now, to.bases.snapshot());
    VEXOR_TRY(core_.committer->number_order().load(*now, record.pool));
    core_.committer->number_order().note(record, rows);
    if (!entry.rows_apart) {
      // They came ahead as well, maybe in other extents: those go.
      if (staged) store::erase_rows_of_range(record.pool, record.first_object, record.object_count, rows);
      VEXOR_TRY(add_rows(record, entry, rows, to.bases));
    } else {
      if (!staged) return Error(Errc::kNotFound, "the rows of journal record " + std::to_string(record.sequence) + " are not here");
      VEXOR_TRY(to.bases.check(record, staged->outside_bases));
      to.bases.add(record);
      // Rows in files: the index goes in now. What an object forgotten in between had as its row was there before.
      if (!to.batch.empty()) {
        VEXOR_TRY(write(to));
      }
      to.files.push_back(std::move(staged->index));
    }
  }
  to.batch.append(std::move(rows));
  to.last = at;
  return success();
}

Result<void> StoreLog::add_rows(const JournalRecord& record, const LogEntry& entry, sys::Batch& batch, log::BaseCheck& bases) const {
  auto rows = format::decode_log_rows(entry.rows);
  if (rows.has_error()) return Error(Errc::kProtocol, rows.error().message());
  const HashAlgorithm algorithm = rows.value().algorithm;
  log::RecordRows index(record, algorithm);
  for (const sys::Batch::Op& op : rows.value().rows.ops()) {
    VEXOR_TRY(index.add(op.family, op.key, op.value));
  }
  VEXOR_TRY(index.check());
  VEXOR_TRY(bases.check(record, index.outside_bases()));
  bases.add(record);
  VEXOR_TRY(index.write([&](Bytes key, Bytes value) -> Result<void> {
    batch.put(Family::kIndex, key, value);
    return success();
  }));
  batch.append(std::move(rows.value().rows));
  batch.put(Family::kQuarantine, format::number_key(record.pool, record.first_object), format::encode_quarantine_row({algorithm, record.object_count}));
  return success();
}

Result<void> StoreLog::erase_record(std::uint64_t sequence) const {
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  VEXOR_TRY(const std::string encoded, encoded_record(*snapshot, sequence));
  VEXOR_TRY(const JournalRecord record, format::decode_journal_record(encoded));
  sys::Batch batch;
  batch.erase(Family::kJournal, format::journal_key(sequence));
  store::erase_late_row(record, batch);
  if (record.object_count > 0) {
    const std::string key = format::number_key(record.pool, record.first_object);
    VEXOR_TRY(const auto quarantine, snapshot->get(Family::kQuarantine, key));
    if (!quarantine) return Error(Errc::kCorrupt, "a range of a record that is not applied is not in quarantine");
    VEXOR_TRY(const format::QuarantineRow row, format::decode_quarantine_row(quarantine->bytes()));
    VEXOR_TRY(store::erase_range_of_objects(*snapshot, record.pool, row.algorithm, record.first_object, record.object_count, batch));
  }
  return core_.backend->commit(batch, sys::Durability::kSynced);
}

Result<void> StoreLog::erase_after(std::uint64_t sequence) const {
  for (std::uint64_t last_one = last().sequence; last_one > sequence; --last_one) {
    VEXOR_TRY(erase_record(last_one));
  }
  return success();
}

Result<void> StoreLog::cut(std::uint64_t sequence) {
  VEXOR_TRY(const LogPosition to, position(sequence));
  return core_.committer->cut([&] { return erase_after(sequence); }, to);
}

Result<void> StoreLog::take_back(std::uint64_t sequence, std::uint64_t turn) {
  VEXOR_TRY(const LogPosition to, position(sequence));
  return core_.committer->take_back([&] { return erase_after(sequence); }, to, turn);
}

// A record whose objects a purge has erased, before PurgeWork came to it: as it will be. Nullopt: no purge did.
Result<std::optional<JournalRecord>> StoreLog::purged_meanwhile(const sys::StorageSnapshot& snapshot, const JournalRecord& record, const std::string& hash) const {
  VEXOR_TRY(const auto algorithm, algorithms_.of(snapshot, record));
  if (algorithm) return std::optional<JournalRecord>();
  VEXOR_TRY(const auto purges, store::read_purges(snapshot));
  for (const format::PurgeRow& row : purges) {
    const bool has_taken = row.state == format::PurgeState::kApproved && row.pool == record.pool && !row.keeps_objects;
    if (has_taken) return std::optional(format::purged_form(record, record.is_purged() ? record.purge_request : row.request, hash, false));
  }
  return std::optional<JournalRecord>();
}

namespace {

bool has_any(const Roaring& numbers, const JournalRecord& range) {
  auto at = numbers.begin();
  at.equalorlarger(range.first_object);
  return at != numbers.end() && *at - range.first_object < range.object_count;
}

}  // namespace

Result<std::unique_ptr<RowsReader>> StoreLog::rows_of(const store::SnapshotPtr& snapshot, JournalRecord record) const {
  HashAlgorithm algorithm{};
  VEXOR_TRY(const auto quarantine, snapshot->get(Family::kQuarantine, format::number_key(record.pool, record.first_object)));
  if (quarantine) {
    VEXOR_TRY(const format::QuarantineRow row, format::decode_quarantine_row(quarantine->bytes()));
    algorithm = row.algorithm;
  } else {
    VEXOR_TRY(const auto found, algorithms_.of(*snapshot, record));
    if (!found) return Error(Errc::kNotFound, "the repository of journal record " + std::to_string(record.sequence) + " was purged");
    algorithm = *found;
    VEXOR_TRY(const auto forgotten, store::forgotten_numbers(core_, *snapshot, record.pool));
    if (forgotten && has_any(*forgotten, record)) return Error(Errc::kNotFound, "objects of journal record " + std::to_string(record.sequence) + " were forgotten");
    VEXOR_TRY(const bool lacks_rows, log::lacks_graph_rows(*snapshot, record));
    if (lacks_rows) return Error(Errc::kNotFound, "nothing reaches some commits of journal record " + std::to_string(record.sequence) + ", and their rows in the graph are gone");
  }
  return std::unique_ptr<RowsReader>(std::make_unique<log::StoredRowsReader>(snapshot, std::move(record), algorithm, core_.options.limits, quarantine.has_value()));
}

Result<std::unique_ptr<RowsReader>> StoreLog::read_rows(std::uint64_t sequence) const {
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  VEXOR_TRY(const std::string encoded, encoded_record(*snapshot, sequence));
  VEXOR_TRY(JournalRecord record, format::decode_journal_record(encoded));
  if (record.object_count == 0) return Error(Errc::kNotFound, "journal record " + std::to_string(sequence) + " has no objects");
  return rows_of(snapshot, std::move(record));
}

Result<std::unique_ptr<RowsReader>> StoreLog::read_rows_of(Bytes encoded) const {
  VEXOR_TRY(JournalRecord record, format::decode_journal_record(encoded));
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  return rows_of(snapshot, std::move(record));
}

log::Staged::iterator StoreLog::find_staged(const JournalRecord& record) {
  const auto found = staged_.find(format::number_key(record.pool, record.first_object));
  const bool same = found != staged_.end() && found->second.objects_digest == record.objects_digest;
  return same ? found : staged_.end();
}

bool StoreLog::claim_rows(Bytes encoded) {
  const auto record = format::decode_journal_record(encoded);
  if (record.has_error()) return false;
  const std::lock_guard lock(mutex_);
  const auto found = find_staged(record.value());
  if (found == staged_.end()) return false;
  found->second.is_claimed = true;
  return true;
}

Result<void> StoreLog::drop_rows(Bytes encoded) {
  VEXOR_TRY(const JournalRecord record, format::decode_journal_record(encoded));
  const std::lock_guard lock(mutex_);
  const auto found = find_staged(record);
  if (found == staged_.end() || found->second.is_claimed) return success();
  if (writing_.contains(found->first)) return success();  // another transfer of the same is at work, and drops them
  staged_.erase(found);
  sys::Batch batch;
  store::erase_rows_of_range(record.pool, record.first_object, record.object_count, batch);
  return core_.backend->commit(batch, sys::Durability::kSynced);
}

Result<LogEntry> StoreLog::read(std::uint64_t sequence) const {
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  LogEntry entry;
  VEXOR_TRY(entry.record, encoded_record(*snapshot, sequence));
  VEXOR_TRY(JournalRecord record, format::decode_journal_record(entry.record));
  entry.position = {record.epoch, record.sequence, store::record_hash(record, entry.record)};
  if (record.object_count == 0) return entry;
  VEXOR_TRY(const auto purged, purged_meanwhile(*snapshot, record, entry.position.hash));
  if (purged) {
    entry.record = format::encode_journal_record(*purged);
    return entry;
  }
  VEXOR_TRY(const auto reader, rows_of(snapshot, std::move(record)));
  VEXOR_TRY(entry.rows, reader->next());
  VEXOR_TRY(const std::string more, reader->next());
  entry.rows_apart = !more.empty();
  if (entry.rows_apart) entry.rows.clear();
  return entry;
}

Result<std::unique_ptr<RowsWriter>> StoreLog::write_rows(Bytes encoded, std::optional<std::uint64_t> reign) {
  auto record = format::decode_journal_record(encoded);
  if (record.has_error()) return Error(Errc::kProtocol, record.error().message());
  if (record.value().object_count == 0) return Error(Errc::kProtocol, "a record without objects");
  if (core_.committer->role() != Committer::Role::kReplica) return Error(Errc::kConflict, "the store is not a follower");
  const std::uint64_t began = reign ? *reign : this->reign();
  const auto in_turn = [this, began, range = format::range_form(record.value())](const std::function<Result<void>()>& work) { return write_in_turn(began, range, work); };
  const auto is_staged = [this](const std::string& range) {
    const std::lock_guard lock(mutex_);
    return staged_.contains(range);
  };
  const auto stage = [this](const std::string& range, log::StagedRows rows) {
    const std::lock_guard lock(mutex_);
    staged_.emplace(range, std::move(rows));
  };
  const auto check_bases = [this](const JournalRecord& of, const Roaring& bases) { return make_base_check().check(of, bases); };
  return std::unique_ptr<RowsWriter>(std::make_unique<log::StoredRowsWriter>(core_, std::move(record).value(), log::StoredRowsWriter::Place{in_turn, is_staged, stage, check_bases}));
}

// Lets others go on meanwhile: what the work writes may take the disk for seconds.
Result<void> StoreLog::write_in_turn(std::uint64_t reign, const JournalRecord& record, const std::function<Result<void>()>& work) {
  const std::string range = format::number_key(record.pool, record.first_object);
  {
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return !writing_.contains(range); });
    if (primaries_ != reign) return Error(Errc::kConflict, "the store follows another primary now");
    VEXOR_TRY(const bool is_here, has_record_of(record.pool, record.first_object));
    if (is_here || appending_.contains(range)) return Error(Errc::kConflict, "the record of these rows is here");
    writing_.insert(range);
  }
  auto done = work();
  {
    const std::lock_guard lock(mutex_);
    writing_.erase(range);
  }
  idle_.notify_all();
  return done;
}

// Objects have a shape from when their rows were let in. Without a record these rows are in `staged_`: what was not claimed is
// swept at each start and whenever another primary is followed.
Result<bool> StoreLog::has_record_of(format::PoolId pool, format::ObjectNumber first) const {
  const std::string key = format::number_key(pool, first);
  if (staged_.contains(key)) return false;
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  const auto cursor = snapshot->cursor(Family::kShapes);
  cursor->seek_for_prev(key);
  VEXOR_TRY(cursor->status());
  if (!cursor->valid() || !cursor->key().starts_with(format::pool_key(pool))) return false;
  VEXOR_TRY(const format::ObjectNumber start, format::number_of_key(cursor->key()));
  return first - start < cursor->value().size();  // merges put the shapes of many records into one row
}

Result<void> StoreLog::save_state(Bytes state) {
  if (state.size() > kReplicationStateBytesMax) return Error(Errc::kInvalidArgument, "the state of replication is too large");
  sys::Batch batch;
  batch.put(Family::kMeta, format::replication_state_key(), state);
  return core_.backend->commit(batch, sys::Durability::kSynced);
}

Result<std::string> StoreLog::load_state() const {
  VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
  VEXOR_TRY(const auto row, snapshot->get(Family::kMeta, format::replication_state_key()));
  return row ? std::string(row->bytes()) : std::string();
}

}  // namespace

Result<RecordPlace> place_of_record(Bytes encoded) {
  VEXOR_TRY(const JournalRecord record, format::decode_journal_record(encoded));
  if (record.previous_hash.size() != 32) return Error(Errc::kCorrupt, "journal record: previous hash");
  return RecordPlace{{record.epoch, record.sequence, store::record_hash(record, encoded)}, record.previous_hash};
}

Result<std::string> range_of_record(Bytes encoded) {
  VEXOR_TRY(const JournalRecord record, format::decode_journal_record(encoded));
  return format::encode_journal_record(format::range_form(record));
}

Result<std::unique_ptr<ReplicaLog>> join_replica_set(Store& store) {
  VEXOR_TRY(store.core().committer->join());
  return std::unique_ptr<ReplicaLog>(std::make_unique<StoreLog>(store.core()));
}

}  // namespace vexor
