// Scrub: hashes every object of a pool, compares objects and refs with the journal, and reads all files of the store
// against their checksums. Changes nothing but its own rows.
// Spec: docs/operations/maintenance.md, docs/format/meta.md.
#include "maintenance/hashed_reads.h"
#include "maintenance/journal_check.h"
#include "maintenance/pool_task.h"
#include "store/forgotten.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kWindowBytes = 64U << 20U;  // contents of the objects that are taken up together
constexpr std::size_t kWindowObjects = 64U << 10U;
constexpr std::uint64_t kNoteBytes = 512U << 20U;  // read until a restart may have to read it again
// Objects of neighbouring numbers, read in families of deltas.
struct Window {
  Window(store::SnapshotPtr snapshot_in, const PoolTaskContext& context)
      : snapshot(std::move(snapshot_in)),
        reader(snapshot, context.pool, context.algorithm, context.core.options.limits),
        table(context.algorithm) {}
  store::SnapshotPtr snapshot;
  pack::ObjectReader reader;
  ObjectTable table;
  std::vector<ObjectTable::Place> order;
  std::size_t at = 0;  // in `order`
  std::uint64_t next = 0;  // number to go on with behind it
  std::optional<HashedReads> reads;
};

class ScrubTask final : public PoolTask {
 public:
  explicit ScrubTask(PoolTaskContext& context) : context_(context) {}

  Result<bool> step(Budget& budget) override {
    if (!begun_) {
      VEXOR_TRY(const bool is_due, begin());
      if (!is_due) return true;
    }
    while (!budget.is_used_up()) {
      if (!objects_done_) {
        VEXOR_TRY(objects_step(budget));
      } else if (journal_) {
        VEXOR_TRY(journal_step(budget));
      } else if (files_left_) {
        VEXOR_TRY(files_step(budget));
      } else {
        VEXOR_TRY(end_round());
        return true;
      }
    }
    return false;
  }

 private:
  Result<bool> begin() {
    VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
    VEXOR_TRY(const auto stored, snapshot->get(Family::kMeta, format::scrub_key(context_.pool)));
    if (stored) {
      VEXOR_TRY(row_, format::decode_scrub_row(stored->bytes()));
    }
    const auto now = static_cast<std::uint64_t>(context_.core.clock.wall_time_ms());
    const std::uint64_t age_ms = now - std::min(now, row_.verified_ms);
    // A round that a clock ahead of time has dated would be fresh for as long as that was ahead.
    const bool is_fresh = row_.verified_ms != 0 && row_.damaged == 0 && row_.verified_ms <= now &&
                          age_ms < context_.policy.scrub_interval_seconds * 1000;
    if (row_.round_ms == 0 && is_fresh) return false;
    if (row_.round_ms == 0) {
      row_.round_ms = std::max<std::uint64_t>(now, 1);
      row_.round_sequence = context_.core.committer->last_sequence();
      row_.next = 0;
      row_.damaged = 0;
    }
    if (context_.pool == 0) {
      context_.total = row_.round_sequence;
      journal_.emplace(*context_.core.backend, row_.next, row_.round_sequence,
                       [this](Family family, const std::string& what) { found(family, what); });
      files_left_ = true;
      objects_done_ = true;
    } else {
      VEXOR_TRY(context_.total, numbers(*snapshot));
    }
    begun_ = true;
    return true;
  }

  // Numbers given out so far, roughly.
  Result<std::uint64_t> numbers(const sys::StorageSnapshot& snapshot) const {
    const auto cursor = snapshot.cursor(Family::kShapes);
    cursor->seek_for_prev(format::number_key(context_.pool, format::kNoObject));
    VEXOR_TRY(cursor->status());
    if (!cursor->valid() || !cursor->key().starts_with(format::pool_key(context_.pool)))
      return std::uint64_t{0};
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
    return first + cursor->value().size();
  }

  void found(Family family, const std::string& what) {
    ++row_.damaged;
    ++context_.figures.damage_found;
    context_.core.damage->note(sys::family_name(family),
                               context_.pool == 0 ? "scrub: " + what : "scrub of pool " + std::to_string(context_.pool) + ": " + what);
  }

