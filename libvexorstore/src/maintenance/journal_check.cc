#include "maintenance/journal_check.h"

#include <algorithm>
#include <tuple>

#include "store/forgotten.h"
#include "store/journal.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::size_t kRangesMax = 4096;          // that are put in order before their objects are read
constexpr std::uint64_t kRecordsMax = 16U << 10U;  // read before their objects
constexpr std::uint64_t kObjectsMax = 1U << 20U;    // the same: what a restart has to do again
constexpr std::uint64_t kRefCost = 512;            // octets, of three rows that are looked up
constexpr std::size_t kMissingMax = 10'000;        // repositories

std::string text(std::uint64_t sequence) { return "journal record " + std::to_string(sequence); }

}  // namespace

struct JournalCheck::View {
  store::SnapshotPtr snapshot;
  std::uint64_t applied = 0;
  std::optional<ExtentScan> scan;
  bool at_extent = false;  // the scan is at one
  PoolId pool = 0;         // of the scan

  Result<std::optional<format::RepositoryRow>> repository(std::uint64_t number) const {
    VEXOR_TRY(const auto row, snapshot->get(Family::kRepositories, "r" + format::pool_key(number)));
    if (!row) return std::optional<format::RepositoryRow>();
    VEXOR_TRY(format::RepositoryRow decoded, format::decode_repository_row(row->bytes()));
    return std::optional(std::move(decoded));
  }
  // Nullopt: no repository uses the pool.
  Result<std::optional<HashAlgorithm>> algorithm_of(const Range& range) const {
    for (const std::uint64_t number : {range.repository, range.pool}) {  // a pool has the number of its first repository
      VEXOR_TRY(const auto row, repository(number));
      if (row && row->pool == range.pool) return std::optional(row->algorithm);
    }
    const auto cursor = snapshot->cursor(Family::kRepositories);  // that one was purged: a fork has it
    for (cursor->seek("r"); cursor->valid() && cursor->key()[0] == 'r'; cursor->next()) {
      VEXOR_TRY(const format::RepositoryRow row, format::decode_repository_row(cursor->value()));
      if (row.pool == range.pool) return std::optional(row.algorithm);
    }
    VEXOR_TRY(cursor->status());
    return std::optional<HashAlgorithm>();
  }
};

Result<bool> JournalCheck::step(Budget& budget) {
  View view;
  VEXOR_TRY(view.snapshot, backend_.snapshot());
  VEXOR_TRY(view.applied, store::applied_sequence(*view.snapshot));
  while (!budget.is_used_up()) {
    if (reads_objects_ && at_ == ranges_.size()) {
      ranges_.clear();
      algorithms_.clear();
      forgotten_.clear();
      objects_ = 0;
      at_ = 0;
      reads_objects_ = false;
      window_ = next_;
    }
    if (reads_objects_) {
      VEXOR_TRY(check_objects(view, budget));
    } else if (record_) {
      VEXOR_TRY(check_refs(view, budget));
    } else if (next_ > std::min(last_, view.applied) || ranges_.size() >= kRangesMax || objects_ >= kObjectsMax || next_ - window_ >= kRecordsMax) {
      if (next_ == window_ && report_missing(view)) return true;
      if (next_ == window_) continue;
      std::sort(ranges_.begin(), ranges_.end(), [](const Range& a, const Range& b) { return std::tie(a.pool, a.first) < std::tie(b.pool, b.first); });
      reads_objects_ = true;
    } else {
      VEXOR_TRY(read_record(view, budget));
    }
  }
  return false;
}

Result<void> JournalCheck::read_record(View& view, Budget& budget) {
  if (hash_.empty() && next_ > 1) {
    const auto before = view.snapshot->get(Family::kJournal, format::journal_key(next_ - 1));
    if (before.has_value() && before.value()) {
      const auto decoded = format::decode_journal_record(before.value()->bytes());
      if (decoded.has_value()) hash_ = store::record_hash(decoded.value(), before.value()->bytes());
    }
  }
  const std::string before = next_ == 1 ? std::string(32, '\0') : std::exchange(hash_, {});
  const std::uint64_t sequence = next_++;
  auto row = view.snapshot->get(Family::kJournal, format::journal_key(sequence));
  if (row.has_error() && row.error().code() != Errc::kCorrupt) return std::move(row).error();
  if (row.has_error() || !row.value()) {
    found_(Family::kJournal, text(sequence) + (row.has_error() ? ": " + row.error().message() : " is missing"));
    budget.use(1);
    return success();
  }
  const Bytes encoded = row.value()->bytes();
  budget.use(encoded.size() + 1);
  auto record = format::decode_journal_record(encoded);
  if (record.has_error() || record.value().sequence != sequence) {
    found_(Family::kJournal, text(sequence) + ": " + (record.has_error() ? record.error().message() : "it says that it is another"));
    return success();
  }
  hash_ = store::record_hash(record.value(), encoded);
  if (!before.empty() && record.value().previous_hash != before) found_(Family::kJournal, text(sequence) + " does not follow on the one before");
  const format::JournalRecord& read = record.value();
  if (read.kind == format::OperationKind::kRepositoryPurge) missing_.erase(read.repository);
  if (looks_for_purges_) return success();
  objects_ += read.object_count;
  if (read.object_count > 0) ranges_.push_back({sequence, read.repository, read.pool, read.first_object, std::uint64_t{read.first_object} + read.object_count, read.objects_digest});
  if (!read.refs.empty()) {
    record_ = std::move(record).value();
    ref_ = 0;
  }
  return success();
}

