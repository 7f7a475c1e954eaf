// RefTable: the refs that a repository shows, encoded as ls-refs tells them, in blocks of neighbouring names.
// Kept by generation of the repository's refs; a newer one is made from an older one by the journal: only
// the blocks of refs that changed are encoded anew. Spec: gitprotocol-v2 "ls-refs".
//
// Threads: tables are immutable and shared. Memory: some 100 bytes a ref with a name of 30; what StoreCore::ref_tables may hold,
// and one of a generation for all sessions where it is larger.
#pragma once

#include <set>

#include "store/store_core.h"

namespace vexor::store {

struct RefTip {
  std::uint32_t id_at = 0;  // where its id stands in the lines
  ObjectNumber number = kNoObject;
};

struct RefBlock {
  std::string first;  // the smallest name it may hold; it ends where the next begins
  std::string lines;  // pkt-lines "ID NAME[ symref-target:TARGET][ peeled:ID]\n"
  std::uint32_t refs = 0;
  std::uint32_t stored = 0;  // rows below refs/, hidden ones too
  bool is_plain = true;      // the lines are "ID NAME\n", all of them
  std::vector<std::string> targets;  // of its symrefs
  std::vector<RefTip> tips;          // of the others
  std::size_t memory_bytes() const;
};

struct RefTable {
  // The object that a ref of this id names, from memory; nullopt: none of them does. The first call sorts all tips.
  std::optional<ObjectNumber> find_tip(const ObjectId& id) const;

  std::vector<std::shared_ptr<const RefBlock>> blocks;  // the first begins with the empty name
  std::string unborn_head;                              // what HEAD would name; empty: HEAD is born, hidden or no symref
  std::size_t refs = 0;
  std::size_t stored = 0;  // rows below refs/, hidden ones too
  std::size_t bytes = 0;

 private:
  struct Place {
    std::uint64_t id_start;  // its first 8 octets
    std::uint32_t block;
    std::uint32_t tip;
  };
  static constexpr std::size_t kPlaceBytes = sizeof(Place);
  friend struct RefBlock;
  mutable std::once_flag sorted_;
  mutable std::vector<Place> places_;  // by id_start
};
using RefTablePtr = std::shared_ptr<const RefTable>;

// Refs that are hidden, and symrefs to such or to nothing, are left out.
Result<RefTablePtr> ref_table(StoreCore& core, const RepositorySnapshot& repository);

// The changes of refs behind generation `from` up to that of `repository`, oldest first. Nullopt: too many
// records lie between, or other operations: read all refs instead.
Result<std::optional<std::vector<format::RefChange>>> ref_changes_since(const RepositorySnapshot& repository, std::uint64_t from);

// Names what caches keep of a repository's refs besides their generation: who is hidden.
std::string visibility_key(const RepositorySnapshot& repository);

}  // namespace vexor::store
