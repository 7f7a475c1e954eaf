// Merging small extents. A push leaves one of a few objects; a clone then reads many small rows.
//
// Extents whose numbers follow each other become one of about 64 KiB: the first key gets the merged row,
// the other keys go, in one batch. Numbers, ids and payloads stay, so index, graph, bitmaps and packs do
// too. A reader's snapshot shows one form or the other. Numbers that are missing between two extents
// may belong to a push that is still on its way: such a gap is never bridged.
#include <algorithm>

#include "maintenance/pool_task.h"

namespace vexor::maintenance {

using sys::Family;

Result<void> change_upkeep(const sys::StorageSnapshot& snapshot, PoolId pool, Replacement& out,
                           const std::function<void(format::PoolUpkeepRow&)>& change) {
  VEXOR_TRY(format::PoolUpkeepRow row, store::read_pool_upkeep(snapshot, pool));
  change(row);
  out.put(Family::kMeta, format::pool_upkeep_key(pool), format::encode_pool_upkeep_row(row));
  return success();
}

namespace {

constexpr std::uint64_t kBatchBytes = 1U << 20U;
constexpr std::size_t kObjectsPerExtent = 1024;
constexpr std::size_t kShapesPerRow = 65536;
constexpr std::size_t kRowsWorthMerging = 16;

struct Row {
  std::string key;
  std::string value;
  ObjectNumber first = 0;
  std::size_t objects = 0;
  std::size_t bytes = 0;  // that count against the target
};

// Rows are merged when that halves a row's way to its final size, or when they are many: so an object is
// copied a few times, however many pushes come one by one.
bool is_worth_merging(const std::vector<Row>& rows) {
  std::size_t all = 0;
  std::size_t largest = 0;
  for (const Row& row : rows) {
    all += row.bytes;
    largest = std::max(largest, row.bytes);
  }
  return rows.size() >= kRowsWorthMerging || (rows.size() > 1 && largest <= all / 2);
}

class MergeTask final : public PoolTask {
 public:
  explicit MergeTask(PoolTaskContext& context) : context_(context) {}

  Result<bool> step(Budget& budget) override {
    VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
    if (!begun_) {
      VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*snapshot, context_.pool));
      next_ = static_cast<ObjectNumber>(upkeep.merged_to);
      begun_ = true;
    }
    if (!extents_done_) {
      VEXOR_TRY(merge_extents(*snapshot, budget));
      return false;
    }
    VEXOR_TRY(merge_shapes(*snapshot, budget));
    return shapes_done_;
  }

 private:
  // From next_ on until the budget is used up; the run at its end is left for the next step.
  Result<void> merge_extents(const sys::StorageSnapshot& snapshot, Budget& budget) {
    Replacement out;
    std::vector<Row> run;
    ObjectNumber run_first = next_;  // where a step that stops here begins again
    std::uint64_t merged = 0;
    VEXOR_TRY(ExtentScan scan, ExtentScan::begin(snapshot, context_.pool, context_.algorithm, next_));
    bool more = true;
    for (;;) {
      VEXOR_TRY(more, scan.next());
      if (!more) break;
      budget.use(scan.value().size());
      const std::size_t objects = scan.header().objects.size();
      std::size_t run_bytes = 0;
      std::size_t run_objects = 0;
      for (const Row& row : run) {
        run_bytes += row.bytes;
        run_objects += row.objects;
      }
      const bool is_cold = scan.header().is_cold;  // stays as it is: freezing makes it as large as it should be
      const bool joins = !is_cold && !run.empty() && run.back().first + run.back().objects == scan.first() &&
                         run_bytes + scan.header().payload_bytes <= format::kExtentTargetBytes && run_objects + objects <= kObjectsPerExtent;
      if (!joins) {
        VEXOR_TRY(const std::uint64_t rows, merge_run(run, out));
        merged += rows;
        run.clear();
        run_first = is_cold ? scan.end() : scan.first();
        if (out.bytes() >= kBatchBytes || (budget.is_used_up() && run_first > next_)) break;
      }
      if (is_cold) continue;
      run.push_back({std::string(scan.key()), std::string(scan.value()), scan.first(), objects, static_cast<std::size_t>(scan.header().payload_bytes)});
    }
    if (!more) {
      VEXOR_TRY(const std::uint64_t rows, merge_run(run, out));
      merged += rows;
      VEXOR_TRY(change_upkeep(snapshot, context_.pool, out, [&](format::PoolUpkeepRow& row) { row.merged_to = run_first; }));
    }
    budget.use(out.bytes());
    if (!out.empty()) {
      VEXOR_TRY(out.submit(context_.core));
    }
    context_.figures.extents_merged += merged;
    next_ = run_first;
    context_.done = next_;
    extents_done_ = !more;
    return success();
  }

  Result<std::uint64_t> merge_run(const std::vector<Row>& run, Replacement& out) {
    if (!is_worth_merging(run)) return std::uint64_t{0};
    ExtentPacker packer(context_.pool, run.front().first, [&](std::string key, std::string value) {
      out.put(Family::kExtents, std::move(key), std::move(value));
    });
    for (const Row& row : run) {
      VEXOR_TRY(const auto header, format::decode_extent_header(row.first, context_.algorithm, row.value));
      out.take(Family::kExtents, row.key, row.value);
      for (const format::ExtentObject& object : header.objects) {
        if (object.is_absent) packer.add_absent();
        else packer.add(object, Bytes(row.value).substr(header.header_bytes + object.payload_offset, object.payload_bytes));
      }
    }
    packer.flush();
    return run.size() - 1;
  }

  // Shapes are a few octets an object: all of the pool in one step, but for what is full.
  Result<void> merge_shapes(const sys::StorageSnapshot& snapshot, Budget& budget) {
    Replacement out;
    std::vector<Row> run;
    const auto finish_run = [&] {
      if (is_worth_merging(run)) {
        std::string all;
        for (const Row& row : run) {
          out.take(Family::kShapes, row.key, row.value);
          all += row.value;
        }
        out.put(Family::kShapes, run.front().key, std::move(all));
      }
      run.clear();
    };
    VEXOR_TRY(const QuarantinedRanges quarantined, QuarantinedRanges::read(snapshot, context_.pool));
    const std::string prefix = format::pool_key(context_.pool);
    const auto cursor = snapshot.cursor(Family::kShapes);
    for (cursor->seek(format::number_key(context_.pool, shapes_next_)); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
      VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
      const Bytes value = cursor->value();
      budget.use(value.size());
      std::size_t bytes = value.size();
      for (const Row& row : run) bytes += row.bytes;
      if (!run.empty() && (run.back().first + run.back().objects != first || bytes > kShapesPerRow)) {
        finish_run();
        if (out.bytes() >= kBatchBytes) {
          shapes_next_ = first;
          return out.submit(context_.core);
        }
      }
      if (value.size() < kShapesPerRow && !quarantined.overlaps(first, value.size())) run.push_back({std::string(cursor->key()), std::string(value), first, value.size(), value.size()});
    }
    VEXOR_TRY(cursor->status());
    finish_run();
    if (!out.empty()) {
      VEXOR_TRY(out.submit(context_.core));
    }
    shapes_done_ = true;
    return success();
  }

  PoolTaskContext& context_;
  bool begun_ = false;
  bool extents_done_ = false;
  bool shapes_done_ = false;
  ObjectNumber next_ = 0;  // the first number that was not looked at
  ObjectNumber shapes_next_ = 0;
};

}  // namespace

std::unique_ptr<PoolTask> make_merge_task(PoolTaskContext& context) { return std::make_unique<MergeTask>(context); }

}  // namespace vexor::maintenance
