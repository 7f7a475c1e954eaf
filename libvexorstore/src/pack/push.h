// Push: from a received pack (or none) and ref commands to one committed change.
// Spec: docs/architecture.md, "Life of a push".
#pragma once

#include "pack/pack_receiver.h"
#include "pack/reachability_walker.h"
#include "pack/stored_chains.h"
#include "vexorstore/receipt.h"

namespace vexor::pack {

struct RefCommand {
  std::string name;
  ObjectId old_id;  // null: the ref must not exist
  ObjectId new_id;  // null: delete
  std::string refusal;  // non-empty: not done, and why ("ng" reason)
};

struct PushOutcome {
  Receipt receipt;
  std::uint32_t new_objects = 0;
};

// The objects of a push on top of the repository it goes to.
class PushSource : public ObjectSource {
 public:
  PushSource(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader,
             PackReceiver* receiver, store::SetPtr visible);

  // Decides which entries are new, gives them numbers and says which deltas are stored whole. Errors: kCollision, kLimitExceeded.
  Result<void> number_entries();

  Result<std::optional<ObjectNumber>> find(const ObjectId& id) override;
  Result<ObjectType> type(ObjectNumber number) override;
  Result<std::shared_ptr<const std::string>> read(ObjectNumber number) override;
  Result<GraphRow> graph(ObjectNumber commit) override;
  Result<SetPtr> stored_set(ObjectNumber number) override;

  // The row of a commit that the pack holds; stays as long as this.
  // Errors: kLimitExceeded (too many parents), kProtocol (a parent that is no commit).
  Result<const GraphRow*> pushed_graph(ObjectNumber commit);
  // The same if it was asked for before, else null; these three only read.
  const GraphRow* known_graph(ObjectNumber commit) const;
  std::optional<ObjectNumber> find_pushed(const ObjectId& id) const;
  std::optional<std::uint32_t> entry_of(ObjectNumber number) const;
  // The same objects, for one thread more. Only after commits_parents_first(), and while nothing is added.
  std::unique_ptr<ObjectSource> view(std::size_t cache_bytes);

  // Whether the store holds a row of the commit that misses no object of it.
  Result<bool> has_whole_row(ObjectNumber commit) const;
  bool allowed(ObjectNumber number) const { return visible_->contains(number) || pushed_.contains(number); }
  // Makes the bitmap row of a tip and remembers it. The set must hold `tip`; `nearest` is a stored set
  // that it holds (kNoObject: none), which the row builds on. `is_mark`: the next rows stand on it and no deeper.
  // Large rows are made up to `ingest_memory_bytes` of all; without one a tip is walked from what is below it.
  Result<void> add_tip(ObjectNumber tip, std::shared_ptr<Roaring> set, ObjectNumber nearest, bool is_mark);

  // Hands the sets of the new tips to the store's cache. Only after the commit: a set there stands for
  // a stored bitmap.
  void publish_sets(const Roaring& kept);  // `kept`: the tips whose rows were written

  ObjectNumber first() const { return first_; }
  const std::vector<std::uint32_t>& new_entries() const { return new_entries_; }
  const std::vector<ObjectNumber>& numbers() const { return numbers_; }
  ObjectNumber base_of(const PushEntry& entry) const;  // kNoObject: the entry is no delta
  std::uint64_t whole_bytes() const { return whole_bytes_; }  // of the objects that came as deltas and are stored whole
  const ObjectReader& reader() const { return reader_; }
  // The rows of the tips that have none in the store, as they are to be written.
  Result<std::map<ObjectNumber, BitmapRow>> settled_bitmaps();
  bool is_new(ObjectNumber number) const { return number >= first_ && number - first_ < new_entries_.size(); }
  // The commits of the pack, each behind those of its parents that are in the pack.
  Result<std::vector<ObjectNumber>> commits_parents_first();

