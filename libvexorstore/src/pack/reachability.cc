#include "pack/reachability.h"

#include "pack/kept_sets.h"
#include "pack/reachability_walker.h"
#include "store/forgotten.h"
#include "store/ref_table.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr std::uint8_t kRowVersion = 1;
constexpr std::size_t kChainMax = 64;

}  // namespace

std::string encode_bitmap_row(const BitmapRow& row) {
  std::string out;
  put_u8(out, kRowVersion);
  put_u32be(out, row.base);
  put_varint(out, row.depth);
  put_set(out, row.additions);
  return out;
}

namespace {

// What is before the set.
Result<BitmapRow> read_bitmap_head(ByteReader& reader) {
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kRowVersion) return Error(Errc::kCorrupt, "bitmap row: unknown version");
  BitmapRow row;
  VEXOR_TRY(row.base, reader.u32be());
  VEXOR_TRY(const std::uint64_t depth, reader.varint());
  if (depth > UINT32_MAX) return Error(Errc::kCorrupt, "bitmap row: depth");
  row.depth = static_cast<std::uint32_t>(depth);
  return row;
}

}  // namespace

Result<BitmapRow> decode_bitmap_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(BitmapRow row, read_bitmap_head(reader));
  VEXOR_TRY(row.additions, read_set(reader));
  VEXOR_TRY(reader.end());
  return row;
}

Result<std::uint32_t> decode_bitmap_depth(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const BitmapRow row, read_bitmap_head(reader));
  return row.depth;
}

Result<ObjectType> StoreSource::type(ObjectNumber number) {
  VEXOR_TRY(const StoredEntry entry, reader_.entry(number));
  return entry.object.type;
}

Result<GraphRow> StoreSource::graph(ObjectNumber commit) {
  VEXOR_TRY(const auto row, reader_.snapshot()->get(Family::kGraph, format::number_key(reader_.pool(), commit)));
  if (!row) return Error(Errc::kCorrupt, "a commit without its graph row");
  return decode_graph_row(row->bytes());
}

Result<std::optional<BitmapRow>> StoreSource::bitmap_row(ObjectNumber number) const {
  VEXOR_TRY(const auto row, reader_.snapshot()->get(Family::kBitmaps, format::number_key(reader_.pool(), number)));
  if (!row) return std::optional<BitmapRow>();
  VEXOR_TRY(BitmapRow decoded, decode_bitmap_row(row->bytes()));
  return std::optional<BitmapRow>(std::move(decoded));
}

Result<std::uint64_t> StoreSource::sweeps() {
  if (!sweeps_) {
    VEXOR_TRY(sweeps_, store::sweeps_of(*reader_.snapshot(), reader_.pool()));
  }
  return *sweeps_;
}

Result<std::string> StoreSource::cache_key(ObjectNumber number) {
  VEXOR_TRY(const std::uint64_t sweeps, this->sweeps());
  std::string key = format::number_key(reader_.pool(), number);
  put_u64be(key, sweeps);
  return key;
}

Result<SetPtr> StoreSource::stored_set(ObjectNumber number) {
  VEXOR_TRY(const std::string key, cache_key(number));
  if (SetPtr cached = core_.sets.find(key)) return cached;
  VEXOR_TRY(auto row, bitmap_row(number));
  if (!row) return SetPtr();
  auto set = std::make_shared<Roaring>(std::move(row->additions));
  ObjectNumber base = row->base;
  for (std::size_t steps = 0; base != kNoObject; ++steps) {
    if (steps > kChainMax) return Error(Errc::kCorrupt, "bitmap chain without end");
    VEXOR_TRY(const std::string base_key, cache_key(base));
    if (const SetPtr cached = core_.sets.find(base_key)) {
      *set |= *cached;
      break;
    }
    VEXOR_TRY(auto next, bitmap_row(base));
    if (!next) return Error(Errc::kCorrupt, "a bitmap's base is missing");
    *set |= next->additions;
    base = next->base;
  }
  SetPtr out = std::move(set);
  core_.sets.insert(key, out);
  return out;
}

