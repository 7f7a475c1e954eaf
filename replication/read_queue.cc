#include "replication/read_queue.h"

#include "replication/limits.h"

#include <algorithm>

namespace vexor::replication {

bool ReadQueue::add(RequestId request, bool linearizable, Sequence at_least, Millis deadline) {
  if (waiting_.size() >= kReadsMax) return false;
  waiting_.push_back({request, at_least, !linearizable, 0, deadline});
  return true;
}

bool ReadQueue::wants_index() const {
  return std::any_of(waiting_.begin(), waiting_.end(),
                     [](const Waiting& read) { return !read.indexed; });
}

std::uint64_t ReadQueue::begin_round(Sequence applied) {
  ++round_;
  applied_.push_back(applied);
  if (applied_.size() > kRoundsKept) applied_.pop_front();
  for (Waiting& read : waiting_)
    if (!read.indexed && read.round == 0) read.round = round_;
  return round_;
}

bool ReadQueue::exceeds(std::uint64_t round, Sequence commit) const {
  if (round > round_ || round_ - round >= applied_.size()) return false;
  return applied_[applied_.size() - 1 - (round_ - round)] > commit;
}

void ReadQueue::index_round(std::uint64_t round, Sequence commit) {
  for (Waiting& read : waiting_) {
    if (read.indexed || read.round == 0 || read.round > round) continue;
    read.indexed = true;
    read.at_least = std::max(read.at_least, commit);
  }
}

void ReadQueue::index_all(Sequence commit) {
  for (Waiting& read : waiting_) {
    if (read.indexed) continue;
    read.indexed = true;
    read.at_least = std::max(read.at_least, commit);
  }
}

void ReadQueue::complete(Sequence applied, Millis now, std::vector<Output>& outputs) {
  std::erase_if(waiting_, [&](const Waiting& read) {
    const bool granted = read.indexed && read.at_least <= applied;
    if (!granted && now < read.deadline) return false;
    outputs.push_back(ReadOutcome{read.request, granted, granted ? applied : 0});
    return true;
  });
}

void ReadQueue::fail_all(std::vector<Output>& outputs) {
  for (const Waiting& read : waiting_) outputs.push_back(ReadOutcome{read.request, false, 0});
  waiting_.clear();
}

}  // namespace vexor::replication
