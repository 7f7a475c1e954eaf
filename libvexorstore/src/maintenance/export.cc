// Bundles and figures.
#include "format/object_parse.h"
#include "pack/reachability.h"
#include "pack/shared_pack.h"
#include "vexorstore/maintenance.h"

namespace vexor {

using sys::Family;

Result<void> export_bundle(Store& store, RepositoryId id, const std::function<Result<void>(Bytes)>& sink) {
  VEXOR_TRY(const auto repository, store::open_repository_snapshot(store.core(), id));
  const HashAlgorithm algorithm = repository.row.algorithm;
  pack::ObjectReader reader(repository.snapshot, repository.row.pool, algorithm, store.core().options.limits);
  VEXOR_TRY(const auto refs, store::read_refs(repository));
  std::string header = algorithm == HashAlgorithm::kSha1 ? "# v2 git bundle\n" : "# v3 git bundle\n@object-format=sha256\n";
  bool any = false;
  for (const store::NamedRef& ref : refs) {
    if (store::is_hidden(repository.row, ref.name)) continue;
    ObjectId value = ref.row.id;
    if (!ref.row.symref_target.empty()) {
      VEXOR_TRY(const auto target, store::read_ref(repository, ref.row.symref_target));
      if (!target) continue;
      value = target->row.id;
    }
    header += value.hex() + " " + ref.name + "\n";
    any = true;
  }
  if (!any) return Error(Errc::kInvalidArgument, "the repository has no refs to export");
  VEXOR_TRY(sink(header + "\n"));
  VEXOR_TRY(const pack::SetPtr visible, pack::visible_set(store.core(), repository, reader));
  VEXOR_TRY(const auto stream, pack::PackStream::open(store.core(), reader, *visible, nullptr, pack::PackOptions{true}, 0));
  std::string piece;
  while (!stream->done()) {
    piece.clear();
    VEXOR_TRY(stream->next(piece));
    VEXOR_TRY(sink(piece));
  }
  return success();
}

Result<StoreStats> store_stats(Store& store) {
  StoreStats out;
  VEXOR_TRY(const auto alive, store.list_repositories(false));
  VEXOR_TRY(const auto deleted, store.list_repositories(true));
  VEXOR_TRY(const auto accounts, store.list_accounts());
  out.repositories = alive.size();
  out.deleted_repositories = deleted.size();
  out.accounts = accounts.size();
  out.last_sequence = store.last_sequence();
  for (std::size_t i = 0; i < sys::kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    out.family_bytes.emplace_back(sys::family_name(family), store.core().backend->approximate_bytes(family));
  }
  return out;
}

StoreMemory memory_use(Store& store) {
  store::StoreCore& core = store.core();
  const std::size_t sets = core.sets.bytes() + core.visible_sets.bytes() + core.forgotten.bytes();
  return {core.backend->memory_use(), sets + core.ref_tables.bytes() + core.fresh_payloads.bytes()};
}

std::uint64_t approximate_bytes(Store& store, Family family) { return store.core().backend->approximate_bytes(family); }

Result<RepositoryStats> repository_stats(Store& store, RepositoryId id) {
  VEXOR_TRY(const auto repository, store::open_repository_snapshot(store.core(), id));
  pack::ObjectReader reader(repository.snapshot, repository.row.pool, repository.row.algorithm, store.core().options.limits);
  VEXOR_TRY(const pack::SetPtr visible, pack::visible_set(store.core(), repository, reader));
  VEXOR_TRY(const auto refs, store::read_refs(repository));
  RepositoryStats out;
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*repository.snapshot, repository.row.pool));
  out.cold_extents = upkeep.cold_extents;
  for (const store::NamedRef& ref : refs) out.refs += ref.row.symref_target.empty() ? 1U : 0U;
  for (const pack::ObjectNumber number : *visible) {
    VEXOR_TRY(const pack::StoredEntry entry, reader.entry(number));
    out.stored_bytes += entry.stored_bytes;
    switch (entry.object.type) {
      case ObjectType::kCommit: ++out.commits; break;
      case ObjectType::kTree: ++out.trees; break;
      case ObjectType::kBlob: ++out.blobs; break;
      case ObjectType::kTag: ++out.tags; break;
    }
  }
  return out;
}

}  // namespace vexor
