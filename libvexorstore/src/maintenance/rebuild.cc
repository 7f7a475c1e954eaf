// Making derived rows anew. Extents and refs are the truth; everything here follows from them.
//
// Ranges of records that are appended and not applied may still be cut off, and no ref shows their objects yet. They keep the graph
// rows and bitmaps that their pushes made; shapes and index are made anew, each within its range, and nothing that is applied
// names an object of them.
#include <algorithm>
#include <set>

#include "format/object_parse.h"
#include "maintenance/pool_extents.h"
#include "pack/kept_sets.h"
#include "pack/push.h"
#include "store/forgotten.h"
#include "store/journal.h"
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
    VEXOR_TRY(read_tail());
    for (const Family family : {Family::kIndex, Family::kShapes}) {
      batch_.erase_range(family, format::pool_key(pool_), format::pool_key(pool_ + 1));
    }
    for (const Family family : {Family::kGraph, Family::kBitmaps}) erase_outside_quarantine(family);
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

  // What is in quarantine, whether a record has it, and which tips its bitmaps stand on: these must have theirs when it is applied.
  Result<void> read_tail() {
    VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
    VEXOR_TRY(quarantined_, maintenance::QuarantinedRanges::read(*snapshot, pool_));
    for (const auto& [first, end] : quarantined_.ranges()) {
      borders_.insert(first);
      borders_.insert(end);
      const auto cursor = snapshot->cursor(Family::kBitmaps);
      const std::string end_key = format::number_key(pool_, static_cast<ObjectNumber>(end));
      for (cursor->seek(format::number_key(pool_, static_cast<ObjectNumber>(first))); cursor->valid() && cursor->key() < Bytes(end_key); cursor->next()) {
        VEXOR_TRY(need_base_of(cursor->value()));
      }
      VEXOR_TRY(cursor->status());
    }
    VEXOR_TRY(const std::uint64_t applied, store::applied_sequence(*snapshot));
    const std::string prefix = format::pool_key(pool_);
    const auto cursor = snapshot->cursor(Family::kJournal);
    for (cursor->seek(format::journal_key(applied + 1)); cursor->valid(); cursor->next()) {
      VEXOR_TRY(const format::JournalRecord record, format::decode_journal_record(cursor->value()));
      if (record.pool == pool_ && record.object_count > 0) appended_.insert(record.first_object);
      for (const format::RowChange& change : record.changes) {
        if (change.family != Family::kBitmaps || !change.value || !change.key.starts_with(prefix)) continue;
        VEXOR_TRY(need_base_of(*change.value));
      }
    }
    return cursor->status();
  }
  Result<void> need_base_of(Bytes row) {
    VEXOR_TRY(const pack::BitmapRow decoded, pack::decode_bitmap_row(row));
    if (decoded.base != kNoObject && !quarantined_.overlaps(decoded.base, 1)) needed_tips_.insert(decoded.base);
    return success();
  }
  void erase_outside_quarantine(Family family) {
    std::string from = format::pool_key(pool_);
    for (const auto& [first, end] : quarantined_.ranges()) {
      const std::string to = format::number_key(pool_, static_cast<ObjectNumber>(first));
      if (from < to) batch_.erase_range(family, from, to);
      from = format::number_key(pool_, static_cast<ObjectNumber>(end));
    }
    batch_.erase_range(family, from, format::pool_key(pool_ + 1));
  }
  // The range in quarantine that holds the number is of a record that is appended.
  bool is_of_appended(ObjectNumber number) const {
    const auto after = appended_.upper_bound(number);
    return after != appended_.begin() && quarantined_.overlaps(number, 1) && !has_border_between(*std::prev(after), number);
  }
  bool has_border_between(ObjectNumber first, ObjectNumber number) const {
    const auto border = borders_.upper_bound(first);
    return border != borders_.end() && *border <= number;
  }

  Result<void> scan_extents() {
    VEXOR_TRY(const auto snapshot, core_.backend->snapshot());
    VEXOR_TRY(const Roaring forgotten, store::forgotten_since(*snapshot, pool_, 0));  // nothing leads to these, though extents hold them
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
      const bool is_in_quarantine = quarantined_.overlaps(number, header.objects.size());  // no row holds objects of both
      const bool is_indexed = !is_in_quarantine || is_of_appended(number);
      for (const format::ExtentObject& object : header.objects) {
        const bool is_known = !object.is_absent && !forgotten.contains(number);
        if (is_known && is_indexed) batch_.put(Family::kIndex, format::index_key(pool_, object.id), format::encode_index_row(number));
        if (shapes.size() >= kShapesPerRow || number != shapes_first + shapes.size() || borders_.contains(number)) end_shapes();
        if (shapes.empty()) shapes_first = number;
        shapes.push_back(static_cast<char>(format::object_shape(object.type, object.object_bytes)));
        if (is_known && !is_in_quarantine && object.type == ObjectType::kCommit) commits_.push_back(number);
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

  // A number in quarantine may be another object's tomorrow.
  Result<ObjectNumber> find_applied(pack::ObjectReader& reader, const ObjectId& id) const {
    VEXOR_TRY(const auto number, reader.find(id));
    return number && !quarantined_.overlaps(*number, 1) ? *number : kNoObject;
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
      VEXOR_TRY(row.tree, find_applied(reader, view.tree));
      for (const ObjectId& parent : view.parents) {
        VEXOR_TRY(const ObjectNumber number, find_applied(reader, parent));
        row.parents.push_back(number);
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
    const auto add = [&](ObjectNumber tip) -> Result<void> {
      VEXOR_TRY(const ObjectType type, stored.type(tip));
      std::int64_t time = 0;
      if (type == ObjectType::kCommit) {
        VEXOR_TRY(const pack::GraphRow row, stored.graph(tip));
        time = row.commit_time;
      }
      tips.emplace(time, tip);
      return success();
    };
    for (const store::NamedRef& ref : refs) {
      if (!ref.row.symref_target.empty()) continue;
      VEXOR_TRY(add(ref.row.peeled ? ref.row.peeled_number : ref.row.number));
      if (ref.row.peeled) tags.push_back(ref.row.number);
    }
    for (const ObjectNumber tip : needed_tips_) {
      VEXOR_TRY(const ObjectType type, stored.type(tip));
      if (type == ObjectType::kTag) {
        tags.push_back(tip);
      } else {
        VEXOR_TRY(add(tip));
      }
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
  maintenance::QuarantinedRanges quarantined_;
  std::set<std::uint64_t> borders_;      // of its ranges
  std::set<ObjectNumber> appended_;      // first numbers of those that have a record
  std::set<ObjectNumber> needed_tips_;
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
