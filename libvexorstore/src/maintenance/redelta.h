// Re-delta: makes the deltas of a pool anew where that is shorter, as "git repack -f" does for a pack.
//
// Three phases, each in steps:
//   plan    reads the extents' headers and all trees: what is there, what each object was called, when the
//           history first shows it. The candidates get one order: type, name, size, age.
//   search  goes through the order; each object is tried against a window of those before it. New deltas go
//           to a spool. A stored delta stays if it is no longer and its base is before the object.
//   write   goes through the extents and puts the chosen forms in their place, a few extents in one batch.
//
// No rings. In the end every delta of a candidate is on one that is before it in the order, or it is none.
// On the way new deltas stand beside old ones, which may lead anywhere. So before an extent is written, the
// chain of each new delta is followed through what is stored then; if it comes back, or is long, the
// object is written whole and its extent is visited again when all others have their last form.
// Objects that are no candidates keep their form: nothing new is made upon them.
//
// No leaks. In a pool with forks a delta is made only if every repository that sees the object sees the
// base (pack writers would send such objects whole, so it would not pay either).
//
// Pushes go on: their numbers are behind those of the plan, nothing of the plan is made upon them, and what
// they are made upon stays. A crash leaves some extents with new forms; the next pass begins anew, and
// finds the deltas that it would make.
// Memory: about 60 octets an object, the window, and the spool's share; the rest of the spool is a file.
#pragma once

#include <deque>

#include "format/delta_encode.h"
#include "maintenance/cold_pool.h"
#include "maintenance/pool_task.h"
#include "pack/reachability.h"
#include "pack/spool.h"

namespace vexor::maintenance {

// What is known of the objects of a pool, by number.
struct ObjectTable {
  enum Flag : std::uint8_t { kTypeMask = 7, kIsPresent = 8, kIsCandidate = 16 };
  enum Form : std::uint8_t { kAsStored, kWhole, kDelta };  // what becomes of it

  void resize(std::size_t numbers);
  std::size_t size() const { return flags.size(); }
  ObjectType type(ObjectNumber number) const { return static_cast<ObjectType>(flags[number] & kTypeMask); }
  bool is_present(ObjectNumber number) const { return number < size() && (flags[number] & kIsPresent) != 0; }
  bool is_candidate(ObjectNumber number) const { return number < size() && (flags[number] & kIsCandidate) != 0; }

  std::vector<std::uint8_t> flags;
  std::vector<std::uint32_t> bytes;      // of the object; saturates
  std::vector<std::uint32_t> payload_bytes;
  std::vector<std::uint32_t> entry_bytes;
  std::vector<ObjectNumber> base;        // as stored now; kNoObject: whole
  std::vector<std::uint32_t> name_hash;
  std::vector<std::uint32_t> age;        // order in which the history shows it, newest first
  std::vector<std::uint32_t> rank;       // place in the order of candidates
  std::vector<std::uint64_t> seen_by;    // a bit for each repository; empty: all see all
  // What the search chose.
  std::vector<std::uint8_t> form;
  std::vector<std::uint8_t> depth;
  std::vector<ObjectNumber> new_base;
  std::vector<std::uint64_t> spool_offset;
  std::vector<std::uint32_t> spool_bytes;
  std::vector<std::uint32_t> new_entry_bytes;
};

// Objects by the first octets of their ids: enough to give names to most, which is all that it is for.
class IdTable {
 public:
  void build(std::vector<std::uint64_t> prefixes, const ObjectTable& objects);
  ObjectNumber find(Bytes id) const;
  static std::uint64_t prefix(Bytes id);

 private:
  std::vector<std::uint64_t> prefixes_;  // by number
  std::vector<ObjectNumber> slots_;
};

// git's hash of a path: its last sixteen characters count, the last ones most.
std::uint32_t hash_name(std::uint32_t hash, Bytes more);

class RedeltaTask final : public PoolTask {
 public:
  explicit RedeltaTask(PoolTaskContext& context);
  Result<bool> step(Budget& budget) override;

