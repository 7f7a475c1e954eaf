#include "replication/host/outbox.h"

#include <algorithm>
#include <iterator>

#include "replication/limits.h"

namespace vexor::replication {

namespace {

std::size_t entry_bytes(const Append& append) {
  std::size_t out = 0;
  for (const Entry& entry : append.entries) out += entry.bytes->size();
  return out;
}

}  // namespace

bool merge(Append& first, Append& next) {
  const EntryId& end = first.entries.empty() ? first.previous : first.entries.back().id;
  if (first.epoch != next.epoch || first.incarnation != next.incarnation || end != next.previous) return false;
  if (first.entries.size() + next.entries.size() > kAppendEntriesMax || entry_bytes(first) + entry_bytes(next) > kAppendBytesMax) return false;
  std::move(next.entries.begin(), next.entries.end(), std::back_inserter(first.entries));
  first.commit = std::max(first.commit, next.commit);
  first.send_time = next.send_time;  // the answer comes after both
  return true;
}

void Outbox::put(NodeId to, Message message) {
  const auto last = std::find_if(waiting_.rbegin(), waiting_.rend(), [to](const Waiting& one) { return one.to == to; });
  if (last != waiting_.rend()) {
    auto* first = std::get_if<Append>(&last->message);
    auto* next = std::get_if<Append>(&message);
    if (first != nullptr && next != nullptr && merge(*first, *next)) return;
  }
  waiting_.push_back({to, std::move(message)});
}

void Outbox::send(Transport& transport) {
  for (const Waiting& one : waiting_) transport.send(one.to, one.message);
  waiting_.clear();
}

}  // namespace vexor::replication
