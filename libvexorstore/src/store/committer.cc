#include "store/committer.h"

#include "base/check.h"
#include "crypto/digest.h"
#include "format/state_rows.h"

namespace vexor::store {
namespace {

constexpr std::size_t kGroupChangesMax = 64;
constexpr std::size_t kGroupBytesMax = 32U << 20U;

std::string overlay_key(sys::Family family, Bytes key) {
  std::string out(1, static_cast<char>(family));
  out.append(key);
  return out;
}

// RefRow: version byte, then the sequence as a varint of one byte (0) in records.
std::string with_sequence(const std::string& row, std::uint64_t sequence) {
  std::string out(row, 0, 1);
  put_varint(out, sequence);
  out.append(row, 2);
  return out;
}

}  // namespace

void apply_record(const format::JournalRecord& record, sys::Batch& batch) {
  using sys::Family;
  for (const format::RefChange& change : record.refs) {
    const std::string key = format::ref_key(record.repository, change.name);
    if (change.new_row.empty()) {
      batch.erase(Family::kRefs, key);
    } else {
      VEXOR_CHECK(change.new_row.size() > 2 && change.new_row[1] == 0);
      batch.put(Family::kRefs, key, with_sequence(change.new_row, record.sequence));
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
  out->last_hash_ = std::string(32, '\0');
  if (cursor->valid()) {
    VEXOR_TRY(const format::JournalRecord last, format::decode_journal_record(cursor->value()));
    out->last_sequence_ = last.sequence;
    out->last_hash_ = blake2b_256(cursor->value());
  }
  return out;
}

Result<std::uint64_t> Committer::submit(Change change) {
  Waiter self{std::move(change), std::nullopt};
  std::unique_lock lock(mutex_);
  if (broken_) return Error(Errc::kUnavailable, "the store must be reopened after a failed write");
  queue_.push_back(&self);
  wake_.wait(lock, [&] { return self.outcome.has_value() || !leading_; });
  while (!self.outcome) {
    leading_ = true;
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
    lock.unlock();
    lead(group);
    lock.lock();
    leading_ = false;
    wake_.notify_all();
    wake_.wait(lock, [&] { return self.outcome.has_value() || !leading_; });
  }
  return std::move(*self.outcome);
}

Result<void> Committer::check(const Change& change, const sys::StorageSnapshot& snapshot,
                              const Overlay& overlay) const {
  if (change.expected_generation &&
      *change.expected_generation != index_generation(change.record.pool)) {
    return Error(Errc::kConflict, "the pool gained objects meanwhile");
  }
  for (const Precondition& want : change.preconditions) {
    const auto pending = overlay.find(overlay_key(want.family, want.key));
    bool holds = false;
    if (pending != overlay.end()) {
      holds = pending->second == want.expected;
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
Result<void> Committer::raise_counter(Change& change, const sys::StorageSnapshot& snapshot, const Overlay& overlay) const {
  for (format::RowChange& row : change.record.changes) {
    if (row.family != sys::Family::kRepositories || row.key != "i" || !row.value) continue;
    const auto pending = overlay.find(overlay_key(row.family, row.key));
    std::string current;
    if (pending != overlay.end()) {
      current = pending->second.value_or(std::string());
    } else {
      VEXOR_TRY(const auto stored, snapshot.get(row.family, row.key));
      if (stored) current = std::string(stored->bytes());
    }
    if (current.size() == row.value->size() && current > *row.value) row.value = current;  // both big-endian
  }
  return success();
}

void Committer::append(Change& change, std::uint64_t sequence, std::string& previous_hash,
                       sys::Batch& batch, Overlay& overlay) const {
  format::JournalRecord& record = change.record;
  record.sequence = sequence;
  record.time_ms = clock_.wall_time_ms();
  record.previous_hash = previous_hash;
  const std::string encoded = format::encode_journal_record(record);
  previous_hash = blake2b_256(encoded);
  sys::Batch rows = std::move(change.rows);
  apply_record(record, rows);
  rows.put(sys::Family::kJournal, format::journal_key(sequence), encoded);
  for (const sys::Batch::Op& op : rows.ops()) {
    if (op.family == sys::Family::kExtents || op.family == sys::Family::kJournal) continue;
    if (op.kind == sys::Batch::Kind::kPut) {
      overlay[overlay_key(op.family, op.key)] = op.value;
    } else if (op.kind == sys::Batch::Kind::kErase) {
      overlay[overlay_key(op.family, op.key)] = std::nullopt;
    }
  }
  batch.append(std::move(rows));
}

void Committer::lead(std::vector<Waiter*>& group) {
  std::string hash = last_hash_;
  std::uint64_t sequence = last_sequence();
  sys::Batch batch;
  Overlay overlay;
  std::vector<Waiter*> written;
  std::vector<std::pair<Waiter*, Result<std::uint64_t>>> outcomes;
  auto snapshot = backend_.snapshot();
  for (Waiter* waiter : group) {
    Result<void> ready = snapshot.has_error()
                             ? Result<void>(snapshot.error().clone())
                             : check(waiter->change, *snapshot.value(), overlay);
    if (ready.has_value()) ready = raise_counter(waiter->change, *snapshot.value(), overlay);
    if (ready.has_value() && !waiter->change.bulk.empty()) {
      ready = backend_.ingest(std::move(waiter->change.bulk));
    }
    if (ready.has_error()) {
      outcomes.emplace_back(waiter, std::move(ready).error());
      continue;
    }
    if (waiter->change.is_recorded) {
      append(waiter->change, ++sequence, hash, batch, overlay);
    } else {
      batch.append(std::move(waiter->change.rows));
    }
    written.push_back(waiter);
    outcomes.emplace_back(waiter, sequence);
  }
  bool broken = false;
  if (!written.empty()) {
    if (auto done = backend_.commit(batch, sys::Durability::kSynced); done.has_error()) {
      broken = true;
      for (auto& [waiter, outcome] : outcomes) {
        if (outcome.has_value()) {
          outcome = Error(Errc::kIndeterminate, "the write failed: " + done.error().message());
        }
      }
    }
  }
  const std::lock_guard lock(mutex_);
  if (broken) {
    broken_ = true;
    for (Waiter* waiter : queue_) {
      waiter->outcome = Error(Errc::kUnavailable, "the store must be reopened after a failed write");
    }
    queue_.clear();
  } else {
    last_sequence_ = sequence;
    last_hash_ = hash;
    for (const Waiter* waiter : written) {
      if (waiter->change.extends_index) ++generations_[waiter->change.record.pool];
    }
  }
  // Set last: a waiter's frame is gone as soon as it sees its outcome.
  for (auto& [waiter, outcome] : outcomes) waiter->outcome = std::move(outcome);
}

std::uint64_t Committer::index_generation(format::PoolId pool) const {
  const std::lock_guard lock(mutex_);
  const auto found = generations_.find(pool);
  return found == generations_.end() ? 0 : found->second;
}

std::uint64_t Committer::last_sequence() const {
  const std::lock_guard lock(mutex_);
  return last_sequence_;
}

}  // namespace vexor::store
