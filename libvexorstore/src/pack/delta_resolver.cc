#include "pack/delta_resolver.h"

#include <algorithm>

#include "base/check.h"

namespace vexor::pack {

namespace {
constexpr std::uint64_t kSliceBytes = 32U << 20U;  // inflated bytes of one resolve_some() and worker
constexpr std::uint32_t kDeltasEach = 1024;        // for fewer another worker is not worth while
constexpr std::size_t kNone = SIZE_MAX;
}  // namespace

DeltaResolver::DeltaResolver(const ResolveInput& input, DeltaChildren& children, store::SetPtr visible, sys::WorkerPool& workers)
    : children_(children), visible_(std::move(visible)), workers_(workers), delta_count_(input.delta_count),
      state_{input.entries, input.spool, input.stored, input.limits, input.algorithm, input.checker, children, input.inflated_bytes},
      failed_family_(kNone) {
  link_whole_bases();
  for (std::uint32_t i = 0; i < state_.entries.size(); ++i) {
    if (!state_.entries[i].is_delta && !children_.of(i).empty()) roots_.push_back(i);
  }
  const unsigned width = std::min(workers_.width(), 1 + delta_count_ / kDeltasEach);
  const std::uint64_t memory = state_.limits.ingest_memory_bytes / width;
  for (unsigned i = 0; i < width; ++i) shares_.push_back(std::make_unique<Share>(state_, memory, width == 1 ? UINT64_MAX : memory / 8));
}

// Of deltas that name their base by its id: those whose base the pack holds whole are like any other.
void DeltaResolver::link_whole_bases() {
  children_.sort(state_.entries.size());
  const auto& by_id = children_.by_id();
  if (by_id.empty()) return;
  std::vector<bool> is_linked(by_id.size(), false);
  for (std::uint32_t i = 0; i < state_.entries.size(); ++i) {
    if (state_.entries[i].is_delta) continue;
    auto at = std::lower_bound(by_id.begin(), by_id.end(), std::make_pair(state_.entries[i].id, std::uint32_t{0}));
    for (; at != by_id.end() && at->first == state_.entries[i].id; ++at) {
      const auto index = static_cast<std::size_t>(at - by_id.begin());
      if (is_linked[index]) break;  // the pack holds the base twice: the first serves
      is_linked[index] = true;
      children_.add(i, at->second);
    }
  }
  children_.keep_by_id([&](std::size_t index) { return !is_linked[index]; });
  children_.sort(state_.entries.size());
}

Result<bool> DeltaResolver::resolve_some() {
  if (!rest_) {
    VEXOR_TRY(const bool done, resolve_families());
    if (!done) return false;
    for (const auto& share : shares_) modules_.merge(share->walk.modules());
    shares_.clear();
    if (children_.by_id().empty()) return finish();
    rest_ = std::make_unique<FamilyWalk>(state_, state_.limits.ingest_memory_bytes, UINT64_MAX);
  }
  return resolve_by_id();
}

// Families are taken in order, so of those before a bad one none is missing; they go on to their ends, and the
// first bad one is told.
Result<bool> DeltaResolver::resolve_families() {
  const auto waiting = std::find_if(shares_.begin(), shares_.end(), [](const auto& share) { return share->is_waiting; });
  if (waiting != shares_.end()) {
    work(**waiting, true);
  } else {
    workers_.run(static_cast<unsigned>(shares_.size()), [this](unsigned i) { work(*shares_[i], false); });
  }
  const std::size_t failed = failed_family_.load();
  bool is_done = failed != kNone || next_family_.load() >= roots_.size();
  for (const auto& share : shares_) {
    if (!share->failed && !share->walk.is_idle() && share->family < failed) is_done = false;
  }
  if (!is_done) return false;
  for (const auto& share : shares_) {
    if (share->failed && share->family == failed) return std::move(*share->failed);
  }
  return true;
}

void DeltaResolver::fail(Share& share, Error error) {
  share.failed.emplace(std::move(error));
  share.is_waiting = false;
  for (std::size_t first = failed_family_.load(); share.family < first && !failed_family_.compare_exchange_weak(first, share.family);) {
  }
}

// One slice. Runs beside those of the other shares, unless `alone`.
void DeltaResolver::work(Share& share, bool alone) {
  const bool may_be_large = alone || shares_.size() == 1;
  for (std::uint64_t left = kSliceBytes; left > 0 && !share.failed;) {
    if (share.walk.is_idle()) {
      if (alone) break;
      const std::size_t family = next_family_.fetch_add(1);
      if (family >= roots_.size() || family > failed_family_.load()) break;
      share.family = family;
      share.walk.begin(roots_[family], false);
    }
    auto stopped = share.walk.run(left, may_be_large);
    if (stopped.has_error()) return fail(share, std::move(stopped).error());
    share.is_waiting = stopped.value() == FamilyWalk::Stop::kLarge;
    if (share.is_waiting) break;
  }
  if (share.failed) return;
  if (alone) share.is_waiting = share.walk.holds_large();
  if (auto named = share.walk.name_all(); named.has_error()) fail(share, std::move(named).error());
}

// False: the repository has no such object.
Result<bool> DeltaResolver::begin_stored(const ObjectId& id) {
  VEXOR_TRY(const auto number, state_.stored.find(id));
  if (!number || !visible_->contains(*number)) return false;
  VEXOR_TRY(const StoredEntry base, state_.stored.entry(*number));
  VEXOR_TRY(auto content, state_.stored.read(*number));
  std::vector<std::uint32_t> children = children_.of_id(id);
  std::erase_if(children, [this](std::uint32_t child) { return state_.entries[child].resolved; });
  for (const std::uint32_t child : children) {
    state_.entries[child].base_number = *number;
    state_.entries[child].type = base.object.type;
    state_.entries[child].depth = 1;  // what lies below is not the pack's: it is counted when the chain is stored
  }
  rest_->begin_stored(std::move(content), std::move(children));
  return true;
}

Result<bool> DeltaResolver::resolve_by_id() {
  const auto& by_id = children_.by_id();
  for (std::uint64_t left = kSliceBytes; left > 0; left -= std::min<std::uint64_t>(left, 16)) {
    if (!rest_->is_idle()) {
      VEXOR_TRY(rest_->run(left, true));
    } else if (next_entry_ < state_.entries.size()) {
      const std::uint32_t entry = next_entry_++;
      if (state_.entries[entry].resolved) rest_->begin(entry, true);
    } else {
      while (next_stored_ < by_id.size() && state_.entries[by_id[next_stored_].second].resolved) ++next_stored_;
      if (next_stored_ == by_id.size()) return finish();
      left -= std::min<std::uint64_t>(left, 1024);
      // A base that is not stored may be a delta of the pack that waits for a stored one itself.
      VEXOR_TRY(const bool is_stored, begin_stored(by_id[next_stored_].first));
      if (!is_stored) ++next_stored_;
    }
  }
  return false;
}

Result<bool> DeltaResolver::finish() {
  for (const auto& [base, child] : children_.by_id()) {
    if (!state_.entries[child].resolved) return Error(Errc::kProtocol, "pack: delta base " + base.hex() + " is neither in the pack nor in the repository");
  }
  if (deltas_resolved() != delta_count_) return Error(Errc::kProtocol, "pack: deltas whose bases form a cycle");
  if (rest_) modules_.merge(rest_->modules());
  return true;
}

}  // namespace vexor::pack
