#include "pack/past.h"

#include "pack/kept_sets.h"
#include "store/forgotten.h"
#include "store/ref_table.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr const char* kPastRetention = "objects of that moment are past the retention and gone";

using RefRows = std::map<std::string, std::string, std::less<>>;  // by key
using RefRowsPtr = std::shared_ptr<const RefRows>;

class RefCursor final : public sys::Cursor {
 public:
  explicit RefCursor(RefRowsPtr rows) : rows_(std::move(rows)), at_(rows_->end()) {}
  bool valid() const override { return at_ != rows_->end(); }
  void seek(Bytes key) override { at_ = rows_->lower_bound(key); }
  void seek_for_prev(Bytes key) override {
    at_ = rows_->upper_bound(key);
    if (at_ == rows_->begin()) at_ = rows_->end();
    else --at_;
  }
  void next() override { ++at_; }
  Bytes key() const override { return at_->first; }
  Bytes value() const override { return at_->second; }
  Result<void> status() const override { return success(); }

 private:
  RefRowsPtr rows_;
  RefRows::const_iterator at_;
};

// A snapshot of today whose family of refs is that of one repository, earlier.
class PastStorage final : public sys::StorageSnapshot {
 public:
  PastStorage(store::SnapshotPtr now, RefRows rows) : now_(std::move(now)), rows_(std::make_shared<const RefRows>(std::move(rows))) {}
  Result<std::optional<sys::PinnedValue>> get(Family family, Bytes key) const override {
    if (family != Family::kRefs) return now_->get(family, key);
    const auto found = rows_->find(key);
    if (found == rows_->end()) return std::optional<sys::PinnedValue>();
    return std::optional<sys::PinnedValue>(sys::PinnedValue(found->second, rows_));
  }
  std::unique_ptr<sys::Cursor> cursor(Family family) const override {
    if (family != Family::kRefs) return now_->cursor(family);
    return std::make_unique<RefCursor>(rows_);
  }

 private:
  store::SnapshotPtr now_;
  RefRowsPtr rows_;
};

// A sweep erases the graph rows of commits that it leaves for the retention's sake only; such a history is not whole.
class PastSource final : public StoreSource {
 public:
  using StoreSource::StoreSource;
  Result<GraphRow> graph(ObjectNumber commit) override {
    VEXOR_TRY(const auto row, reader().snapshot()->get(Family::kGraph, format::number_key(reader().pool(), commit)));
    if (!row) return Error(Errc::kNotFound, kPastRetention);
    return decode_graph_row(row->bytes());
  }
};

}  // namespace

Result<void> renumber(const ObjectReader& reader, format::RefRow& row) {
  if (!row.symref_target.empty()) return success();
  VEXOR_TRY(const auto number, reader.find(row.id));
  if (!number) return Error(Errc::kNotFound, kPastRetention);
  row.number = *number;
  if (!row.peeled) return success();
  VEXOR_TRY(const auto peeled, reader.find(*row.peeled));
  if (!peeled) return Error(Errc::kNotFound, kPastRetention);
  row.peeled_number = *peeled;
  return success();
}

Result<SetPtr> reach_past(store::StoreCore& core, ObjectReader& reader, const std::vector<ObjectNumber>& tips) {
  PastSource source(core, reader);
  ReachabilityWalker walker(source, reader.algorithm(), core.options.limits, nullptr);
  auto set = std::make_shared<Roaring>();
  auto done = add_reached(source, walker, tips, *set);
  // "missing tree ..." is for those who push.
  if (done.has_error() && done.error().code() == Errc::kProtocol) return Error(Errc::kNotFound, kPastRetention);
  if (done.has_error()) return std::move(done).error();
  set->runOptimize();
  return SetPtr(std::move(set));
}

Result<store::RepositorySnapshot> at_moment(const store::RepositorySnapshot& now, const ObjectReader& reader, std::uint64_t sequence) {
  VEXOR_TRY(store::PastRefs past, store::read_past_refs(now, sequence));
  if (past.generation == 0) return Error(Errc::kNotFound, "the repository did not exist at journal sequence " + std::to_string(sequence));
  RefRows rows;
  for (auto& [name, row] : past.rows) {
    VEXOR_TRY(renumber(reader, row));
    rows.emplace(format::ref_key(now.row.number, name), format::encode_ref_row(row));
  }
  store::RepositorySnapshot out;
  out.snapshot = std::make_shared<PastStorage>(now.snapshot, std::move(rows));
  out.row = now.row;
  out.ref_generation = past.generation;
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*now.snapshot, now.row.pool));
  put_u64be(out.past_key, past.generation);
  put_u64be(out.past_key, upkeep.rewrites);  // a sweep since: numbers may be others, or objects gone,
  VEXOR_TRY(const std::uint64_t sweeps, store::sweeps_of(*now.snapshot, now.row.pool));
  put_u64be(out.past_key, sweeps);           // or graph rows
  return out;
}

Result<store::RepositorySnapshot> open_past_snapshot(store::StoreCore& core, RepositoryId id, std::uint64_t sequence) {
  VEXOR_TRY(const store::RepositorySnapshot now, store::open_repository_snapshot(core, id));
  ObjectReader reader(now.snapshot, now.row.pool, now.row.algorithm, core.options.limits, &core.extents);
  VEXOR_TRY(store::RepositorySnapshot past, at_moment(now, reader, sequence));
  const std::string key = store::visibility_key(past);
  std::uint64_t generation = 0;
  if (core.visible_sets.find(key, generation)) return past;
  VEXOR_TRY(const auto refs, store::read_refs(past));
  std::vector<ObjectNumber> tips;
  for (const store::NamedRef& ref : refs) {
    if (ref.row.symref_target.empty() && !store::is_hidden(past.row, ref.name)) tips.push_back(ref.row.number);
  }
  VEXOR_TRY(const SetPtr set, reach_past(core, reader, tips));
  core.visible_sets.insert(key, past.ref_generation, set, set->getSizeInBytes(false));
  return past;
}

}  // namespace vexor::pack
