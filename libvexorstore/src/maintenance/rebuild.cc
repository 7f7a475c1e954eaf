// Making derived rows anew. Extents and refs are the truth; everything here follows from them.
#include <algorithm>
#include <set>

#include "format/object_parse.h"
#include "pack/kept_sets.h"
#include "pack/push.h"
#include "vexorstore/maintenance.h"

namespace vexor {

using sys::Family;

namespace {

using pack::kNoObject;
using pack::ObjectNumber;

constexpr std::size_t kBatchBytes = 4U << 20U;
constexpr std::size_t kShapesPerRow = 65536;

class PoolRebuild {
 public:
  PoolRebuild(store::StoreCore& core, format::PoolId pool, HashAlgorithm algorithm, RebuildReport& report, const ProgressSink& progress)
      : core_(core), pool_(pool), algorithm_(algorithm), report_(report), progress_(progress) {}

  Result<void> run(const std::vector<format::RepositoryRow>& users) {
    for (const Family family : {Family::kIndex, Family::kGraph, Family::kBitmaps, Family::kShapes}) {
      batch_.erase_range(family, format::pool_key(pool_), format::pool_key(pool_ + 1));
    }
    VEXOR_TRY(flush());
    VEXOR_TRY(scan_extents());
    VEXOR_TRY(write_graph());
    core_.sets.clear();
    for (const format::RepositoryRow& user : users) {
      batch_.erase_range(Family::kMeta, "v" + format::pool_key(user.number), "v" + format::pool_key(user.number + 1));
      VEXOR_TRY(pass_over(user, write_bitmaps(user.number)));
    }
    core_.sets.clear();
    for (const format::RepositoryRow& user : users) {
      VEXOR_TRY(const auto repository, store::open_repository_snapshot(core_, user.number));
      pack::ObjectReader reader(repository.snapshot, pool_, algorithm_, core_.options.limits);
      VEXOR_TRY(pass_over(user, pack::compose_kept_sets(core_, repository, reader, batch_)));
    }
    return flush();
  }

 private:
  Result<void> flush() {
    if (batch_.empty()) return success();
    VEXOR_TRY(core_.backend->commit(batch_, sys::Durability::kSynced));
    batch_ = sys::Batch();
    return success();
  }
  // A repository that was deleted before the retention may have refs without objects, and needs no rows.
  static Result<void> pass_over(const format::RepositoryRow& user, Result<void> done) {
    const bool is_gone = user.deleted_at_ms != 0 && done.has_error() && (done.error().code() == Errc::kCorrupt || done.error().code() == Errc::kProtocol);
    if (is_gone) return success();
    return done;
  }
  Result<void> flush_if_large() { return batch_.bytes() > kBatchBytes ? flush() : success(); }

  Result<void> scan_extents() {
    VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
    const auto cursor = snapshot->cursor(Family::kExtents);
    const std::string prefix = format::pool_key(pool_);
    ObjectNumber shapes_first = 0;
    std::string shapes;
    const auto end_shapes = [&] {
      if (!shapes.empty()) batch_.put(Family::kShapes, format::number_key(pool_, shapes_first), shapes);
      shapes.clear();
    };
    for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
      if (!format::has_extent_header(cursor->key())) continue;  // a later chunk of a large object
      VEXOR_TRY(ObjectNumber number, format::number_of_key(cursor->key()));
      VEXOR_TRY(const auto header, format::decode_extent_header(number, algorithm_, cursor->value()));
      for (const format::ExtentObject& object : header.objects) {
        if (!object.is_absent) batch_.put(Family::kIndex, format::index_key(pool_, object.id), format::encode_index_row(number));
        if (shapes.size() >= kShapesPerRow || number != shapes_first + shapes.size()) end_shapes();
        if (shapes.empty()) shapes_first = number;
        shapes.push_back(static_cast<char>(format::object_shape(object.type, object.object_bytes)));
        if (!object.is_absent && object.type == ObjectType::kCommit) commits_.push_back(number);
        ++number;
        (object.is_absent ? absent_ : report_.objects) += 1;
      }
      VEXOR_TRY(flush_if_large());
      if (progress_ && !progress_(report_.objects, 0)) return Error(Errc::kCancelled, "stopped");
    }
    VEXOR_TRY(cursor->status());
    end_shapes();
    // The new shapes know swept numbers only where they lie between others.
    VEXOR_TRY(format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*snapshot, pool_));
    if (upkeep.swept_objects != absent_) {
      upkeep.swept_objects = absent_;
      batch_.put(Family::kMeta, format::pool_upkeep_key(pool_), format::encode_pool_upkeep_row(upkeep));
    }
    return flush();
  }

