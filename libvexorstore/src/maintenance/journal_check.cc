#include "maintenance/journal_check.h"

#include <algorithm>
#include <tuple>

#include "store/journal.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::size_t kRangesMax = 4096;          // that are put in order before their objects are read
constexpr std::uint64_t kRecordsMax = 16U << 10U;  // read before their objects
constexpr std::uint64_t kRefCost = 512;            // octets, of three rows that are looked up

std::string text(std::uint64_t sequence) { return "journal record " + std::to_string(sequence); }

}  // namespace

struct JournalCheck::View {
  store::SnapshotPtr snapshot;
  std::uint64_t applied = 0;
  std::optional<ExtentScan> scan;
  bool at_extent = false;  // the scan is at one
  PoolId pool = 0;         // of the scan
  // Of all pools that repositories use. Read when it is asked for.
  std::optional<std::map<PoolId, HashAlgorithm>> pools;

  Result<std::optional<HashAlgorithm>> algorithm_of(PoolId wanted) {
    if (!pools) {
      pools.emplace();
      const auto cursor = snapshot->cursor(Family::kRepositories);
      for (cursor->seek("r"); cursor->valid() && cursor->key()[0] == 'r'; cursor->next()) {
        VEXOR_TRY(const format::RepositoryRow row, format::decode_repository_row(cursor->value()));
        pools->emplace(row.pool, row.algorithm);
      }
      VEXOR_TRY(cursor->status());
    }
    const auto found = pools->find(wanted);
    return found == pools->end() ? std::nullopt : std::optional(found->second);
  }
};

Result<bool> JournalCheck::step(Budget& budget) {
  View view;
  VEXOR_TRY(view.snapshot, core_.backend->snapshot());
  VEXOR_TRY(view.applied, store::applied_sequence(*view.snapshot));
  if (window_ == 0) window_ = next_;
  while (!budget.is_used_up()) {
    if (reads_objects_ && at_ == ranges_.size()) {
      ranges_.clear();
      at_ = 0;
      reads_objects_ = false;
      window_ = next_;
    }
    if (reads_objects_) {
      VEXOR_TRY(check_objects(view, budget));
    } else if (record_) {
      VEXOR_TRY(check_refs(view, budget));
    } else if (next_ > std::min(last_, view.applied) || ranges_.size() >= kRangesMax || next_ - window_ >= kRecordsMax) {
      if (next_ == window_) return true;
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
  if (read.object_count > 0) ranges_.push_back({sequence, read.repository, read.pool, read.first_object, std::uint64_t{read.first_object} + read.object_count, read.objects_digest});
  if (!read.refs.empty()) {
    record_ = std::move(record).value();
    ref_ = 0;
  }
  return success();
}

Result<void> JournalCheck::check_refs(View& view, Budget& budget) {
  // The rows of a repository that was purged went with its row, in one batch.
  VEXOR_TRY(const auto repository, view.snapshot->get(Family::kRepositories, "r" + format::pool_key(record_->repository)));
  if (repository) {
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
  if (row.value()->bytes() != Bytes(store::ref_row_at(change.new_row, sequence))) return differs(Family::kRefs, "it is another");
  return success();
}

// Leaves the scan at the extent of the range's next object. False: there is none.
Result<bool> JournalCheck::go_to(View& view, const Range& range) {
  const bool is_behind = view.scan && view.pool == range.pool && view.at_extent && view.scan->first() <= number_;
  if (!is_behind) {
    VEXOR_TRY(const auto algorithm, view.algorithm_of(range.pool));
    if (!algorithm) return false;
    view.scan.reset();
    VEXOR_TRY(auto scan, ExtentScan::begin(*view.snapshot, range.pool, *algorithm, static_cast<ObjectNumber>(number_)));
    view.scan.emplace(std::move(scan));
    view.pool = range.pool;
    VEXOR_TRY(view.at_extent, view.scan->next());
  } else if (view.scan->end() == number_) {
    VEXOR_TRY(view.at_extent, view.scan->next());
  } else if (view.scan->end() < number_) {  // farther than the next one: look for it
    view.at_extent = false;
    return go_to(view, range);
  }
  return view.at_extent && view.scan->first() <= number_ && number_ < view.scan->end();
}

Result<void> JournalCheck::check_objects(View& view, Budget& budget) {
  const Range& range = ranges_[at_];
  if (!digest_) {
    digest_.emplace();
    number_ = range.first;
  }
  auto arrived = go_to(view, range);
  if (arrived.has_error() && arrived.error().code() != Errc::kCorrupt) return std::move(arrived).error();
  if (arrived.has_error()) view.scan.reset();
  if (arrived.has_error() || !arrived.value()) {
    budget.use(1);
    return objects_differ(view, range, arrived.has_error() ? arrived.error().message() : "not all of its objects are there");
  }
  const ExtentScan& scan = *view.scan;
  if (scan.first() == number_) budget.use(scan.value().size());
  for (std::size_t i = number_ - scan.first(); number_ < std::min<std::uint64_t>(range.end, scan.end()); ++i, ++number_) {
    const format::ExtentObject& object = scan.header().objects[i];
    if (object.is_absent) return objects_differ(view, range, "not all of its objects are there");
    digest_->update(object.id.raw());
  }
  budget.use(1);
  if (number_ < range.end) return success();
  if (digest_->finish() != range.digest) return objects_differ(view, range, "its objects are others");
  end_range();
  return success();
}

Result<void> JournalCheck::objects_differ(View& view, const Range& range, const std::string& what) {
  VEXOR_TRY(const auto algorithm, view.algorithm_of(range.pool));
  VEXOR_TRY(const auto row, view.snapshot->get(Family::kMeta, format::pool_upkeep_key(range.pool)));
  std::uint64_t sweeps = 0;
  if (row) {
    VEXOR_TRY(const format::PoolUpkeepRow upkeep, format::decode_pool_upkeep_row(row->bytes()));
    sweeps = upkeep.sweeps;
  }
  // The pool was purged, or objects of it were swept: both take whole ranges and parts of them.
  if (algorithm && sweeps == 0) found_(Family::kExtents, text(range.sequence) + ": " + what + ", repository " + std::to_string(range.repository));
  end_range();
  return success();
}

}  // namespace vexor::maintenance
