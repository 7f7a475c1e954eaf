// The coordination record and the changes that operators make to it.
// Spec: docs/protocol/replication.md, "Record", "Promotion".
#pragma once

#include "replication/types.h"

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace vexor::replication {

enum class Role : std::uint8_t { kStandby, kOffsite };  // kStandby may lead
enum class Copies : std::uint8_t { kTwo, kAll, kLocal };
// C1: how many members must have an entry; one or two.
constexpr std::size_t copies_min(Copies copies) { return copies == Copies::kLocal ? 1 : 2; }

struct Member {
  NodeId id = 0;
  Role role = Role::kStandby;
  std::string address{};  // where others reach it; for the transport alone
  friend bool operator==(const Member&, const Member&) = default;
};

// An entry of the in-sync set (N2). Implicit from a member alone: of any store (N4).
struct InSync {
  NodeId id = 0;
  StoreName store = 0;

  InSync(NodeId id_in, StoreName store_in = 0) : id(id_in), store(store_in) {}
  bool names(StoreName other) const { return store == 0 || store == other; }
  friend bool operator==(const InSync&, const InSync&) = default;
};

struct Record {
  Epoch epoch = 0;
  NodeId primary = 0;
  Incarnation primary_incarnation = 0;
  std::vector<InSync> in_sync;  // in order of rank
  std::vector<Member> members;
  Copies copies = Copies::kTwo;
  NodeId handover_target = 0;
  friend bool operator==(const Record&, const Record&) = default;

  const Member* find(NodeId id) const;
  // null: the set has no store of it.
  const InSync* find_in_sync(NodeId id) const;
  // Of whatever store.
  bool is_in_sync(NodeId id) const { return find_in_sync(id) != nullptr; }
  bool is_in_sync(NodeId id, StoreName store) const;
  bool has_names() const;
  std::vector<NodeId> in_sync_ids() const;
  // Within the limits, and a record that the rules could have made?
  bool sound() const;
  // May `id`, with the store that is named, lead after a takeover?
  bool may_take_over(NodeId id) const;
};

struct VersionedRecord {
  std::uint64_t version = 0;  // grows by one with each change
  Record record;
};

// T1-T3: the record after `taker` took over.
Record taken_over(const Record& from, NodeId taker, Incarnation incarnation);
// H2. `target` must be in the in-sync set.
Record handed_over(const Record& from, NodeId target, Incarnation incarnation);

// What operators may ask for (R2); nullopt: refused, the record would be unsound.
std::optional<Record> with_member(const Record& from, Member member);
std::optional<Record> without_member(const Record& from, NodeId id);  // not the primary
std::optional<Record> with_handover(const Record& from, NodeId target);
// The operator vouches that all members of `in_sync` are stopped, and accepts the loss of what
// `id` has not.
std::optional<Record> promoted(const Record& from, NodeId id, Incarnation incarnation);

}  // namespace vexor::replication