 private:
  enum class Phase { kBegin, kScan, kName, kSearch, kWrite, kPending, kDone };
  static constexpr std::uint64_t kSeenByAll = 2;
  struct Group {
    ObjectNumber first;
    ObjectNumber end;
  };
  struct Slot {
    ObjectNumber number;
    std::shared_ptr<const std::string> content;
    std::unique_ptr<format::DeltaIndex> index;  // made when first needed
    std::size_t bytes() const { return content->size() + (index ? index->memory_bytes() : content->size()); }
  };
  struct Best {
    ObjectNumber base = kNoObject;
    std::size_t bytes = 0;    // of the delta, not deflated; the next one must be shorter
    std::uint32_t depth = 0;  // of the object upon it
    std::string delta;
  };

  // plan (redelta_plan.cc)
  Result<void> begin();
  Result<void> read_sets(const store::SnapshotPtr& snapshot);
  Result<void> scan(Budget& budget);
  Result<void> list_commits(const sys::StorageSnapshot& snapshot);
  Result<void> name_objects(Budget& budget);
  Result<void> name_tree(ObjectNumber root, Budget& budget);
  void make_order();
  // search (redelta_search.cc)
  Result<void> search(Budget& budget);
  Result<void> search_one(ObjectNumber number);
  void try_base(const std::string& content, Slot& slot, Best& best);
  bool may_be_base(ObjectNumber number, ObjectNumber base) const;
  bool stored_may_stay(ObjectNumber number) const;
  Result<void> choose(ObjectNumber number, const std::string& content, Best best);
  void enter_window(ObjectNumber number, std::shared_ptr<const std::string> content, ObjectNumber base);
  // write (redelta_write.cc)
  void make_groups();
  Result<void> write(Budget& budget);
  Result<void> write_group(const Group& group, Budget& budget);
  bool take_new_forms(const Group& group, std::vector<std::pair<ObjectNumber, ObjectNumber>>& before);
  bool chain_is_sound(ObjectNumber number) const;
  Result<void> replace_extents(const Group& group, Budget& budget);
  Result<std::string> take_chunks(const sys::StorageSnapshot& snapshot, const ExtentScan& scan, Replacement& out);
  Result<std::uint64_t> add_object(ObjectNumber number, format::ExtentObject object, Bytes stored, ExtentPacker& packer);
  Result<void> finish();

  // The reader of old forms; renewed now and then, so that no snapshot lives for hours.
  Result<pack::ObjectReader*> reader();

  PoolTaskContext& context_;
  CompactPool compact_;
  Phase phase_ = Phase::kBegin;
  Roaring reached_;
  std::vector<Roaring> user_sets_;  // until the table knows
  bool common_bases_only_ = false;  // then kSeenByAll tells them
  std::uint64_t looked_at_ = 0;
  ObjectTable objects_;
  std::vector<std::uint64_t> prefixes_;
  IdTable ids_;
  std::vector<Group> extents_;
  std::vector<Group> groups_;
  ObjectNumber scan_next_ = 0;
  std::vector<std::pair<std::int64_t, ObjectNumber>> commits_;  // time, number; oldest first
  std::uint32_t next_age_ = 0;
  Roaring named_;
  std::vector<ObjectNumber> order_;
  std::size_t at_ = 0;  // in order_, then in groups_
  std::deque<Slot> window_;  // the best base so far last
  std::size_t window_bytes_ = 0;
  pack::Spool spool_;
  std::string room_;
  Roaring pending_;  // stand whole after the first round, so that no ring can close; the second gives them their deltas
  std::int64_t saved_ = 0;
  const std::uint32_t depth_max_;
  std::unique_ptr<pack::ObjectReader> reader_;
  std::int64_t reader_since_ms_ = 0;
};

}  // namespace vexor::maintenance