  Result<void> objects_step(Budget& budget) {
    if (!window_) {
      VEXOR_TRY(open_window());
      if (!window_) {
        objects_done_ = true;
        budget.use(1);
        return note();
      }
    }
    Window& window = *window_;
    while (window.at < window.order.size() && !budget.is_used_up()) {
      const std::uint64_t before = window.reads->bytes();
      VEXOR_TRY(window.reads->add(window.order[window.at++]));
      const std::uint64_t cost = window.reads->bytes() - before + 1;
      budget.use(cost);
      unnoted_bytes_ += cost;
    }
    if (window.at < window.order.size()) return success();
    VEXOR_TRY(window.reads->flush());
    context_.figures.objects_scrubbed += window.order.size();
    row_.next = window.next;
    context_.done = std::min(row_.next, context_.total);
    window_.reset();
    return unnoted_bytes_ < kNoteBytes ? success() : note();
  }

  // Leaves window_ empty behind the last object.
  Result<void> open_window() {
    VEXOR_TRY(auto snapshot, context_.core.backend->snapshot());
    auto window = std::make_unique<Window>(std::move(snapshot), context_);
    VEXOR_TRY(const bool any, fill(*window));
    if (!any) return success();
    window->table.close();
    window->order = window->table.family_order();
    window_ = std::move(window);
    window_->reads.emplace(
        window_->reader, window_->table,
        [this](ObjectTable::Place place, Bytes) { return check_index(place); },
        [this](ObjectTable::Place place, const Error& why) {
          found(Family::kExtents, window_->table.id(place).hex() + ": " + why.message());
        });
    return success();
  }

  // False: there is nothing from row_.next on.
  Result<bool> fill(Window& window) {
    std::uint64_t from = row_.next;
    for (std::uint64_t skip = 1; from < format::kNoObject; skip *= 2) {
      auto filled = fill_from(window, static_cast<ObjectNumber>(from));
      if (filled.has_value()) return filled;
      if (filled.error().code() != Errc::kCorrupt) return filled;
      // What a damaged block holds is not known: on behind it, at growing distances.
      found(Family::kExtents, "objects from number " + std::to_string(window.next) +
                                  " on: " + filled.error().message());
      if (window.table.size() > 0) return true;
      from += skip;
      window.next = from;
    }
    return false;
  }

  Result<bool> fill_from(Window& window, ObjectNumber from) {
    window.next = from;
    std::uint64_t bytes = 0;
    VEXOR_TRY(auto scan,
              ExtentScan::begin(*window.snapshot, context_.pool, context_.algorithm, from));
    while (bytes < kWindowBytes && window.table.size() < kWindowObjects) {
      VEXOR_TRY(const bool more, scan.next());
      if (!more) return window.table.size() > 0;
      for (std::size_t i = 0; i < scan.header().objects.size(); ++i) {
        const format::ExtentObject& object = scan.header().objects[i];
        const auto number = static_cast<ObjectNumber>(scan.first() + i);
        if (object.is_absent || number < from) continue;
        window.table.add(number, object);
        bytes += object.object_bytes;
      }
      window.next = scan.end();
    }
    return true;
  }

  Result<void> check_index(ObjectTable::Place place) {
    const ObjectId id = window_->table.id(place);
    const auto number = window_->reader.find(id);
    const bool leads_there = number.has_value() && number.value() == window_->table.number(place);
    if (leads_there) return success();
    VEXOR_TRY(const auto forgotten, store::forgotten_numbers(context_.core, *window_->snapshot, context_.pool));
    if (forgotten && forgotten->contains(window_->table.number(place))) return success();
    // What is about to be forgotten may have come again, in a record that is appended already and not applied either.
    if (number.has_value() && number.value()) {
      VEXOR_TRY(const bool is_to_be_applied, is_in_quarantine(*number.value()));
      if (is_to_be_applied) return success();
    }
    found(Family::kIndex, id.hex() + ": the index does not lead to it");
    return success();
  }

  Result<bool> is_in_quarantine(ObjectNumber number) const {
    const auto cursor = window_->snapshot->cursor(Family::kQuarantine);
    cursor->seek_for_prev(format::number_key(context_.pool, number));
    VEXOR_TRY(cursor->status());
    if (!cursor->valid() || !cursor->key().starts_with(format::pool_key(context_.pool))) return false;
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
    VEXOR_TRY(const format::QuarantineRow row, format::decode_quarantine_row(cursor->value()));
    return number - first < row.object_count;
  }

