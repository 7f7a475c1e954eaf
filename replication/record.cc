#include "replication/record.h"

#include "replication/limits.h"

#include <algorithm>

namespace vexor::replication {

const Member* Record::find(NodeId id) const {
  const auto at = std::find_if(members.begin(), members.end(),
                               [id](const Member& member) { return member.id == id; });
  return at == members.end() ? nullptr : &*at;
}

const InSync* Record::find_in_sync(NodeId id) const {
  const auto at = std::find_if(in_sync.begin(), in_sync.end(),
                               [id](const InSync& entry) { return entry.id == id; });
  return at == in_sync.end() ? nullptr : &*at;
}

bool Record::is_in_sync(NodeId id, StoreName store) const {
  const InSync* entry = find_in_sync(id);
  return entry != nullptr && entry->names(store);
}

bool Record::has_names() const {
  return std::any_of(in_sync.begin(), in_sync.end(),
                     [](const InSync& entry) { return entry.store != 0; });
}

std::vector<NodeId> Record::in_sync_ids() const {
  std::vector<NodeId> ids;
  for (const InSync& entry : in_sync) ids.push_back(entry.id);
  return ids;
}

bool Record::sound() const {
  const auto unique = [](std::vector<NodeId> ids) {
    std::sort(ids.begin(), ids.end());
    return std::adjacent_find(ids.begin(), ids.end()) == ids.end() &&
           std::find(ids.begin(), ids.end(), 0) == ids.end();
  };
  if (members.size() > kMembersMax || in_sync.size() > kInSyncMax) return false;
  std::vector<NodeId> ids;
  for (const Member& member : members) ids.push_back(member.id);
  return unique(ids) && unique(in_sync_ids()) && is_in_sync(primary);
}

bool Record::may_take_over(NodeId id) const {
  // A promoted off-site member that restarts is vacant (T1) and leads on.
  const Member* member = find(id);
  return member != nullptr && is_in_sync(id) && (member->role == Role::kStandby || primary == id);
}

Record taken_over(const Record& from, NodeId taker, Incarnation incarnation) {
  Record to = from;
  to.epoch = from.epoch + 1;
  to.primary = taker;
  to.primary_incarnation = incarnation;
  to.handover_target = 0;
  std::erase_if(to.in_sync, [&](const InSync& entry) {
    return entry.id != taker && (entry.id == from.primary || from.find(entry.id) == nullptr);
  });
  return to;
}

Record handed_over(const Record& from, NodeId target, Incarnation incarnation) {
  Record to = from;
  to.epoch = from.epoch + 1;
  to.primary = target;
  to.primary_incarnation = incarnation;
  to.handover_target = 0;
  // A promoted off-site member that hands over is an archive again.
  std::erase_if(to.in_sync, [&](const InSync& entry) {
    const Member* member = from.find(entry.id);
    return entry.id != target && (member == nullptr || member->role == Role::kOffsite);
  });
  return to;
}

std::optional<Record> with_member(const Record& from, Member member) {
  if (member.id == 0 || from.find(member.id) != nullptr) return std::nullopt;
  if (from.members.size() >= kMembersMax) return std::nullopt;
  Record to = from;
  to.members.push_back(member);
  return to;
}

std::optional<Record> without_member(const Record& from, NodeId id) {
  if (id == from.primary || from.find(id) == nullptr) return std::nullopt;
  Record to = from;
  std::erase_if(to.members, [id](const Member& member) { return member.id == id; });
  if (to.handover_target == id) to.handover_target = 0;
  return to;
}

std::optional<Record> with_handover(const Record& from, NodeId target) {
  if (target == from.primary || !from.may_take_over(target)) return std::nullopt;
  Record to = from;
  to.handover_target = target;
  return to;
}

std::optional<Record> promoted(const Record& from, NodeId id, Incarnation incarnation) {
  if (from.find(id) == nullptr) return std::nullopt;
  Record to = handed_over(from, id, incarnation);
  to.in_sync = {id};
  return to;
}

}  // namespace vexor::replication
