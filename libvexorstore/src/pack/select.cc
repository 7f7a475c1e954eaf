#include "pack/select.h"

#include <charconv>
#include <deque>

#include "format/object_parse.h"

namespace vexor::pack {

using sys::Family;

Result<Filter> parse_filter(std::string_view spec) {
  Filter filter;
  if (spec == "blob:none") {
    filter.kind = Filter::Kind::kBlobNone;
    return filter;
  }
  if (spec.starts_with("blob:limit=")) {
    spec.remove_prefix(11);
    const auto done = std::from_chars(spec.data(), spec.data() + spec.size(), filter.blob_limit_bytes);
    const std::string_view unit = spec.substr(static_cast<std::size_t>(done.ptr - spec.data()));
    const unsigned shift = unit.empty() ? 0 : unit == "k" ? 10 : unit == "m" ? 20 : unit == "g" ? 30 : 64;
    if (done.ec != std::errc() || shift == 64 || filter.blob_limit_bytes >> (63 - shift) != 0) {
      return Error(Errc::kInvalidArgument, "invalid filter-spec: blob:limit needs a size");
    }
    filter.blob_limit_bytes <<= shift;
    filter.kind = Filter::Kind::kBlobLimit;
    return filter;
  }
  if (spec.starts_with("object:type=")) {
    const auto type = parse_object_type(spec.substr(12));
    if (!type) return Error(Errc::kInvalidArgument, "invalid filter-spec: object:type needs a type");
    filter.kind = Filter::Kind::kObjectType;
    filter.object_type = *type;
    return filter;
  }
  return Error(Errc::kInvalidArgument, "filter-spec is not supported here; blob:none, blob:limit and object:type are");
}

namespace {

// Removes from `set` what the filter leaves out, by the shape rows of the pool.
Result<void> apply_filter(ObjectReader& reader, const Filter& filter, Roaring& set) {
  if (filter.kind == Filter::Kind::kNone) return success();
  Roaring dropped;
  const std::string prefix = format::pool_key(reader.pool());
  const auto cursor = reader.snapshot()->cursor(Family::kShapes);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
    const Bytes shapes = cursor->value();
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const std::uint8_t shape = octet(shapes, i);
      const ObjectType type = format::shape_type(shape);
      const auto number = first + static_cast<ObjectNumber>(i);
      bool drop = false;
      if (filter.kind == Filter::Kind::kObjectType) {
        drop = type != filter.object_type;
      } else if (type == ObjectType::kBlob) {
        drop = true;
        if (filter.kind == Filter::Kind::kBlobLimit && set.contains(number)) {
          const unsigned size_class = format::shape_size_class(shape);
          const unsigned limit_class = format::shape_size_class(format::object_shape(type, filter.blob_limit_bytes));
          drop = size_class > limit_class;
          if (size_class == limit_class) {
            VEXOR_TRY(const StoredEntry entry, reader.entry(number));
            drop = entry.object.object_bytes >= filter.blob_limit_bytes;
          }
        }
      }
      if (drop) dropped.add(number);
    }
  }
  VEXOR_TRY(cursor->status());
  set -= dropped;
  return success();
}

class Selector {
 public:
  Selector(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader)
      : core_(core), repository_(repository), source_(core, reader),
        walker_(source_, repository.row.algorithm, core.options.limits, nullptr) {}

  Result<void> add_reachable(ObjectNumber tip, Roaring& set) {
    VEXOR_TRY(const SetPtr stored, source_.stored_set(tip));
    if (stored) {
      set |= *stored;
      return success();
    }
    return walker_.add(tip, set);
  }

  // The commit a tip stands for; kNoObject for trees and blobs. Tags on the way go to `set`.
  Result<ObjectNumber> commit_of(ObjectNumber tip, Roaring& set) {
    for (int steps = 0; steps < 64; ++steps) {
      VEXOR_TRY(const ObjectType type, source_.type(tip));
      if (type == ObjectType::kCommit) return tip;
      if (type != ObjectType::kTag) return kNoObject;
      set.add(tip);
      VEXOR_TRY(const auto content, source_.read(tip));
      VEXOR_TRY(const format::TagView view, format::parse_tag(*content, repository_.row.algorithm));
      VEXOR_TRY(const auto target, source_.find(view.target));
      if (!target) return Error(Errc::kCorrupt, "a tag's target is missing");
      tip = *target;
    }
    return Error(Errc::kLimitExceeded, "tag chain too long");
  }

  StoreSource& source() { return source_; }
  ReachabilityWalker& walker() { return walker_; }

