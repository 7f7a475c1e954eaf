// Verifying a repository against its own objects.
#include <algorithm>

#include "format/object_parse.h"
#include "maintenance/hashed_reads.h"
#include "pack/kept_sets.h"
#include "vexorstore/maintenance.h"

namespace vexor {

namespace {

using pack::kNoObject;
using pack::ObjectNumber;

constexpr std::size_t kProblemsShown = 100;
constexpr std::uint64_t kProgressEvery = 1024;
constexpr std::uint64_t kCacheBytes = 256U << 20U;  // of bases and extents
constexpr std::uint32_t kModeTree = 0040000;
constexpr std::uint32_t kModeGitlink = 0160000;
constexpr std::uint32_t kModeTypeMask = 0170000;

class Verifier {
 public:
  Verifier(store::StoreCore& core, const store::RepositorySnapshot& repository)
      : repository_(repository),
        algorithm_(repository.row.algorithm),
        reader_(repository.snapshot, repository.row.pool, algorithm_, reading_limits(core.options.limits)),
        source_(core, reader_),
        core_(core),
        table_(algorithm_) {}

  Result<VerifyReport> run(const ProgressSink& progress) {
    VEXOR_TRY(visible_, pack::visible_set(core_, repository_, reader_));
    const std::uint64_t total = visible_->cardinality();
    VEXOR_TRY(load(progress, total));
    VEXOR_TRY(check_refs());
    VEXOR_TRY(check_kept_sets());
    VEXOR_TRY(check_index());
    VEXOR_TRY(check_objects(progress, total));
    report_.objects = total;
    std::uint64_t extra = unread_;
    for (const bool reached : reached_) extra += reached ? 0 : 1;
    if (extra > 0) problem(std::to_string(extra) + " objects are in the bitmaps and nothing leads to them");
    if (progress) progress(total, total);
    return std::move(report_);
  }

 private:
  using Place = maintenance::ObjectTable::Place;

  static Limits reading_limits(Limits limits) {
    limits.fetch_cache_bytes = std::max<std::uint64_t>(limits.fetch_cache_bytes, kCacheBytes);
    return limits;
  }
  void problem(std::string text) {
    ++report_.problem_count;
    if (report_.problems.size() < kProblemsShown) report_.problems.push_back(std::move(text));
  }

  Result<void> load(const ProgressSink& progress, std::uint64_t total) {
    for (const ObjectNumber number : *visible_) {
      auto found = reader_.entry(number);
      if (found.has_error()) {
        problem("object number " + std::to_string(number) + ": " + found.error().message());
        ++unread_;
        continue;
      }
      report_.bytes += found.value().object.object_bytes;
      table_.add(number, found.value().object);
      if (progress && table_.size() % kProgressEvery == 0 && !progress(0, total)) return Error(Errc::kCancelled, "stopped");
    }
    table_.close();
    reached_.assign(table_.size(), false);
    return success();
  }

  Result<void> check_refs() {
    VEXOR_TRY(const auto refs, store::read_refs(repository_));
    for (const store::NamedRef& ref : refs) {
      if (!ref.row.symref_target.empty()) continue;
      ++report_.refs;
      VEXOR_TRY(const auto number, reader_.find(ref.row.id));
      if (!number) {
        problem("ref " + ref.name + ": " + ref.row.id.hex() + " is missing");
      } else if (*number != ref.row.number) {
        problem("ref " + ref.name + ": its number is not the object's");
      }
      if (store::is_hidden(repository_.row, ref.name)) continue;
      if (const auto place = table_.find(ref.row.id.raw())) reached_[*place] = true;
    }
    return success();
  }

  // Against what the bitmaps of their tips say.
  Result<void> check_kept_sets() {
    for (const pack::KeptKind kind : pack::kKeptKinds) {
      VEXOR_TRY(const auto kept, pack::read_kept_set(source_, repository_.row.number, kind));
      if (!kept) continue;
      std::vector<ObjectNumber> tips(kept->tips.cardinality());
      kept->tips.toUint32Array(tips.data());
      pack::ReachabilityWalker walker(source_, algorithm_, core_.options.limits, nullptr);
      Roaring set;
      VEXOR_TRY(pack::add_reached(source_, walker, tips, set));
      if (!(set == kept->set)) problem("kept set " + std::to_string(static_cast<int>(kind)) + ": not what its tips reach");
    }
    return success();
  }