  Result<void> write_graph() {
    VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
    pack::ObjectReader reader(snapshot, pool_, algorithm_, core_.options.limits);
    std::unordered_map<ObjectNumber, pack::GraphRow> rows;
    for (const ObjectNumber commit : commits_) {
      VEXOR_TRY(const auto content, reader.read(commit));
      VEXOR_TRY(const format::CommitView view, format::parse_commit(*content, algorithm_));
      pack::GraphRow row;
      row.commit_time = view.commit_time;
      row.generation = 0;  // not known yet
      VEXOR_TRY(const auto tree, reader.find(view.tree));
      row.tree = tree.value_or(kNoObject);
      for (const ObjectId& parent : view.parents) {
        VEXOR_TRY(const auto number, reader.find(parent));
        row.parents.push_back(number.value_or(kNoObject));
      }
      rows.emplace(commit, std::move(row));
    }
    for (const ObjectNumber start : commits_) {
      std::vector<ObjectNumber> stack{start};
      while (!stack.empty()) {
        pack::GraphRow& row = rows.at(stack.back());
        if (row.generation != 0) {
          stack.pop_back();
          continue;
        }
        std::uint64_t generation = 1;
        bool ready = true;
        for (const ObjectNumber parent : row.parents) {
          const auto found = rows.find(parent);
          if (found == rows.end()) continue;
          if (found->second.generation == 0) {
            stack.push_back(parent);
            ready = false;
          }
          generation = std::max(generation, found->second.generation + 1);
        }
        if (!ready) continue;
        row.generation = generation;
        stack.pop_back();
      }
    }
    for (const ObjectNumber commit : commits_) {
      batch_.put(Family::kGraph, format::number_key(pool_, commit), encode_graph_row(rows.at(commit)));
      ++report_.commits;
      VEXOR_TRY(flush_if_large());
    }
    std::stable_sort(commits_.begin(), commits_.end(),
                     [&rows](ObjectNumber a, ObjectNumber b) { return rows.at(a).generation < rows.at(b).generation; });  // parents first
    return flush();
  }

  // One row for each thing a ref names and what tags peel to, older tips first.
  Result<void> write_bitmaps(RepositoryId id) {
    VEXOR_TRY(const auto repository, store::open_repository_snapshot(core_, id));
    VEXOR_TRY(const auto refs, store::read_refs(repository));
    pack::ObjectReader reader(repository.snapshot, pool_, algorithm_, core_.options.limits);
    pack::StoreSource stored(core_, reader);
    std::set<std::pair<std::int64_t, ObjectNumber>> tips;
    std::vector<ObjectNumber> tags;
    for (const store::NamedRef& ref : refs) {
      if (!ref.row.symref_target.empty()) continue;
      const ObjectNumber peeled = ref.row.peeled ? ref.row.peeled_number : ref.row.number;
      VEXOR_TRY(const ObjectType type, stored.type(peeled));
      std::int64_t time = 0;
      if (type == ObjectType::kCommit) {
        VEXOR_TRY(const pack::GraphRow row, stored.graph(peeled));
        time = row.commit_time;
      }
      tips.emplace(time, peeled);
      if (ref.row.peeled) tags.push_back(ref.row.number);
    }
    std::vector<ObjectNumber> order;
    for (const auto& [time, number] : tips) order.push_back(number);
    order.insert(order.end(), tags.begin(), tags.end());
    pack::PushSource source(core_, repository, reader, nullptr, std::make_shared<const Roaring>());
    pack::ReachabilityWalker walker(source, algorithm_, core_.options.limits, nullptr);
    walker.keep_additions();
    VEXOR_TRY(pack::add_interval_bitmaps(source, walker, commits_));
    for (const ObjectNumber tip : order) {
      VEXOR_TRY(pack::add_tip_bitmap(source, walker, tip));
    }
    for (const ObjectNumber commit : commits_) {
      const auto additions = walker.additions_of(commit);
      if (!additions) continue;
      VEXOR_TRY(pack::GraphRow row, stored.graph(commit));
      row.additions = *additions;
      batch_.put(Family::kGraph, format::number_key(pool_, commit), encode_graph_row(row));
      VEXOR_TRY(flush_if_large());
    }
    VEXOR_TRY(const auto bitmaps, source.settled_bitmaps());
    for (const auto& [tip, row] : bitmaps) {
      batch_.put(Family::kBitmaps, format::number_key(pool_, tip), encode_bitmap_row(row));
      ++report_.bitmaps;
      VEXOR_TRY(flush_if_large());
    }
    return flush();
  }

  store::StoreCore& core_;
  format::PoolId pool_;
  HashAlgorithm algorithm_;
  RebuildReport& report_;
  const ProgressSink& progress_;
  sys::Batch batch_;
  std::vector<ObjectNumber> commits_;
  std::uint64_t absent_ = 0;
};

}  // namespace

Result<RebuildReport> rebuild_derived(Store& store, const ProgressSink& progress) {
  store::StoreCore& core = store.core();
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  std::map<format::PoolId, std::vector<format::RepositoryRow>> pools;
  const auto cursor = snapshot->cursor(Family::kRepositories);
  for (cursor->seek("r"); cursor->valid() && cursor->key()[0] == 'r'; cursor->next()) {
    VEXOR_TRY(auto row, format::decode_repository_row(cursor->value()));
    pools[row.pool].push_back(std::move(row));
  }
  VEXOR_TRY(cursor->status());
  RebuildReport report;
  for (const auto& [pool, users] : pools) {
    VEXOR_TRY(PoolRebuild(core, pool, users.front().algorithm, report, progress).run(users));
    ++report.pools;
  }
  return report;
}

}  // namespace vexor