 private:
  void keep_set(ObjectNumber tip, std::shared_ptr<Roaring> set);
  Result<void> settle_chains();
  Result<std::uint64_t> settle_chain(PushEntry& entry, const Chain& below);
  Result<void> check_bases();
  Result<void> compare_with_stored(std::uint32_t entry, ObjectNumber number);
  Result<std::optional<BitmapRow>> bitmap_row(ObjectNumber number);
  Result<BitmapRow> row_on_far_base(const BitmapRow& near);

  store::StoreCore& core_;
  const store::RepositorySnapshot& repository_;
  ObjectReader& reader_;
  PackReceiver* receiver_;  // null: no pack
  store::SetPtr visible_;
  StoreSource stored_;
  ObjectNumber first_ = 0;
  std::vector<std::uint32_t> new_entries_;   // entry of number first_ + i
  std::vector<ObjectNumber> numbers_;        // number of each entry
  std::unordered_map<ObjectNumber, std::uint32_t> known_entries_;  // stored number -> entry
  std::uint64_t whole_bytes_ = 0;
  Roaring pushed_;
  std::unordered_map<ObjectNumber, GraphRow> graph_cache_;
  std::uint64_t parents_ = 0;  // of all of graph_cache_
  std::map<ObjectNumber, BitmapRow> bitmaps_;  // each on the nearest row below it
  std::uint64_t bitmap_bytes_ = 0;            // of them
  Roaring stored_tips_;  // of bitmaps_: those whose row is in the store
  std::unordered_map<ObjectNumber, SetPtr> tip_sets_;  // of some of bitmaps_, bounded
  std::uint64_t tip_set_bytes_ = 0;
};

// Checks the commands against the objects, writes everything, commits. `atomic`: one refusal
// refuses all. Commands that fail get their refusal text; the rest is committed in one record.
// Errors are failures of the whole push; nothing was changed unless kIndeterminate.
Result<PushOutcome> commit_push(store::StoreCore& core, RepositoryId repository, PackReceiver* receiver,
                                std::vector<RefCommand>& commands, bool atomic, const Actor& actor);

// Commits the objects of the pack without any ref, into the pool of a repository that may be deleted; returns how many are new. No object is looked
// for that they lead to. Commits that are there and have no row in the graph get one. Errors: as of a push.
Result<std::uint64_t> keep_objects(store::StoreCore& core, RepositoryId repository, PackReceiver& receiver, const Actor& actor);

// Makes the bitmaps of the tip (after those of what it is a tag of), walking from what has one.
// Errors: kProtocol when something is missing.
Result<void> add_tip_bitmap(PushSource& source, ReachabilityWalker& walker, ObjectNumber tip, bool is_mark = false);
// Bitmaps now and then along the history of a large push, so that no later walk is long.
// `commits`: those that are new, parents first.
Result<void> add_interval_bitmaps(PushSource& source, ReachabilityWalker& walker, const std::vector<ObjectNumber>& commits);

// The rows of the new objects that follow from the pack alone: extents, index, shapes. Of a large push they go to sorted
// files, and may be written while another thread walks the same source.
class ObjectRows {
 public:
  ObjectRows(store::StoreCore& core, PoolId pool, PackReceiver& receiver, const PushSource& source);
  bool is_large() const { return is_large_; }
  Result<void> write();  // once
  // Hands over what was written. Names the range in a quarantine row first, if there are files.
  Result<void> move_to(store::Change& change);

 private:
  Result<void> write_extents();
  Result<void> write_index();

  store::StoreCore& core_;
  PoolId pool_;
  PackReceiver& receiver_;
  const PushSource& source_;
  bool is_large_;
  store::Change part_;
};

// The graph rows of `commits`, which come parents first: into `change`, or as a file when the push is large. Of commits that
// were there only those that are `reached`.
Result<void> write_graph(store::StoreCore& core, PoolId pool, PushSource& source, const ReachabilityWalker& walker,
                         std::vector<ObjectNumber> commits, const Roaring& reached, bool is_large, store::Change& change);

}  // namespace vexor::pack
