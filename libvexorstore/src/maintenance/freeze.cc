// Freeze: the extents of a pool that nobody uses go over into the cold form, about 1 MiB of contents in each.
// Spec: docs/format/extent.md (cold form), docs/operations/maintenance.md.
//
// Runs of extents whose numbers follow each other become cold ones with the same numbers, ids and bases. Gaps are
// never bridged: they may belong to a push that is on its way. Each step writes whole runs in one batch, with the place to
// go on: a crash leaves some extents in one form and some in the other, and readers take either.
#include <algorithm>

#include "compress/zlib_stream.h"
#include "compress/zstd_frame.h"
#include "maintenance/cold_pool.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kBatchBytes = 1U << 20U;
constexpr std::size_t kRowsWorthJoining = 16;
constexpr int kColdLevel = 12;  // of zstd

// An extent with its payloads inflated.
struct Loose {
  std::string key;
  std::string row;  // as it is now
  bool was_cold = false;
  ObjectNumber first = 0;
  std::vector<format::ExtentObject> objects;
  std::string contents;
  std::vector<std::string> chunk_keys;  // of the rows that a large object goes on in
  ObjectNumber end() const { return first + static_cast<ObjectNumber>(objects.size()); }
};

std::uint64_t contents_of(const std::vector<Loose>& run) {
  std::uint64_t out = 0;
  for (const Loose& extent : run) out += extent.contents.size();
  return out;
}

bool all_cold(const std::vector<Loose>& run) {
  return std::all_of(run.begin(), run.end(), [](const Loose& extent) { return extent.was_cold; });
}

// Cold extents that are small are made anew with what came behind them when that halves the way to their full size, or when they
// are many: so an object is compressed a few times, however it came.
bool is_worth_joining(const std::vector<Loose>& run) {
  if (contents_of(run) >= format::kColdContentsTarget || run.size() >= kRowsWorthJoining) return true;
  std::uint64_t largest = 0;
  for (const Loose& extent : run) largest = std::max<std::uint64_t>(largest, extent.contents.size());
  return largest <= contents_of(run) / 2;
}

class FreezeTask final : public PoolTask {
 public:
  explicit FreezeTask(PoolTaskContext& context) : context_(context), compact_(context) {}

  Result<bool> step(Budget& budget) override {
    if (extents_done_) return compact_.step(budget);
    VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
    if (!begun_) {
      VEXOR_TRY(const bool is_due, begin(*snapshot));
      if (!is_due) return true;
      if (extents_done_) return false;
    }
    VEXOR_TRY(freeze_some(*snapshot, budget));
    return false;
  }