Result<bool> StoreSource::add_stored(ObjectNumber number, Roaring& out, Roaring& composed) const {
  for (std::size_t steps = 0; number != kNoObject; ++steps) {
    if (composed.contains(number)) return true;
    if (steps > kChainMax) return Error(Errc::kCorrupt, "bitmap chain without end");
    VEXOR_TRY(const auto row, bitmap_row(number));
    if (!row) {
      if (steps == 0) return false;
      return Error(Errc::kCorrupt, "a bitmap's base is missing");
    }
    out |= row->additions;
    composed.add(number);
    number = row->base;
  }
  return true;
}

Result<bool> StoreSource::stored_contains(ObjectNumber number, ObjectNumber member) const {
  for (std::size_t steps = 0; number != kNoObject; ++steps) {
    if (steps > kChainMax) return Error(Errc::kCorrupt, "bitmap chain without end");
    VEXOR_TRY(const auto row, bitmap_row(number));
    if (!row) return false;
    if (row->additions.contains(member)) return true;
    number = row->base;
  }
  return false;
}

namespace {

// The visible set of an older generation brought up to date. Null: something went away in between.
Result<SetPtr> extend_visible(const store::RepositorySnapshot& repository, const StoreSource& source, const Roaring& old,
                              const std::vector<format::RefChange>& changes) {
  auto set = std::make_shared<Roaring>(old);
  Roaring composed;
  for (const format::RefChange& change : changes) {
    if (store::is_hidden(repository.row, change.name)) continue;
    if (change.new_row.empty()) return SetPtr();
    VEXOR_TRY(const format::RefRow now, format::decode_ref_row(repository.row.algorithm, change.new_row));
    if (!now.symref_target.empty()) continue;
    if (!change.old_row.empty()) {
      VEXOR_TRY(const format::RefRow before, format::decode_ref_row(repository.row.algorithm, change.old_row));
      if (!before.symref_target.empty()) return SetPtr();
      VEXOR_TRY(const bool is_forward, source.stored_contains(now.number, before.number));
      if (!is_forward) return SetPtr();
    }
    VEXOR_TRY(const bool is_stored, source.add_stored(now.number, *set, composed));
    if (!is_stored) return SetPtr();
  }
  return SetPtr(std::move(set));
}

Result<SetPtr> read_visible(store::StoreCore& core, const store::RepositorySnapshot& repository, StoreSource& source) {
  VEXOR_TRY(const auto refs, store::read_refs(repository));
  ReachabilityWalker walker(source, repository.row.algorithm, core.options.limits, nullptr);
  std::vector<ObjectNumber> tips;
  for (const store::NamedRef& ref : refs) {
    if (ref.row.symref_target.empty() && !store::is_hidden(repository.row, ref.name)) tips.push_back(ref.row.number);
  }
  VEXOR_TRY(SetPtr from_kept, reached_from_kept(source, walker, repository.row.number, tips));
  if (from_kept) return from_kept;
  auto set = std::make_shared<Roaring>();
  VEXOR_TRY(add_reached(source, walker, tips, *set));
  set->runOptimize();
  return SetPtr(std::move(set));
}

}  // namespace

Result<SetPtr> visible_set(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader) {
  StoreSource source(core, reader);
  std::string key = store::visibility_key(repository);
  if (repository.past_key.empty()) {  // else that names them
    VEXOR_TRY(const std::uint64_t sweeps, source.sweeps());
    put_u64be(key, sweeps);  // what was swept and pushed again has other numbers
  }
  std::uint64_t generation = 0;
  SetPtr old = core.visible_sets.find(key, generation);
  if (old && generation == repository.ref_generation) return old;
  std::string flight = key;
  put_u64be(flight, repository.ref_generation);
  const store::SingleFlight::Turn turn(core.set_flights, flight);
  old = core.visible_sets.find(key, generation);
  if (old && generation == repository.ref_generation) return old;
  SetPtr set;
  if (old && generation < repository.ref_generation) {
    VEXOR_TRY(const auto changes, store::ref_changes_since(repository, generation));
    if (changes) {
      VEXOR_TRY(set, extend_visible(repository, source, *old, *changes));
    }
  }
  if (!set) {
    VEXOR_TRY(set, read_visible(core, repository, source));
  }
  core.visible_sets.insert(key, repository.ref_generation, set, set->getSizeInBytes(false));
  return set;
}

}  // namespace vexor::pack
