#include "pack/kept_sets.h"

#include "pack/select.h"
#include "store/forgotten.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr std::uint8_t kRowVersion = 1;
constexpr std::uint64_t kUsefulShare = 4;  // of the tips: with more than one in so many moved, a kept set saves little

}  // namespace

std::string encode_kept_set(const KeptSet& kept) {
  std::string out;
  put_u8(out, kRowVersion);
  put_varint(out, kept.sweeps);
  put_set(out, kept.tips);
  put_set(out, kept.set);
  return out;
}

Result<KeptSet> decode_kept_set(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kRowVersion) return Error(Errc::kCorrupt, "kept set: unknown version");
  KeptSet kept;
  VEXOR_TRY(kept.sweeps, reader.varint());
  VEXOR_TRY(kept.tips, read_set(reader));
  VEXOR_TRY(kept.set, read_set(reader));
  VEXOR_TRY(reader.end());
  if (!kept.tips.isSubset(kept.set)) return Error(Errc::kCorrupt, "kept set: a tip is not in it");
  return kept;
}

std::string kept_set_key(RepositoryId repository, KeptKind kind) {
  std::string key = "v" + format::pool_key(repository);
  put_u8(key, static_cast<std::uint8_t>(kind));
  return key;
}

Result<std::shared_ptr<const KeptSet>> read_kept_set(StoreSource& source, RepositoryId repository, KeptKind kind) {
  VEXOR_TRY(const auto row, source.reader().snapshot()->get(Family::kMeta, kept_set_key(repository, kind)));
  if (!row) return std::shared_ptr<const KeptSet>();
  VEXOR_TRY(auto kept, decode_kept_set(row->bytes()));
  VEXOR_TRY(const std::uint64_t sweeps, source.sweeps());
  if (kept.sweeps != sweeps) return std::shared_ptr<const KeptSet>();
  return std::shared_ptr<const KeptSet>(std::make_shared<KeptSet>(std::move(kept)));
}

Result<void> add_reached(StoreSource& source, ReachabilityWalker& walker, const std::vector<ObjectNumber>& tips, Roaring& out) {
  // Sets are closed, so what is in is in with all that it reaches. One tip: its set is likely cached.
  Roaring composed;
  for (const ObjectNumber tip : tips) {
    if (out.contains(tip)) continue;
    if (tips.size() > 1) {
      VEXOR_TRY(const bool is_stored, source.add_stored(tip, out, composed));
      if (is_stored) continue;
    }
    VEXOR_TRY(walker.add(tip, out));
  }
  return success();
}

Result<SetPtr> reached_from_kept(StoreSource& source, ReachabilityWalker& walker, RepositoryId repository,
                                 const std::vector<ObjectNumber>& tips) {
  if (tips.size() < kKeptTipsMin) return SetPtr();
  const Roaring wanted(tips.size(), tips.data());
  for (const KeptKind kind : kKeptKinds) {
    VEXOR_TRY(const auto kept, read_kept_set(source, repository, kind));
    if (!kept) continue;
    const Roaring more = wanted - kept->tips;
    const Roaring gone = kept->tips - wanted;
    if ((more.cardinality() + gone.cardinality()) * kUsefulShare > tips.size()) continue;
    std::vector<ObjectNumber> more_tips(more.cardinality());
    more.toUint32Array(more_tips.data());
    auto set = std::make_shared<Roaring>();
    VEXOR_TRY(add_reached(source, walker, more_tips, *set));
    if (!gone.isSubset(*set)) continue;  // something went away with them
    *set |= kept->set;
    return SetPtr(std::move(set));
  }
  return SetPtr();
}

Result<void> compose_kept_sets(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader, sys::Batch& rows) {
  VEXOR_TRY(visible_set(core, repository, reader));
  VEXOR_TRY(const auto refs, store::read_refs(repository));
  std::array<std::vector<ObjectNumber>, kKeptKinds.size()> tips;
  for (const store::NamedRef& ref : refs) {
    if (!ref.row.symref_target.empty() || store::is_hidden(repository.row, ref.name)) continue;
    tips[0].push_back(ref.row.number);
    if (ref.name.starts_with("refs/heads/") || ref.name.starts_with("refs/tags/")) tips[1].push_back(ref.row.number);
  }
  StoreSource source(core, reader);
  for (std::size_t i = 0; i < kKeptKinds.size(); ++i) {
    if (tips[i].size() < kKeptTipsMin) continue;
    KeptSet kept;
    VEXOR_TRY(kept.sweeps, source.sweeps());
    kept.tips = Roaring(tips[i].size(), tips[i].data());
    kept.tips.runOptimize();
    VEXOR_TRY(const SetPtr set, set_of_tips(core, repository, reader, std::move(tips[i])));
    kept.set = *set;
    kept.set.runOptimize();
    rows.put(Family::kMeta, kept_set_key(repository.row.number, kKeptKinds[i]), encode_kept_set(kept));
  }
  return success();
}

Result<void> keep_clone_sets(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader) {
  store::Change change;
  change.is_recorded = false;
  VEXOR_TRY(compose_kept_sets(core, repository, reader, change.rows));
  if (change.rows.empty()) return success();
  // Not purged since; nor swept, which erases what the set may hold.
  change.preconditions.push_back({Family::kRepositories, "r" + format::pool_key(repository.row.number), format::encode_repository_row(repository.row)});
  const std::string upkeep_key = format::pool_upkeep_key(repository.row.pool);
  VEXOR_TRY(const auto upkeep, repository.snapshot->get(Family::kMeta, upkeep_key));
  change.preconditions.push_back({Family::kMeta, upkeep_key, upkeep ? std::optional(std::string(upkeep->bytes())) : std::nullopt});
  VEXOR_TRY(store::expect_nothing_forgotten_since(*repository.snapshot, repository.row.pool, change));
  VEXOR_TRY(core.committer->submit(std::move(change)));
  return success();
}

}  // namespace vexor::pack