 private:
  Result<bool> begin(const sys::StorageSnapshot& snapshot) {
    const auto shapes = snapshot.cursor(Family::kShapes);
    shapes->seek_for_prev(format::number_key(context_.pool, kNoObject));
    VEXOR_TRY(shapes->status());
    if (!shapes->valid() || !shapes->key().starts_with(format::pool_key(context_.pool))) return false;  // an empty pool
    VEXOR_TRY(const ObjectNumber last, format::number_of_key(shapes->key()));
    context_.total = last + shapes->value().size();
    const std::int64_t idle_ms = context_.core.pool_uses.idle_ms(context_.pool, context_.total, context_.core.clock.monotonic_time_ms());
    if (static_cast<std::uint64_t>(std::max<std::int64_t>(idle_ms, 0)) < context_.policy.freeze_idle_seconds * 1000) return false;
    VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(snapshot, context_.pool));
    next_ = static_cast<ObjectNumber>(upkeep.frozen_to);
    VEXOR_TRY(const bool any, has_news(snapshot));
    extents_done_ = !any;  // files may have to be rewritten all the same
    begun_ = true;
    return true;
  }

  // False: behind next_ there is at most the cold extent that was made last.
  Result<bool> has_news(const sys::StorageSnapshot& snapshot) const {
    const std::string prefix = format::pool_key(context_.pool);
    const auto cursor = snapshot.cursor(Family::kExtents);
    cursor->seek(format::extent_key(context_.pool, next_));
    bool any = cursor->valid() && cursor->key().starts_with(prefix);
    if (any && format::is_cold_extent(cursor->value())) {
      cursor->next();
      any = cursor->valid() && cursor->key().starts_with(prefix);
    }
    VEXOR_TRY(cursor->status());
    return any;
  }

  // From next_ on, runs until a batch is full or the budget is used up.
  Result<void> freeze_some(const sys::StorageSnapshot& snapshot, Budget& budget) {
    Replacement out;
    ColdChange change;
    std::vector<Loose> run;
    ObjectNumber reached = next_;  // where the run at hand begins
    VEXOR_TRY(ExtentScan scan, ExtentScan::begin(snapshot, context_.pool, context_.algorithm, next_));
    bool more = true;
    for (;;) {
      VEXOR_TRY(more, scan.next());
      if (!more) break;
      budget.use(scan.value().size());
      VEXOR_TRY(auto loose, take_up(snapshot, scan, budget));
      const bool joins = loose && (run.empty() || (run.back().end() == loose->first && contents_of(run) < format::kColdContentsTarget &&
                                                   objects_of(run) + loose->objects.size() <= format::kColdObjectsMax));
      if (!joins) {
        close_run(run, out, change);
        reached = loose ? scan.first() : scan.end();
        if (out.bytes() >= kBatchBytes || (budget.is_used_up() && reached > next_)) break;
      }
      if (loose) run.push_back(std::move(*loose));
    }
    if (!more) close_run(run, out, change);  // `reached` stays before it: what comes later may join it
    VEXOR_TRY(write(snapshot, reached, out, change));
    next_ = reached;
    context_.done = next_;
    extents_done_ = !more;
    return success();
  }

  static std::size_t objects_of(const std::vector<Loose>& run) {
    std::size_t out = 0;
    for (const Loose& extent : run) out += extent.objects.size();
    return out;
  }

  // Nullopt: it stays as it is.
  Result<std::optional<Loose>> take_up(const sys::StorageSnapshot& snapshot, ExtentScan& scan, Budget& budget) const {
    std::uint64_t contents = 0;
    for (const format::ExtentObject& object : scan.header().objects) contents += object.entry_bytes;
    const bool is_full = scan.header().is_cold && contents >= format::kColdContentsTarget / 2;
    if (is_full || contents > format::kColdContentsMax) return std::optional<Loose>();
    // Taken in before streams had a bound: it would be held as a whole.
    if (scan.is_chunked() && scan.header().payload_bytes > compress::stream_bytes_max(contents)) return std::optional<Loose>();
    Loose out;
    out.key = std::string(scan.key());
    out.row = std::string(scan.value());
    out.first = scan.first();
    out.was_cold = scan.header().is_cold;
    std::string chunked;
    if (scan.is_chunked()) {
      VEXOR_TRY(chunked, read_chunks(snapshot, scan, out.chunk_keys));
    }
    if (out.was_cold) {
      VEXOR_TRY(scan.expand());
    }
    out.objects = scan.header().objects;
    out.contents.reserve(contents);
    std::string inflated;
    for (std::size_t i = 0; i < out.objects.size(); ++i) {
      format::ExtentObject& object = out.objects[i];
      if (object.is_absent) continue;
      const Bytes payload = scan.is_chunked() ? Bytes(chunked) : scan.payload(i);
      if (out.was_cold) {
        out.contents.append(payload);
      } else {
        VEXOR_TRY(compress::inflate_exact(payload, object.entry_bytes, inflated));
        out.contents.append(inflated);
      }
      object.payload_bytes = object.entry_bytes;
    }
    budget.use(out.contents.size());
    return std::optional<Loose>(std::move(out));
  }

  Result<std::string> read_chunks(const sys::StorageSnapshot& snapshot, const ExtentScan& scan, std::vector<std::string>& keys) const {
    std::string payload(scan.value().substr(scan.header().header_bytes));
    for (std::uint32_t chunk = 1; payload.size() < scan.header().payload_bytes; ++chunk) {
      keys.push_back(format::extent_key(context_.pool, scan.first(), chunk));
      VEXOR_TRY(const auto row, snapshot.get(Family::kExtents, keys.back()));
      if (!row || row->bytes().empty()) return Error(Errc::kCorrupt, "a chunk of a large object is missing");
      payload.append(row->bytes());
    }
    return payload;
  }

  void close_run(std::vector<Loose>& run, Replacement& out, ColdChange& change) const {
    if (run.empty() || all_cold(run)) return run.clear();
    if (is_worth_joining(run)) {
      write_run(run.begin(), run.end(), out, change);
    } else {
      for (auto at = run.begin(); at != run.end();) {
        const auto hot = std::find_if(at, run.end(), [](const Loose& extent) { return !extent.was_cold; });
        at = std::find_if(hot, run.end(), [](const Loose& extent) { return extent.was_cold; });
        if (hot != at) write_run(hot, at, out, change);
      }
    }
    run.clear();
  }

  using Place = std::vector<Loose>::iterator;
  void write_run(Place begin, Place end, Replacement& out, ColdChange& change) const {
    std::vector<format::ExtentObject> objects;
    std::string contents;
    ObjectNumber first = begin->first;
    const auto flush = [&] {
      const std::string frame = compress::compress_frame(contents, kColdLevel);
      std::string row = format::encode_cold_extent_header(first, objects, frame.size()) + frame;
      ++change.cold_rows_come;
      change.cold_bytes_come += row.size();
      out.put(Family::kExtents, format::extent_key(context_.pool, first), std::move(row));
      first += static_cast<ObjectNumber>(objects.size());
      objects.clear();
      contents.clear();
    };
    for (Place at = begin; at != end; ++at) {
      if (!objects.empty() && contents.size() + at->contents.size() > format::kColdContentsMax) flush();
      objects.insert(objects.end(), at->objects.begin(), at->objects.end());
      contents += at->contents;
      out.take(Family::kExtents, at->key, at->row);
      for (const std::string& key : at->chunk_keys) out.erase(Family::kExtents, key);
      if (at->was_cold) {
        ++change.cold_rows_gone;
        change.cold_bytes_gone += at->row.size();
      } else {
        change.objects += at->objects.size();
      }
      change.replaced_bytes += at->row.size() + at->chunk_keys.size() * format::kExtentChunkBytes;
    }
    flush();
  }

  Result<void> write(const sys::StorageSnapshot& snapshot, ObjectNumber reached, Replacement& out, const ColdChange& change) {
    VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(snapshot, context_.pool));
    if (out.empty() && upkeep.frozen_to == reached) return success();
    VEXOR_TRY(change_upkeep(snapshot, context_.pool, out, [&](format::PoolUpkeepRow& row) {
      if (change.cold_rows_come > 0) change.apply(row);
      row.frozen_to = reached;
    }));
    VEXOR_TRY(out.submit(context_.core));
    context_.figures.objects_frozen += change.objects;
    const std::uint64_t kept = change.cold_bytes_come;
    if (change.replaced_bytes > kept) context_.figures.bytes_saved += change.replaced_bytes - kept;
    return success();
  }

  PoolTaskContext& context_;
  CompactPool compact_;
  bool begun_ = false;
  bool extents_done_ = false;
  ObjectNumber next_ = 0;  // the first number that was not looked at
};

}  // namespace

std::unique_ptr<PoolTask> make_freeze_task(PoolTaskContext& context) { return std::make_unique<FreezeTask>(context); }

}  // namespace vexor::maintenance
