#include "pack/reachability_walker.h"

#include <algorithm>
#include <atomic>
#include <unordered_set>

#include "base/check.h"
#include "format/object_parse.h"

namespace vexor::pack {

namespace {

constexpr std::uint32_t kModeTree = 0040000;
constexpr std::uint32_t kModeGitlink = 0160000;
constexpr std::uint32_t kModeTypeMask = 0170000;
// What one commit may add, and all together, before it is no longer remembered: such commits are
// walked again for each tip, with what is known left out, so that hostile histories cost no memory.
constexpr std::size_t kCommitAdditionsMax = 1U << 16U;
constexpr std::size_t kFewNumbers = 64;
constexpr std::size_t kChunkCommits = 512;  // of a worker's next task

struct Link {
  ObjectNumber number = kNoObject;
  bool is_tree = false;
  ObjectNumber pair = kNoObject;  // trees: the tree of the same name on the other side
};

}  // namespace

// The entries of one tree that another tree of the same path does not have.
class ReachabilityWalker::TreeDiff {
 public:
  TreeDiff(const ReachabilityWalker& walker, Bytes mine, Bytes theirs)
      : walker_(walker), mine_(mine), theirs_(theirs), my_rest_(mine), their_rest_(theirs) {}

  Result<bool> next(Link& link) {
    for (;;) {
      skip_equal();
      format::TreeReader mine(my_rest_, walker_.algorithm_);
      format::TreeEntry entry;
      VEXOR_TRY(const bool more, mine.next(entry));
      if (!more) return false;
      my_rest_.remove_prefix(static_cast<std::size_t>(entry.id_raw.data() + entry.id_raw.size() - my_rest_.data()));
      // Entries are sorted by name; the order of trees ("name/") only costs a missed pairing.
      format::TreeEntry old;
      bool paired = false;
      while (!their_rest_.empty()) {
        format::TreeReader theirs(their_rest_, walker_.algorithm_);
        VEXOR_TRY(const bool has_old, theirs.next(old));
        if (!has_old || old.name > entry.name) break;
        their_rest_.remove_prefix(static_cast<std::size_t>(old.id_raw.data() + old.id_raw.size() - their_rest_.data()));
        if (old.name == entry.name) {
          paired = true;
          break;
        }
      }
      if (paired && old.id_raw == entry.id_raw && old.mode == entry.mode) continue;
      const std::uint32_t kind = entry.mode & kModeTypeMask;
      if (kind == kModeGitlink) continue;
      link.is_tree = kind == kModeTree;
      const HashAlgorithm algorithm = walker_.algorithm_;
      VEXOR_TRY(link.number, walker_.resolve(ObjectId::from_raw(algorithm, entry.id_raw), link.is_tree ? ObjectType::kTree : ObjectType::kBlob));
      VEXOR_TRY(const ObjectType found, walker_.source_.type(link.number));
      if (found != (link.is_tree ? ObjectType::kTree : ObjectType::kBlob)) {
        return Error(Errc::kProtocol, std::string("an entry that should be a ") + (link.is_tree ? "tree" : "blob") + " is not");
      }
      link.pair = kNoObject;
      if (link.is_tree && paired && (old.mode & kModeTypeMask) == kModeTree) {
        VEXOR_TRY(const auto number, walker_.source_.find(ObjectId::from_raw(algorithm, old.id_raw)));
        if (number && (!walker_.allowed_ || walker_.allowed_(*number))) link.pair = *number;
      }
      return true;
    }
  }

 private:
  // Entries that are the same octets on both sides, one after the other, need no parsing but for their ends.
  void skip_equal() {
    const std::size_t id_bytes = hash_bytes(walker_.algorithm_);
    while (!my_rest_.empty()) {
      const std::size_t nul = my_rest_.find('\0');
      if (nul == Bytes::npos) return;
      const std::size_t size = nul + 1 + id_bytes;
      if (my_rest_.size() < size || their_rest_.size() < size || my_rest_.substr(0, size) != their_rest_.substr(0, size)) return;
      my_rest_.remove_prefix(size);
      their_rest_.remove_prefix(size);
    }
  }

