#include "pack/select.h"

#include <algorithm>
#include <deque>

#include "crypto/digest.h"
#include "format/object_parse.h"
#include "pack/kept_sets.h"

namespace vexor::pack {

namespace {

Roaring set_of(const std::vector<ObjectNumber>& numbers) {
  Roaring out;
  for (const ObjectNumber number : numbers) out.add(number);
  return out;
}

class Selector {
 public:
  Selector(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader,
           const FetchRequest& request)
      : core_(core), repository_(repository), reader_(reader), request_(request), source_(core, reader),
        walker_(source_, repository.row.algorithm, core.options.limits, nullptr) {}

  Result<Boundaries> boundaries() {
    Boundaries out;
    const Roaring client = set_of(request_.client_shallow);
    if (!request_.deepen.any()) {
      out.cut = client;
      return out;
    }
    Roaring inside;  // commits that get their parents, or have none
    if (request_.deepen.depth == kInfiniteDepth && !request_.deepen.relative) {
      out.unshallow = request_.client_shallow;
      return out;
    }
    if (request_.deepen.depth > 0) {
      VEXOR_TRY(cut_by_depth(out.cut, inside));
    } else {
      VEXOR_TRY(cut_by_history(out.cut, inside));
    }
    for (const ObjectNumber commit : out.cut) {
      if (!client.contains(commit)) out.shallow.push_back(commit);
    }
    for (const ObjectNumber commit : request_.client_shallow) {
      if (inside.contains(commit)) out.unshallow.push_back(commit);
      else out.cut.add(commit);
    }
    return out;
  }

  Result<FetchSelection> select() {
    FetchSelection out;
    VEXOR_TRY(out.boundaries, boundaries());
    VEXOR_TRY(const SetPtr have, reached(request_.common, set_of(request_.client_shallow), Roaring()));
    VEXOR_TRY(const SetPtr want, reached(request_.wants, out.boundaries.cut, *have));
    if (!request_.client_shallow.empty() && request_.deepen.any()) {
      // Deeper history below commits that the client has already: their parents are asked for.
      std::vector<ObjectNumber> parents;
      for (const ObjectNumber commit : out.boundaries.unshallow) {
        VEXOR_TRY(const GraphRow row, source_.graph(commit));
        parents.insert(parents.end(), row.parents.begin(), row.parents.end());
      }
      Roaring all = *want;
      VEXOR_TRY(collect(parents, out.boundaries.cut, *have, all));
      out.send = all - *have;
    } else {
      out.send = *want - *have;
    }
    if (!request_.filter.empty()) {
      VEXOR_TRY(const SetPtr visible, visible_set(core_, repository_, reader_));
      VEXOR_TRY(apply_filter(repository_, reader_, source_, *visible, request_.filter, request_.wants, out.send));
    }
    if (request_.include_tag) {
      VEXOR_TRY(add_tags(*have, out.send));
    }
    if (request_.filter.empty() && request_.thin_pack) {
      out.have = have;
    }
    return out;
  }

  // What `tips` reach when the parents of `cut` commits do not count; kept in the store's cache if there is no cut, for
  // the next client has the same refs. What `known` commits reach may be left out if there is one.
  Result<SetPtr> reached(const std::vector<ObjectNumber>& tips, const Roaring& cut, const Roaring& known) {
    if (!tips.empty() && cut.isEmpty()) {
      if (tips.size() > 1) return all_of(tips);
      VEXOR_TRY(SetPtr stored, source_.stored_set(tips.front()));
      return stored ? Result<SetPtr>(std::move(stored)) : all_of(tips);
    }
    auto set = std::make_shared<Roaring>();
    VEXOR_TRY(collect(tips, cut, known, *set));
    return SetPtr(std::move(set));
  }

  // What tips reach together. The cache's key names them all, and the sweeps so far, as a tip's own does.
  Result<SetPtr> all_of(std::vector<ObjectNumber> tips) {
    std::sort(tips.begin(), tips.end());
    tips.erase(std::unique(tips.begin(), tips.end()), tips.end());
    std::string numbers;
    for (const ObjectNumber tip : tips) put_u32be(numbers, tip);
    VEXOR_TRY(std::string key, source_.cache_key(kNoObject));
    key += blake2b_256(numbers);
    if (SetPtr kept = core_.sets.find(key)) return kept;
    const store::SingleFlight::Turn turn(core_.set_flights, key);
    if (SetPtr kept = core_.sets.find(key)) return kept;
    VEXOR_TRY(SetPtr from_kept, reached_from_kept(source_, walker_, repository_.row.number, tips));
    if (from_kept) {
      core_.sets.insert(key, from_kept);
      return from_kept;
    }
    auto set = std::make_shared<Roaring>();
    VEXOR_TRY(collect(tips, Roaring(), Roaring(), *set));
    set->runOptimize();
    core_.sets.insert(key, set);
    return SetPtr(std::move(set));
  }

 private:
  // The commit a tip stands for; kNoObject for trees and blobs. Tags on the way go to `tags`.
  Result<ObjectNumber> commit_of(ObjectNumber tip, Roaring& tags) {
    for (std::uint32_t steps = 0; steps <= core_.options.limits.tree_depth_max; ++steps) {
      VEXOR_TRY(const ObjectType type, source_.type(tip));
      if (type == ObjectType::kCommit) return tip;
      if (type != ObjectType::kTag) return kNoObject;
      tags.add(tip);
      VEXOR_TRY(const auto content, source_.read(tip));
      VEXOR_TRY(const format::TagView view, format::parse_tag(*content, repository_.row.algorithm));
      VEXOR_TRY(const auto target, source_.find(view.target));
      if (!target) return Error(Errc::kCorrupt, "a tag's target is missing");
      tip = *target;
    }
    return Error(Errc::kLimitExceeded, "tag chain too long");
  }

