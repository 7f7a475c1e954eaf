// FamilyWalk: from a base to all deltas that hang on it, depth first, so that no chain is resolved twice.
//
// A family is an object that is no delta (or is resolved already) with the deltas on it, the deltas on those,
// and so on. No two walks go through the same family, so several go on side by side.
#pragma once

#include <atomic>
#include <unordered_set>

#include "crypto/object_hasher.h"
#include "format/object_check.h"
#include "pack/entry_reader.h"

namespace vexor::pack {

// Who is a delta on whom. Constant while walks go on.
class DeltaChildren {
 public:
  void add(std::uint32_t base, std::uint32_t child) { pairs_.emplace_back(base, child); }
  void add(const ObjectId& base, std::uint32_t child) { by_id_.emplace_back(base, child); }
  void sort(std::size_t entries);
  // Base and child, where the base is named by its id; by that id.
  const std::vector<std::pair<ObjectId, std::uint32_t>>& by_id() const { return by_id_; }
  // Leaves out those of by_id() whose index `keep` says no to.
  template <class Keep>
  void keep_by_id(Keep keep) {
    std::size_t index = 0;
    std::erase_if(by_id_, [&](const auto&) { return !keep(index++); });
  }
  // Ascending.
  std::span<const std::uint32_t> of(std::uint32_t base) const {
    return std::span(children_).subspan(starts_[base], starts_[base + 1] - starts_[base]);
  }
  std::vector<std::uint32_t> of_id(const ObjectId& base) const;

 private:
  std::vector<std::pair<std::uint32_t, std::uint32_t>> pairs_;  // base and child
  std::vector<std::pair<ObjectId, std::uint32_t>> by_id_;
  std::vector<std::uint32_t> children_;  // by base
  std::vector<std::uint32_t> starts_;    // of each base's in children_, and the end
};

// What the walks of one push share. A walk writes only the entries of its families.
struct ResolveState {
  std::vector<PushEntry>& entries;
  Spool& spool;
  ObjectReader& stored;
  const Limits& limits;
  HashAlgorithm algorithm;
  const format::ObjectChecker& checker;
  const DeltaChildren& children;
  std::atomic<std::uint64_t> inflated_bytes{0};
  std::atomic<std::uint32_t> deltas_resolved{0};
};

// Threads: one at a time. Memory: `memory_bytes` of contents, a batch of objects that wait for their ids, and one
// object at a time.
class FamilyWalk {
 public:
  // Contents above `large_bytes` are taken up only where that is allowed.
  FamilyWalk(ResolveState& state, std::uint64_t memory_bytes, std::uint64_t large_bytes);

  enum class Stop { kIdle, kSlice, kLarge };  // nothing left; enough for now; needs to be alone for what is next
  // Goes on with the families begun until `slice_bytes` were inflated. Errors: kProtocol, kRefused, kCollision,
  // kLimitExceeded; the walk is of no more use then.
  Result<Stop> run(std::uint64_t& slice_bytes, bool may_be_large);
  // Take up a family; only when idle. `by_id`: deltas that name their base by its id are followed as well.
  void begin(std::uint32_t root, bool by_id);
  void begin_stored(std::shared_ptr<const std::string> base, std::vector<std::uint32_t> children);
  bool holds_large() const { return large_frames_ > 0; }
  bool is_idle() const { return frames_.empty(); }
  // Computes the ids that are missing yet. To be called before anybody else looks at the entries. Errors: kCollision.
  Result<void> name_all();

  // What trees of this walk call .gitmodules.
  std::unordered_set<ObjectId, ObjectIdHash>& modules() { return modules_; }

 private:
  struct Frame {
    std::uint32_t entry;  // kNoEntry: a stored base
    std::shared_ptr<const std::string> content;  // null: dropped, to be read again
    std::vector<std::uint32_t> children;         // still to do, last first
    std::vector<std::uint32_t> ends{};           // of the entries of a tree that was checked and is plain
    std::uint64_t bytes() const { return content ? content->size() + ends.size() * sizeof(ends[0]) : 0; }
  };
  struct Unnamed {
    std::uint32_t entry;
    std::shared_ptr<const std::string> content;
  };

  bool is_large(std::uint64_t bytes) const { return bytes > large_bytes_; }
  Result<bool> hold_top(bool may_be_large, std::uint64_t& cost);
  Result<void> count(std::uint64_t inflated_bytes);
  Result<bool> resolve_next(bool may_be_large, std::uint64_t& cost);
  Result<void> finish(std::uint32_t child, std::string content);
  Result<void> check(const PushEntry& entry, Bytes content, std::vector<std::uint32_t>& ends);
  std::vector<std::uint32_t> children_of(std::uint32_t entry) const;
  void set_content(Frame& frame, std::shared_ptr<const std::string> content, std::vector<std::uint32_t> ends);
  void trim();

  ResolveState& state_;
  EntryReader reader_;
  std::uint64_t memory_bytes_;
  std::uint64_t large_bytes_;
  bool by_id_ = false;
  std::vector<Frame> frames_;
  std::uint64_t frame_bytes_ = 0;
  std::size_t large_frames_ = 0;
  std::string delta_;
  std::vector<Unnamed> unnamed_;  // resolved, but for their ids
  std::uint64_t unnamed_bytes_ = 0;
  std::unordered_set<ObjectId, ObjectIdHash> modules_;
};

// Error if a finding refuses the object.
Result<void> refuse_errors(const std::vector<format::CheckFinding>& findings, const ObjectId& id);

}  // namespace vexor::pack