  const ReachabilityWalker& walker_;
  Bytes mine_;
  Bytes theirs_;
  Bytes my_rest_;
  Bytes their_rest_;
};

void ReachabilityWalker::Fresh::move_to(Roaring& known) {
  if (!commits.isEmpty()) known |= commits;
  commits = Roaring();
  std::sort(others.begin(), others.end());
  if (others.size() < kFewNumbers) {
    known.addMany(others.size(), others.data());
  } else {
    known |= Roaring(others.size(), others.data());
  }
  others.clear();
}

ReachabilityWalker::ReachabilityWalker(ObjectSource& source, HashAlgorithm algorithm, const Limits& limits,
                                       std::function<bool(ObjectNumber)> allowed)
    : source_(source), algorithm_(algorithm), limits_(limits), allowed_(std::move(allowed)) {}

Result<ObjectNumber> ReachabilityWalker::resolve(const ObjectId& id, ObjectType type) const {
  VEXOR_TRY(const auto number, source_.find(id));
  if (!number || (allowed_ && !allowed_(*number))) {
    return Error(Errc::kProtocol, "missing " + std::string(object_type_name(type)) + " " + id.hex());
  }
  return *number;
}

Result<void> ReachabilityWalker::add(ObjectNumber tip, Roaring& known) {
  nearest_stored_ = kNoObject;
  nearest_objects_ = 0;
  if (known.contains(tip)) return success();
  VEXOR_TRY(const ObjectType type, source_.type(tip));
  switch (type) {
    case ObjectType::kCommit: return add_commits(tip, known);
    case ObjectType::kTree: return add_tree(tip, kNoObject, known);
    case ObjectType::kTag: return add_tag(tip, known);
    case ObjectType::kBlob: known.add(tip); return success();
  }
  return Error(Errc::kCorrupt, "unknown object type");
}

Result<void> ReachabilityWalker::add_tag(ObjectNumber tag, Roaring& known) {
  for (std::size_t steps = 0; ; ++steps) {
    if (steps > limits_.tree_depth_max) return Error(Errc::kLimitExceeded, "tag chain too long");
    VEXOR_TRY(const auto content, source_.read(tag));
    VEXOR_TRY(const format::TagView view, format::parse_tag(*content, algorithm_));
    VEXOR_TRY(const ObjectNumber target, resolve(view.target, view.target_type));
    VEXOR_TRY(const ObjectType type, source_.type(target));
    if (type != view.target_type) return Error(Errc::kProtocol, "tag names " + view.target.hex() + " as another type than it is");
    known.add(tag);
    if (known.contains(target)) return success();
    if (type != ObjectType::kTag) return add(target, known);
    tag = target;
  }
}

Result<void> ReachabilityWalker::add_commits(ObjectNumber tip, Roaring& known) {
  struct Frame {
    ObjectNumber commit;
    GraphRow row;
    std::size_t next_parent = 0;
  };
  std::vector<Frame> stack;
  Fresh fresh;
  const auto is_known = [&](ObjectNumber commit) { return known.contains(commit) || fresh.commits.contains(commit); };
  const auto enter = [&](ObjectNumber commit) -> Result<void> {
    if (is_known(commit)) return success();
    if (incomplete_.contains(commit)) return Error(Errc::kProtocol, "missing history of a commit");
    VEXOR_TRY(const SetPtr stored, source_.stored_set(commit));
    if (stored) {
      known |= *stored;
      const std::uint64_t objects = stored->cardinality();
      if (objects > nearest_objects_) {
        nearest_objects_ = objects;
        nearest_stored_ = commit;
      }
      return success();
    }
    VEXOR_TRY(GraphRow row, source_.graph(commit));
    for (const ObjectNumber parent : row.parents) {
      if (parent == kNoObject || (allowed_ && !allowed_(parent))) {
        return Error(Errc::kProtocol, "missing parent of a commit");
      }
    }
    stack.push_back({commit, std::move(row), 0});
    return success();
  };
  const auto step = [&]() -> Result<void> {
    Frame& top = stack.back();
    if (top.next_parent < top.row.parents.size()) return enter(top.row.parents[top.next_parent++]);  // may move `top`
    if (!is_known(top.commit)) {
      if (top.row.tree == kNoObject || (allowed_ && !allowed_(top.row.tree))) {
        return Error(Errc::kProtocol, "missing tree of a commit");
      }
      VEXOR_TRY(add_commit_trees(top.commit, top.row, known, fresh));
      (keeps_additions_ ? fresh.commits : known).add(top.commit);
    }
    stack.pop_back();
    return success();
  };
  VEXOR_TRY(enter(tip));
  while (!stack.empty()) {
    if (auto done = step(); done.has_error()) {
      for (const Frame& frame : stack) incomplete_.add(frame.commit);  // each needs what is missing
      return done;
    }
  }
  fresh.move_to(known);
  return success();
}

Result<ObjectNumber> ReachabilityWalker::first_parent_tree(const GraphRow& row) {
  if (row.parents.empty()) return kNoObject;
  VEXOR_TRY(const GraphRow parent, source_.graph(row.parents.front()));
  return parent.tree;
}

// `known` and `fresh` hold all that the parents reach; what the commit adds goes to either.
Result<void> ReachabilityWalker::add_commit_trees(ObjectNumber commit, const GraphRow& row, Roaring& known, Fresh& fresh) {
  const auto walk = [&]() -> Result<void> {
    fresh.move_to(known);
    VEXOR_TRY(const ObjectNumber parent_tree, first_parent_tree(row));
    return add_tree(row.tree, parent_tree, known);
  };
  if (row.additions) {
    fresh.add(*row.additions);
    return success();
  }
  if (!keeps_additions_) return walk();
  auto found = additions_.find(commit);
  if (found == additions_.end()) {
    Additions made;
    VEXOR_TRY(const ObjectNumber parent_tree, first_parent_tree(row));
    VEXOR_TRY(find_additions(row.tree, parent_tree, made));
    found = additions_.emplace(commit, made).first;
  }
  const Additions& additions = found->second;
  if (additions.too_many) return walk();
  fresh.add(std::span(numbers_).subspan(additions.first, additions.count));
  return success();
}

// Each commit's additions are its own affair: a chunk of commits a task, with a walker and a source of its own.
// What is missing is left to the walk that needs it, which says so.
void ReachabilityWalker::find_all_additions(const std::vector<ObjectNumber>& commits, sys::WorkerPool& workers, const SourceMaker& make_source) {
  const auto chunks = static_cast<unsigned>((commits.size() + kChunkCommits - 1) / kChunkCommits);
  const unsigned width = std::min(workers.width(), chunks);
  if (width < 2) return;
  std::vector<std::unique_ptr<ReachabilityWalker>> walkers;
  std::vector<std::unique_ptr<ObjectSource>> sources;
  for (unsigned i = 0; i < width; ++i) {
    sources.push_back(make_source());
    walkers.push_back(std::make_unique<ReachabilityWalker>(*sources.back(), algorithm_, limits_, allowed_));
    walkers.back()->additions_max_ = kAdditionsMax / width;
  }
  std::atomic<std::size_t> next{0};
  workers.run(width, [&](unsigned i) {
    for (std::size_t at = next.fetch_add(kChunkCommits); at < commits.size(); at = next.fetch_add(kChunkCommits)) {
      walkers[i]->find_some_additions(std::span(commits).subspan(at, std::min(kChunkCommits, commits.size() - at)));
    }
  });
  for (const auto& walker : walkers) {
    const std::uint64_t before = numbers_.size();
    numbers_.insert(numbers_.end(), walker->numbers_.begin(), walker->numbers_.end());
    for (auto [commit, additions] : walker->additions_) {
      additions.first += before;
      additions_.emplace(commit, additions);
    }
    std::vector<ObjectNumber>().swap(walker->numbers_);
  }
}

void ReachabilityWalker::find_some_additions(std::span<const ObjectNumber> commits) {
  for (const ObjectNumber commit : commits) {
    const auto row = source_.graph(commit);
    if (row.has_error() || row.value().tree == kNoObject || (allowed_ && !allowed_(row.value().tree))) continue;
    const auto parent_tree = first_parent_tree(row.value());
    Additions made;
    made.first = numbers_.size();
    if (parent_tree.has_error() || find_additions(row.value().tree, parent_tree.value(), made).has_error()) {
      numbers_.resize(made.first);
      continue;
    }
    additions_.emplace(commit, made);
  }
}

std::optional<std::vector<ObjectNumber>> ReachabilityWalker::additions_of(ObjectNumber commit) const {
  const auto found = additions_.find(commit);
  if (found == additions_.end() || found->second.too_many) return std::nullopt;
  const auto first = numbers_.begin() + static_cast<std::ptrdiff_t>(found->second.first);
  std::vector<ObjectNumber> out(first, first + found->second.count);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// What `tree` reaches and `parent_tree`, whose objects are all there, has not at the same path.
Result<void> ReachabilityWalker::find_additions(ObjectNumber tree, ObjectNumber parent_tree, Additions& out) {
  out.first = numbers_.size();
  if (tree == parent_tree) return success();
  struct Item {
    ObjectNumber tree;
    ObjectNumber pair;
    std::uint32_t depth;
  };
  VEXOR_TRY(const ObjectType root, source_.type(tree));
  if (root != ObjectType::kTree) return Error(Errc::kProtocol, "an entry that should be a tree is not");
  std::vector<Item> stack{{tree, parent_tree, 1}};
  std::unordered_set<ObjectNumber> seen;  // trees
  numbers_.push_back(tree);
  while (!stack.empty()) {
    const Item item = stack.back();
    stack.pop_back();
    if (item.depth > limits_.tree_depth_max) return Error(Errc::kLimitExceeded, "tree depth over the limit");
    VEXOR_TRY(const auto content, source_.read(item.tree));
    std::shared_ptr<const std::string> other;
    if (item.pair != kNoObject) {
      VEXOR_TRY(other, source_.read(item.pair));
    }
    TreeDiff diff(*this, *content, other ? Bytes(*other) : Bytes());
    for (Link link;;) {
      VEXOR_TRY(const bool more, diff.next(link));
      if (!more) break;
      if (link.is_tree) {
        if (!seen.insert(link.number).second) continue;
        stack.push_back({link.number, link.pair, item.depth + 1});
      }
      numbers_.push_back(link.number);
      if (numbers_.size() - out.first > kCommitAdditionsMax || numbers_.size() > additions_max_) {
        numbers_.resize(out.first);
        out.too_many = true;
        return success();
      }
    }
  }
  out.count = static_cast<std::uint32_t>(numbers_.size() - out.first);
  return success();
}

Result<void> ReachabilityWalker::add_tree(ObjectNumber tree, ObjectNumber known_tree, Roaring& known) {
  struct Item {
    ObjectNumber tree;
    ObjectNumber known_tree;
    std::uint32_t depth;
  };
  if (known.contains(tree)) return success();
  VEXOR_TRY(const ObjectType root, source_.type(tree));
  if (root != ObjectType::kTree) return Error(Errc::kProtocol, "an entry that should be a tree is not");
  std::vector<Item> stack{{tree, known_tree, 1}};
  while (!stack.empty()) {
    const Item item = stack.back();
    stack.pop_back();
    if (!known.addChecked(item.tree)) continue;
    if (item.depth > limits_.tree_depth_max) return Error(Errc::kLimitExceeded, "tree depth over the limit");
    VEXOR_TRY(const auto content, source_.read(item.tree));
    std::shared_ptr<const std::string> other;
    if (item.known_tree != kNoObject && known.contains(item.known_tree)) {
      VEXOR_TRY(other, source_.read(item.known_tree));
    }
    TreeDiff diff(*this, *content, other ? Bytes(*other) : Bytes());
    for (Link link;;) {
      VEXOR_TRY(const bool more, diff.next(link));
      if (!more) break;
      if (known.contains(link.number)) continue;
      if (link.is_tree) {
        stack.push_back({link.number, link.pair, item.depth + 1});
      } else {
        known.add(link.number);
      }
    }
  }
  return success();
}

}  // namespace vexor::pack