  // Commits and trees down to `depth` from the wants; parents of `shallow` commits are left out.
  Result<void> add_shallow(const FetchRequest& request, FetchSelection& out) {
    std::map<ObjectNumber, std::uint32_t> level;
    std::deque<ObjectNumber> queue;
    for (const ObjectNumber want : request.wants) {
      VEXOR_TRY(const ObjectNumber commit, commit_of(want, out.send));
      if (commit == kNoObject) {
        VEXOR_TRY(walker_.add(want, out.send));
      } else if (level.emplace(commit, 1).second) {
        queue.push_back(commit);
      }
    }
    Roaring client_shallow;
    for (const ObjectNumber commit : request.client_shallow) client_shallow.add(commit);
    while (!queue.empty()) {
      const ObjectNumber commit = queue.front();
      queue.pop_front();
      const std::uint32_t at = level[commit];
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      if (at >= request.depth) {
        if (!row.parents.empty() && !client_shallow.contains(commit)) out.shallow.push_back(commit);
        continue;
      }
      if (client_shallow.contains(commit)) out.unshallow.push_back(commit);
      for (const ObjectNumber parent : row.parents) {
        if (level.emplace(parent, at + 1).second) queue.push_back(parent);
      }
    }
    // What the client has: the trees of its commits between the haves and its boundaries. Taking
    // only those of the haves themselves sends more than needed, never less.
    Roaring had;
    Roaring had_commits;
    VEXOR_TRY(client_commits(request, client_shallow, had_commits));
    for (const ObjectNumber commit : request.common) {
      VEXOR_TRY(const ObjectNumber peeled, commit_of(commit, had));
      if (peeled == kNoObject) continue;
      VEXOR_TRY(const GraphRow row, source_.graph(peeled));
      VEXOR_TRY(walker_.add(row.tree, had));
    }
    for (const auto& [commit, at] : level) {
      if (had_commits.contains(commit)) continue;
      out.send.add(commit);
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      VEXOR_TRY(walker_.add(row.tree, out.send));
    }
    out.send -= had;
    return success();
  }

  Result<void> client_commits(const FetchRequest& request, const Roaring& client_shallow, Roaring& out) {
    std::vector<ObjectNumber> stack;
    Roaring ignored;
    for (const ObjectNumber have : request.common) {
      VEXOR_TRY(const ObjectNumber commit, commit_of(have, ignored));
      if (commit != kNoObject) stack.push_back(commit);
    }
    while (!stack.empty()) {
      const ObjectNumber commit = stack.back();
      stack.pop_back();
      if (!out.addChecked(commit) || client_shallow.contains(commit)) continue;
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      stack.insert(stack.end(), row.parents.begin(), row.parents.end());
    }
    return success();
  }

 private:
  store::StoreCore& core_;
  const store::RepositorySnapshot& repository_;
  StoreSource source_;
  ReachabilityWalker walker_;
};

}  // namespace

Result<FetchSelection> select_objects(store::StoreCore& core, const store::RepositorySnapshot& repository,
                                      ObjectReader& reader, const FetchRequest& request) {
  FetchSelection out;
  Selector selector(core, repository, reader);
  Roaring have;
  if (request.depth > 0 || !request.client_shallow.empty()) {
    FetchRequest bounded = request;
    if (bounded.depth == 0) bounded.depth = 0xFFFFFFFFU;
    if (request.depth == 0) {
      // A plain fetch into a shallow clone keeps its boundaries: walk as deep as the client is.
      Roaring shallow;
      for (const ObjectNumber commit : request.client_shallow) shallow.add(commit);
      Roaring had;
      VEXOR_TRY(selector.client_commits(request, shallow, had));
      Roaring commits;
      std::vector<ObjectNumber> stack;
      for (const ObjectNumber want : request.wants) {
        VEXOR_TRY(const ObjectNumber commit, selector.commit_of(want, out.send));
        if (commit == kNoObject) {
          VEXOR_TRY(selector.walker().add(want, out.send));
        } else {
          stack.push_back(commit);
        }
      }
      Roaring had_objects;
      for (const ObjectNumber number : had) {
        VEXOR_TRY(const GraphRow row, selector.source().graph(number));
        VEXOR_TRY(selector.walker().add(row.tree, had_objects));
      }
      while (!stack.empty()) {
        const ObjectNumber commit = stack.back();
        stack.pop_back();
        if (had.contains(commit) || !commits.addChecked(commit)) continue;
        VEXOR_TRY(const GraphRow row, selector.source().graph(commit));
        out.send.add(commit);
        VEXOR_TRY(selector.walker().add(row.tree, out.send));
        if (!shallow.contains(commit)) stack.insert(stack.end(), row.parents.begin(), row.parents.end());
      }
      out.send -= had_objects;
      have = std::move(had_objects);
    } else {
      VEXOR_TRY(selector.add_shallow(bounded, out));
    }
  } else {
    for (const ObjectNumber want : request.wants) {
      VEXOR_TRY(selector.add_reachable(want, out.send));
    }
    for (const ObjectNumber common : request.common) {
      VEXOR_TRY(selector.add_reachable(common, have));
    }
    out.send -= have;
  }
  if (request.include_tag) {
    VEXOR_TRY(const auto tags, store::read_refs(repository, "refs/tags/"));
    for (const store::NamedRef& tag : tags) {
      if (!tag.row.peeled || store::is_hidden(repository.row, tag.name)) continue;
      if (out.send.contains(tag.row.peeled_number) && !have.contains(tag.row.number)) {
        Roaring ignored;
        VEXOR_TRY(selector.commit_of(tag.row.number, ignored));
        out.send |= ignored;
      }
    }
  }
  VEXOR_TRY(apply_filter(reader, request.filter, out.send));
  if (request.filter.kind != Filter::Kind::kNone) {
    for (const ObjectNumber want : request.wants) out.send.add(want);  // asked for by name
  }
  if (request.thin_pack && request.filter.kind == Filter::Kind::kNone) {
    out.have = std::make_shared<const Roaring>(std::move(have));
  }
  return out;
}

}  // namespace vexor::pack
