// Verifying a repository against its own objects.
#include "crypto/object_hasher.h"
#include "format/object_parse.h"
#include "pack/kept_sets.h"
#include "vexorstore/maintenance.h"
#include "vexorstore/snapshot.h"

namespace vexor {

namespace {

using pack::kNoObject;
using pack::ObjectNumber;

constexpr std::size_t kProblemsShown = 100;
constexpr std::uint64_t kProgressEvery = 1024;
constexpr std::uint32_t kModeTree = 0040000;
constexpr std::uint32_t kModeGitlink = 0160000;
constexpr std::uint32_t kModeTypeMask = 0170000;

class Verifier {
 public:
  Verifier(store::StoreCore& core, const store::RepositorySnapshot& repository, Snapshot& snapshot)
      : repository_(repository), snapshot_(snapshot), algorithm_(repository.row.algorithm),
        reader_(repository.snapshot, repository.row.pool, algorithm_, core.options.limits), source_(core, reader_), core_(core) {}

  Result<VerifyReport> run(const ProgressSink& progress) {
    VEXOR_TRY(visible_, pack::visible_set(core_, repository_, reader_));
    VEXOR_TRY(check_refs());
    VEXOR_TRY(check_kept_sets());
    const std::uint64_t total = visible_->cardinality();
    for (const ObjectNumber number : *visible_) {
      VEXOR_TRY(check_object(number));
      if (progress && ++report_.objects % kProgressEvery == 0 && !progress(report_.objects, total)) {
        return Error(Errc::kCancelled, "stopped");
      }
    }
    report_.objects = total;
    Roaring extra = *visible_;
    extra -= reached_;
    if (!extra.isEmpty()) problem(std::to_string(extra.cardinality()) + " objects are in the bitmaps and nothing leads to them");
    if (progress) progress(total, total);
    return std::move(report_);
  }

 private:
  void problem(std::string text) {
    ++report_.problem_count;
    if (report_.problems.size() < kProblemsShown) report_.problems.push_back(std::move(text));
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
      if (!store::is_hidden(repository_.row, ref.name)) reached_.add(ref.row.number);
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

  Result<void> check_object(ObjectNumber number) {
    auto found = reader_.entry(number);
    if (found.has_error()) {
      problem("object number " + std::to_string(number) + ": " + found.error().message());
      return success();
    }
    const pack::StoredEntry entry = std::move(found).value();
    const ObjectId& id = entry.object.id;
    VEXOR_TRY(const auto indexed, reader_.find(id));
    if (!indexed || *indexed != number) problem(id.hex() + ": the index does not lead to it");
    report_.bytes += entry.object.object_bytes;
    std::string content;
    VEXOR_TRY(auto hasher, ObjectHasher::begin(algorithm_, entry.object.type, entry.object.object_bytes));
    const bool keep = entry.object.type != ObjectType::kBlob;
    const auto read = snapshot_.stream_object(id, [&](Bytes piece) -> Result<void> {
      if (keep) content.append(piece);
      return hasher->update(piece);
    });
    if (read.has_error()) {
      problem(id.hex() + ": " + read.error().message());
      return success();
    }
    const auto hashed = hasher->finish();
    if (hashed.has_error() || hashed.value() != id) {
      problem(id.hex() + ": its bytes hash to something else");
      return success();
    }
    switch (entry.object.type) {
      case ObjectType::kCommit: return check_commit(number, id, content);
      case ObjectType::kTree: return check_tree(id, content);
      case ObjectType::kTag: {
        const auto tag = format::parse_tag(content, algorithm_);
        if (tag.has_value()) return check_link(id, tag.value().target, tag.value().target_type, nullptr);
        problem(id.hex() + ": unreadable tag");
        return success();
      }
      case ObjectType::kBlob: return success();
    }
    return success();
  }

  Result<void> check_link(const ObjectId& from, const ObjectId& to, ObjectType type, ObjectNumber* number) {
    VEXOR_TRY(const auto found, reader_.find(to));
    if (!found || !visible_->contains(*found)) {
      problem(from.hex() + ": leads to " + to.hex() + ", which is " + (found ? "not in the bitmaps" : "missing"));
      return success();
    }
    reached_.add(*found);
    if (number != nullptr) *number = *found;
    VEXOR_TRY(const ObjectType actual, source_.type(*found));
    if (actual != type) problem(from.hex() + ": leads to " + to.hex() + " as a " + std::string(object_type_name(type)) + ", and it is none");
    return success();
  }

  Result<void> check_commit(ObjectNumber number, const ObjectId& id, Bytes content) {
    const auto commit = format::parse_commit(content, algorithm_);
    if (commit.has_error()) {
      problem(id.hex() + ": unreadable commit");
      return success();
    }
    pack::GraphRow expected;
    VEXOR_TRY(check_link(id, commit.value().tree, ObjectType::kTree, &expected.tree));
    for (const ObjectId& parent : commit.value().parents) {
      expected.parents.push_back(kNoObject);
      VEXOR_TRY(check_link(id, parent, ObjectType::kCommit, &expected.parents.back()));
    }
    const auto row = source_.graph(number);
    const bool same = row.has_value() && row.value().tree == expected.tree && row.value().parents == expected.parents &&
                      row.value().commit_time == commit.value().commit_time;
    if (!same) problem(id.hex() + ": its graph row does not say what the commit says");
    return success();
  }

  Result<void> check_tree(const ObjectId& id, Bytes content) {
    format::TreeReader entries(content, algorithm_);
    format::TreeEntry entry;
    for (;;) {
      const auto more = entries.next(entry);
      if (more.has_error()) {
        problem(id.hex() + ": unreadable tree");
        return success();
      }
      if (!more.value()) return success();
      const std::uint32_t kind = entry.mode & kModeTypeMask;
      if (kind == kModeGitlink) continue;
      const ObjectType type = kind == kModeTree ? ObjectType::kTree : ObjectType::kBlob;
      VEXOR_TRY(check_link(id, ObjectId::from_raw(algorithm_, entry.id_raw), type, nullptr));
    }
  }

  const store::RepositorySnapshot& repository_;
  Snapshot& snapshot_;
  HashAlgorithm algorithm_;
  pack::ObjectReader reader_;
  pack::StoreSource source_;
  store::StoreCore& core_;
  pack::SetPtr visible_;
  Roaring reached_;
  VerifyReport report_;
};

}  // namespace

Result<VerifyReport> verify_repository(Store& store, RepositoryId id, const ProgressSink& progress) {
  VEXOR_TRY(const auto repository, store::open_repository_snapshot(store.core(), id));
  VEXOR_TRY(const auto snapshot, open_snapshot(store, id));
  return Verifier(store.core(), repository, *snapshot).run(progress);
}

}  // namespace vexor