  Result<void> journal_step(Budget& budget) {
    const std::uint64_t used = budget.used();
    VEXOR_TRY(const bool is_over, journal_->step(budget));
    unnoted_bytes_ += budget.used() - used;
    const std::uint64_t before = std::max<std::uint64_t>(row_.next, 1);
    if (journal_->compared() > before) {
      context_.figures.records_scrubbed += journal_->compared() - before;
      row_.next = journal_->compared();
      context_.done = row_.next - 1;
    }
    if (is_over) journal_.reset();
    return unnoted_bytes_ < kNoteBytes && !is_over ? success() : note();
  }

  Result<void> files_step(Budget& budget) {
    std::vector<sys::DamagedRows> damaged;
    std::uint64_t bytes = kWindowBytes;
    VEXOR_TRY(files_left_, context_.core.backend->check_some(file_, bytes, damaged));
    for (const sys::DamagedRows& rows : damaged) found(rows.family, rows.what);
    budget.use(bytes + 1);
    return success();
  }

  Result<void> end_round() {
    if (row_.damaged == 0) {
      row_.verified_ms = row_.round_ms;
      row_.verified_sequence = row_.round_sequence;
    }
    row_.round_ms = 0;
    row_.next = 0;
    return note();
  }

  Result<void> note() {
    unnoted_bytes_ = 0;
    store::Change change;
    change.is_recorded = false;
    change.rows.put(Family::kMeta, format::scrub_key(context_.pool), format::encode_scrub_row(row_));
    VEXOR_TRY(context_.core.committer->submit(std::move(change)));
    return success();
  }

  PoolTaskContext& context_;
  format::ScrubRow row_;
  bool begun_ = false;
  bool objects_done_ = false;
  std::unique_ptr<Window> window_;
  std::uint64_t unnoted_bytes_ = 0;
  std::optional<JournalCheck> journal_;  // of pool 0, until it is over
  bool files_left_ = false;
  std::string file_;  // that was read last
};

}  // namespace

std::unique_ptr<PoolTask> make_scrub_task(PoolTaskContext& context) {
  return std::make_unique<ScrubTask>(context);
}

}  // namespace vexor::maintenance

namespace vexor {

namespace {

Result<format::ScrubRow> read_scrub_row(const sys::StorageSnapshot& snapshot, format::PoolId pool) {
  VEXOR_TRY(const auto row, snapshot.get(sys::Family::kMeta, format::scrub_key(pool)));
  if (!row) return format::ScrubRow();
  return format::decode_scrub_row(row->bytes());
}

}  // namespace

Result<ScrubState> scrub_state(Store& store, RepositoryId repository) {
  VEXOR_TRY(const auto now, store::open_repository_snapshot(store.core(), repository));
  VEXOR_TRY(const format::ScrubRow objects, read_scrub_row(*now.snapshot, now.row.pool));
  VEXOR_TRY(const format::ScrubRow files, read_scrub_row(*now.snapshot, 0));
  ScrubState out;
  out.verified_at_ms = static_cast<std::int64_t>(std::min(objects.verified_ms, files.verified_ms));
  out.verified_sequence = std::min(objects.verified_sequence, files.verified_sequence);
  out.round_began_ms = static_cast<std::int64_t>(objects.round_ms);
  out.damaged = objects.damaged + files.damaged;
  return out;
}

Result<ScrubSummary> scrub_summary(Store& store) {
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  ScrubSummary out;
  const auto cursor = snapshot->cursor(sys::Family::kMeta);
  for (cursor->seek("d"); cursor->valid() && cursor->key().starts_with("d"); cursor->next()) {
    VEXOR_TRY(const format::ScrubRow row, format::decode_scrub_row(cursor->value()));
    if (row.damaged > 0) ++out.damaged_pools;
    if (row.verified_ms == 0) continue;
    const auto at = static_cast<std::int64_t>(row.verified_ms);
    out.oldest_verified_at_ms =
        out.verified_pools == 0 ? at : std::min(out.oldest_verified_at_ms, at);
    ++out.verified_pools;
  }
  VEXOR_TRY(cursor->status());
  return out;
}

const sys::DamageLog& damage_log(Store& store) { return *store.core().damage; }

}  // namespace vexor