// True: no more records are to be read. Rows of repositories that went without a purge are missing; a purge may be behind the
// last record that is compared, and then before what was applied when its repository was missed.
bool JournalCheck::report_missing(const View& view) {
  if (!missing_.empty() && !looks_for_purges_) {
    looks_for_purges_ = true;
    last_ = view.applied;
    if (next_ <= last_) return false;
  }
  for (const format::RepositoryNumber number : missing_) found_(Family::kRepositories, "repository " + std::to_string(number) + ", which no record purged, has no row");
  return true;
}

Result<void> JournalCheck::check_refs(View& view, Budget& budget) {
  auto repository = view.repository(record_->repository);
  if (repository.has_error() && repository.error().code() != Errc::kCorrupt) return std::move(repository).error();
  if (repository.has_error()) found_(Family::kRepositories, text(record_->sequence) + ": its repository cannot be read: " + repository.error().message());
  else if (!repository.value() && missing_.size() < kMissingMax) missing_.insert(record_->repository);
  // The rows of a repository that was purged went with its row, in one batch.
  if (repository.has_value() && repository.value()) {
    while (ref_ < record_->refs.size() && !budget.is_used_up()) {
      VEXOR_TRY(check_ref(view, record_->refs[ref_++]));
      budget.use(kRefCost);
    }
    if (ref_ < record_->refs.size()) return success();
  }
  record_.reset();
  return success();
}

Result<void> JournalCheck::check_ref(View& view, const format::RefChange& change) {
  const std::uint64_t sequence = record_->sequence;
  const std::string key = format::reflog_key(record_->repository, change.name, sequence);
  const auto differs = [&](Family family, const std::string& what) {
    found_(family, "ref of repository " + std::to_string(record_->repository) + ", " + text(sequence) + ": " + what);
    return success();
  };
  const auto log = view.snapshot->cursor(Family::kReflog);
  log->seek(key);
  if (log->status().has_error() && log->status().error().code() == Errc::kCorrupt) return differs(Family::kReflog, "the reflog cannot be read");
  VEXOR_TRY(log->status());
  const std::string expected = format::encode_reflog_row({record_->time_ms, record_->actor_name, change.old_row, change.new_row});
  if (!log->valid() || log->key() != Bytes(key) || log->value() != Bytes(expected)) return differs(Family::kReflog, "its reflog row is missing or another");
  log->next();
  const std::size_t name_end = key.size() - 8;  // behind the 00 that ends the name
  const bool was_changed_again = log->valid() && log->key().size() == key.size() && log->key().substr(0, name_end) == Bytes(key).substr(0, name_end);
  if (was_changed_again) return success();
  VEXOR_TRY(log->status());
  auto row = view.snapshot->get(Family::kRefs, format::ref_key(record_->repository, change.name));
  if (row.has_error() && row.error().code() != Errc::kCorrupt) return std::move(row).error();
  if (row.has_error()) return differs(Family::kRefs, "it cannot be read");
  if (change.new_row.empty()) return row.value() ? differs(Family::kRefs, "it was deleted, and is there") : success();
  if (!row.value()) return differs(Family::kRefs, "it is missing");
  if (change.new_row.size() < 3) return differs(Family::kJournal, "what it was set to is malformed");
  if (row.value()->bytes() != Bytes(store::ref_row_at(change.new_row, sequence))) return differs(Family::kRefs, "it is another");
  return success();
}

// Kept for a window: a purge in it shows when something differs.
Result<std::optional<HashAlgorithm>> JournalCheck::algorithm_of(View& view, const Range& range) {
  const auto kept = algorithms_.find(range.pool);
  if (kept != algorithms_.end()) return std::optional(kept->second);
  VEXOR_TRY(const auto found, view.algorithm_of(range));
  if (found) algorithms_.emplace(range.pool, *found);
  return found;
}