  // Everything that `tips` reach when the parents of `cut` commits do not count. What `known`
  // commits reach may be left out.
  Result<void> collect(const std::vector<ObjectNumber>& tips, const Roaring& cut, const Roaring& known, Roaring& out) {
    if (cut.isEmpty()) return add_reached(source_, walker_, tips, out);
    Roaring commits;
    std::vector<ObjectNumber> stack;
    for (const ObjectNumber tip : tips) {
      Roaring tags;
      VEXOR_TRY(const ObjectNumber commit, commit_of(tip, tags));
      if (commit != kNoObject) {
        stack.push_back(commit);
        out |= tags;
      } else {  // the walker takes a tag that is in `out` for one whose target is there as well
        VEXOR_TRY(walker_.add(tip, out));
      }
    }
    while (!stack.empty()) {
      const ObjectNumber commit = stack.back();
      stack.pop_back();
      if (known.contains(commit) || !commits.addChecked(commit)) continue;
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      VEXOR_TRY(walker_.add(row.tree, out));
      if (!cut.contains(commit)) stack.insert(stack.end(), row.parents.begin(), row.parents.end());
    }
    out |= commits;
    return success();
  }

  Result<std::vector<ObjectNumber>> wanted_commits() {
    std::vector<ObjectNumber> out;
    Roaring tags;
    for (const ObjectNumber want : request_.wants) {
      VEXOR_TRY(const ObjectNumber commit, commit_of(want, tags));
      if (commit != kNoObject) out.push_back(commit);
    }
    return out;
  }

  Result<void> cut_by_depth(Roaring& cut, Roaring& inside) {
    std::uint64_t depth = request_.deepen.depth;
    VEXOR_TRY(std::vector<ObjectNumber> from, wanted_commits());
    if (request_.deepen.relative) {
      Roaring reached;
      VEXOR_TRY(reach_commits(from, Roaring(), reached));
      from.clear();
      for (const ObjectNumber commit : request_.client_shallow) {
        if (reached.contains(commit)) from.push_back(commit);
      }
      ++depth;
    }
    Roaring seen;
    std::deque<std::pair<ObjectNumber, std::uint64_t>> queue;  // breadth first: the smallest level comes first
    for (const ObjectNumber commit : from) {
      if (seen.addChecked(commit)) queue.emplace_back(commit, 1);
    }
    while (!queue.empty()) {
      const auto [commit, level] = queue.front();
      queue.pop_front();
      if (level >= depth) {
        cut.add(commit);
        continue;
      }
      inside.add(commit);
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      for (const ObjectNumber parent : row.parents) {
        if (seen.addChecked(parent)) queue.emplace_back(parent, level + 1);
      }
    }
    return success();
  }

  Result<void> cut_by_history(Roaring& cut, Roaring& inside) {
    Roaring excluded;
    VEXOR_TRY(reach_commits(request_.deepen.not_commits, Roaring(), excluded));
    VEXOR_TRY(std::vector<ObjectNumber> stack, wanted_commits());
    Roaring included;
    while (!stack.empty()) {
      const ObjectNumber commit = stack.back();
      stack.pop_back();
      if (excluded.contains(commit) || included.contains(commit)) continue;
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      if (request_.deepen.since && row.commit_time < *request_.deepen.since) continue;
      included.add(commit);
      stack.insert(stack.end(), row.parents.begin(), row.parents.end());
    }
    if (included.isEmpty()) return Error(Errc::kInvalidArgument, "no commits selected for shallow requests");
    for (const ObjectNumber commit : included) {
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      bool whole = true;
      for (const ObjectNumber parent : row.parents) whole = whole && included.contains(parent);
      (whole ? inside : cut).add(commit);
    }
    return success();
  }

  Result<void> reach_commits(std::vector<ObjectNumber> stack, const Roaring& cut, Roaring& out) {
    while (!stack.empty()) {
      const ObjectNumber commit = stack.back();
      stack.pop_back();
      if (!out.addChecked(commit) || cut.contains(commit)) continue;
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      stack.insert(stack.end(), row.parents.begin(), row.parents.end());
    }
    return success();
  }

  // Annotated tags of what is sent go along.
  Result<void> add_tags(const Roaring& have, Roaring& send) {
    VEXOR_TRY(const auto tags, store::read_refs(repository_, "refs/tags/"));
    for (const store::NamedRef& tag : tags) {
      if (!tag.row.peeled || store::is_hidden(repository_.row, tag.name)) continue;
      if (!send.contains(tag.row.peeled_number) || have.contains(tag.row.number)) continue;
      Roaring chain;
      VEXOR_TRY(commit_of(tag.row.number, chain));
      send |= chain;
    }
    return success();
  }

  store::StoreCore& core_;
  const store::RepositorySnapshot& repository_;
  ObjectReader& reader_;
  const FetchRequest& request_;
  StoreSource source_;
  ReachabilityWalker walker_;
};

}  // namespace

Result<Boundaries> find_boundaries(store::StoreCore& core, const store::RepositorySnapshot& repository,
                                   ObjectReader& reader, const FetchRequest& request) {
  return Selector(core, repository, reader, request).boundaries();
}

Result<SetPtr> set_of_tips(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader,
                           std::vector<ObjectNumber> tips) {
  const FetchRequest none;
  return Selector(core, repository, reader, none).all_of(std::move(tips));
}

Result<FetchSelection> select_objects(store::StoreCore& core, const store::RepositorySnapshot& repository,
                                      ObjectReader& reader, const FetchRequest& request) {
  return Selector(core, repository, reader, request).select();
}

}  // namespace vexor::pack