  // One walk over the index of the pool instead of a search for each object.
  Result<void> check_index() {
    std::vector<bool> indexed(table_.size(), false);
    const std::string prefix = format::pool_key(repository_.row.pool);
    const auto cursor = repository_.snapshot->cursor(sys::Family::kIndex);
    for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
      const Bytes id = cursor->key().substr(prefix.size());
      if (id.size() != hash_bytes(algorithm_)) continue;
      const auto place = table_.find(id);
      if (!place) continue;
      const auto number = format::decode_index_row(cursor->value());
      indexed[*place] = number.has_value() && number.value() == table_.number(*place);
    }
    if (const auto status = cursor->status(); status.has_error()) problem("the index cannot be read to its end: " + status.error().message());
    for (Place place = 0; place < table_.size(); ++place) {
      if (!indexed[place]) problem(table_.id(place).hex() + ": the index does not lead to it");
    }
    return success();
  }

  Result<void> check_objects(const ProgressSink& progress, std::uint64_t total) {
    maintenance::HashedReads reads(
        reader_, table_, [this](Place place, Bytes content) { return check_links(place, content); },
        [this](Place place, const Error& why) { problem(table_.id(place).hex() + ": " + why.message()); });
    std::uint64_t count = 0;
    for (const Place place : table_.family_order()) {
      VEXOR_TRY(reads.add(place));
      if (progress && ++count % kProgressEvery == 0 && !progress(count, total)) return Error(Errc::kCancelled, "stopped");
    }
    return reads.flush();
  }

  Result<void> check_links(Place place, Bytes content) {
    switch (table_.type(place)) {
      case ObjectType::kCommit: return check_commit(place, content);
      case ObjectType::kTree: return check_tree(place, content);
      case ObjectType::kTag: {
        const auto tag = format::parse_tag(content, algorithm_);
        if (tag.has_value()) return check_link(place, tag.value().target.raw(), tag.value().target_type, nullptr);
        problem(table_.id(place).hex() + ": unreadable tag");
        return success();
      }
      case ObjectType::kBlob: return success();
    }
    return success();
  }

  Result<void> check_link(Place from, Bytes to, ObjectType type, ObjectNumber* number) {
    const auto found = table_.find(to);
    if (!found) {
      const ObjectId id = ObjectId::from_raw(algorithm_, to);
      VEXOR_TRY(const auto elsewhere, reader_.find(id));
      problem(table_.id(from).hex() + ": leads to " + id.hex() + ", which is " + (elsewhere ? "not in the bitmaps" : "missing"));
      return success();
    }
    reached_[*found] = true;
    if (number != nullptr) *number = table_.number(*found);
    if (table_.type(*found) == type) return success();
    problem(table_.id(from).hex() + ": leads to " + table_.id(*found).hex() + " as a " + std::string(object_type_name(type)) + ", and it is none");
    return success();
  }

  Result<void> check_commit(Place place, Bytes content) {
    const auto commit = format::parse_commit(content, algorithm_);
    if (commit.has_error()) {
      problem(table_.id(place).hex() + ": unreadable commit");
      return success();
    }
    pack::GraphRow expected;
    VEXOR_TRY(check_link(place, commit.value().tree.raw(), ObjectType::kTree, &expected.tree));
    for (const ObjectId& parent : commit.value().parents) {
      expected.parents.push_back(kNoObject);
      VEXOR_TRY(check_link(place, parent.raw(), ObjectType::kCommit, &expected.parents.back()));
    }
    const auto row = source_.graph(table_.number(place));
    const bool same = row.has_value() && row.value().tree == expected.tree && row.value().parents == expected.parents &&
                      row.value().commit_time == commit.value().commit_time;
    if (!same) problem(table_.id(place).hex() + ": its graph row does not say what the commit says");
    return success();
  }

  Result<void> check_tree(Place place, Bytes content) {
    format::TreeReader entries(content, algorithm_);
    format::TreeEntry entry;
    for (;;) {
      const auto more = entries.next(entry);
      if (more.has_error()) {
        problem(table_.id(place).hex() + ": unreadable tree");
        return success();
      }
      if (!more.value()) return success();
      const std::uint32_t kind = entry.mode & kModeTypeMask;
      if (kind == kModeGitlink) continue;
      VEXOR_TRY(check_link(place, entry.id_raw, kind == kModeTree ? ObjectType::kTree : ObjectType::kBlob, nullptr));
    }
  }

  const store::RepositorySnapshot& repository_;
  HashAlgorithm algorithm_;
  pack::ObjectReader reader_;
  pack::StoreSource source_;
  store::StoreCore& core_;
  pack::SetPtr visible_;
  maintenance::ObjectTable table_;  // what is visible and has an entry
  std::vector<bool> reached_;       // by place
  std::uint64_t unread_ = 0;        // visible numbers without an entry
  VerifyReport report_;
};

}  // namespace

Result<VerifyReport> verify_repository(Store& store, RepositoryId id, const ProgressSink& progress) {
  VEXOR_TRY(const auto repository, store::open_repository_snapshot(store.core(), id));
  if (repository.row.deleted_at_ms != 0) return Error(Errc::kNotFound, "no such repository");
  return Verifier(store.core(), repository).run(progress);
}

}  // namespace vexor