// Kept for a window, as of its begin: what is forgotten later may differ, and is looked up again then.
Result<const Roaring*> JournalCheck::forgotten_of(View& view, PoolId pool, bool again) {
  const auto kept = forgotten_.find(pool);
  if (kept != forgotten_.end() && !again) return &kept->second;
  VEXOR_TRY(Roaring numbers, store::forgotten_since(*view.snapshot, pool, 0));
  return &(forgotten_[pool] = std::move(numbers));
}

// Behind the forgotten numbers that begin with this one; the number itself: it is not forgotten.
Result<std::uint64_t> JournalCheck::end_of_forgotten(View& view, const Range& range) {
  std::uint64_t end = number_;
  for (const bool again : {false, true}) {
    VEXOR_TRY(const Roaring* numbers, forgotten_of(view, range.pool, again));
    while (end < range.end && numbers->contains(static_cast<ObjectNumber>(end))) ++end;
    if (end > number_) break;
  }
  return end;
}

// Leaves the scan at the extent of the range's next object. False: there is none.
Result<bool> JournalCheck::go_to(View& view, const Range& range, Budget& budget) {
  const bool is_behind = view.scan && view.pool == range.pool && view.at_extent && view.scan->first() <= number_;
  if (is_behind && number_ < view.scan->end()) return true;
  if (is_behind && view.scan->end() == number_) {
    VEXOR_TRY(view.at_extent, view.scan->next());
  } else {
    VEXOR_TRY(const auto algorithm, algorithm_of(view, range));
    if (!algorithm) return false;
    view.scan.reset();
    VEXOR_TRY(auto scan, ExtentScan::begin(*view.snapshot, range.pool, *algorithm, static_cast<ObjectNumber>(number_)));
    view.scan.emplace(std::move(scan));
    view.pool = range.pool;
    VEXOR_TRY(view.at_extent, view.scan->next());
  }
  if (!view.at_extent) return false;
  budget.use(view.scan->value().size());
  return view.scan->first() <= number_ && number_ < view.scan->end();
}

Result<void> JournalCheck::check_objects(View& view, Budget& budget) {
  const Range& range = ranges_[at_];
  if (!digest_) {
    digest_.emplace();
    number_ = range.first;
    is_partial_ = false;
  }
  budget.use(1);
  auto arrived = go_to(view, range, budget);
  if (arrived.has_error() && arrived.error().code() != Errc::kCorrupt) return std::move(arrived).error();
  if (arrived.has_error()) {
    view.scan.reset();
    return objects_differ(view, range, arrived.error().message(), false);
  }
  if (!arrived.value()) return pass_over_forgotten(view, range);
  const ExtentScan& scan = *view.scan;
  for (std::size_t i = number_ - scan.first(); number_ < std::min<std::uint64_t>(range.end, scan.end()); ++i, ++number_) {
    const format::ExtentObject& object = scan.header().objects[i];
    if (object.is_absent) return pass_over_forgotten(view, range);
    digest_->update(object.id.raw());
  }
  return finish_range(view, range);
}

Result<void> JournalCheck::finish_range(View& view, const Range& range) {
  if (number_ < range.end) return success();
  if (!is_partial_ && digest_->finish() != range.digest) return objects_differ(view, range, "its objects are others", false);
  end_range();
  return success();
}

// What is left of the range is to be there all the same; which ids it has, no digest tells any more.
Result<void> JournalCheck::pass_over_forgotten(View& view, const Range& range) {
  VEXOR_TRY(const std::uint64_t end, end_of_forgotten(view, range));
  if (end == number_) return objects_differ(view, range, "not all of its objects are there", true);
  number_ = end;
  is_partial_ = true;
  return finish_range(view, range);
}

// Not if the pool was purged; `may_be_swept`: nor if objects of it were swept, which takes ranges and parts of them.
Result<void> JournalCheck::objects_differ(View& view, const Range& range, const std::string& what, bool may_be_swept) {
  const std::string told = text(range.sequence) + ", repository " + std::to_string(range.repository) + ": " + what;
  end_range();  // `range` stays until the window is over
  auto algorithm = view.algorithm_of(range);
  if (algorithm.has_error() && algorithm.error().code() != Errc::kCorrupt) return std::move(algorithm).error();
  if (algorithm.has_value() && !algorithm.value()) return success();
  VEXOR_TRY(const auto row, view.snapshot->get(Family::kMeta, format::pool_upkeep_key(range.pool)));
  const auto upkeep = row ? format::decode_pool_upkeep_row(row->bytes()) : Result<format::PoolUpkeepRow>(format::PoolUpkeepRow());
  if (may_be_swept && upkeep.has_value() && upkeep.value().sweeps > 0) return success();
  found_(Family::kExtents, told);
  return success();
}

}  // namespace vexor::maintenance
