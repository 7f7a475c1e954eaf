// ReachabilityWalker: finds what a tip reaches by reading commits and trees, from the nearest commits
// that have a stored set on. Doing so it proves that nothing is missing.
//
// Threads: one at a time. Memory: the visited paths of one walk; with keep_additions up to
// kAdditionsMax numbers.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "pack/reachability.h"
#include "vexorstore/sys/worker_pool.h"

namespace vexor::pack {

class ReachabilityWalker {
 public:
  // `allowed`: numbers that count as present (the repository's visible set and the push's own);
  // null = all. Anything else that a reachable object names is reported as kProtocol
  // "missing <type> <id>".
  ReachabilityWalker(ObjectSource& source, HashAlgorithm algorithm, const Limits& limits,
                     std::function<bool(ObjectNumber)> allowed);

  // Remembers what each commit adds to its first parent, so that later walks over the same commits
  // read no trees. For many tips over one history; costs more than it gives for a single walk.
  void keep_additions() { keeps_additions_ = true; }
  // The same ahead of the walks, on several workers. `make_source`: like the walker's own, for one thread more; it is
  // called in this one.
  using SourceMaker = std::function<std::unique_ptr<ObjectSource>()>;
  void find_all_additions(const std::vector<ObjectNumber>& commits, sys::WorkerPool& workers, const SourceMaker& make_source);
  // Those of a commit that was walked, ascending; nullopt: none are kept.
  std::optional<std::vector<ObjectNumber>> additions_of(ObjectNumber commit) const;

  // Adds what `tip` reaches to `known`, which must be closed: with an object it holds all that the
  // object reaches. Walks only what `known` does not hold.
  Result<void> add(ObjectNumber tip, Roaring& known);

  // The largest stored set that the last add() met; kNoObject if it met none.
  ObjectNumber nearest_stored() const { return nearest_stored_; }

 private:
  struct Additions {
    std::uint64_t first = 0;  // in numbers_
    std::uint32_t count = 0;
    bool too_many = false;
  };
  class TreeDiff;
  // What goes to a known set at the end of a walk, all at once: single numbers are dear in a large compressed set.
  struct Fresh {
    Roaring commits;
    std::vector<ObjectNumber> others;
    void add(std::span<const ObjectNumber> numbers) { others.insert(others.end(), numbers.begin(), numbers.end()); }
    void move_to(Roaring& known);
  };
  static constexpr std::size_t kAdditionsMax = 64U << 20U;  // numbers, over all commits

  Result<ObjectNumber> resolve(const ObjectId& id, ObjectType type) const;
  Result<void> add_commits(ObjectNumber tip, Roaring& known);
  Result<void> add_commit_trees(ObjectNumber commit, const GraphRow& row, Roaring& known, Fresh& fresh);
  void find_some_additions(std::span<const ObjectNumber> commits);
  Result<void> find_additions(ObjectNumber tree, ObjectNumber parent_tree, Additions& out);
  Result<void> add_tree(ObjectNumber tree, ObjectNumber known_tree, Roaring& known);
  Result<void> add_tag(ObjectNumber tag, Roaring& known);
  Result<ObjectNumber> first_parent_tree(const GraphRow& row);

  ObjectSource& source_;
  HashAlgorithm algorithm_;
  Limits limits_;
  std::function<bool(ObjectNumber)> allowed_;
  ObjectNumber nearest_stored_ = kNoObject;
  std::uint64_t nearest_objects_ = 0;
  Roaring incomplete_;  // commits whose walk failed: no second one
  bool keeps_additions_ = false;
  std::size_t additions_max_ = kAdditionsMax;
  std::vector<ObjectNumber> numbers_;
  std::unordered_map<ObjectNumber, Additions> additions_;  // of commits; ranges of numbers_
};

}  // namespace vexor::pack
