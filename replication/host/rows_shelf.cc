#include "replication/host/rows_shelf.h"

#include <algorithm>
#include <utility>

namespace vexor::replication {

Result<std::unique_ptr<RowsShelf::Taking>> RowsShelf::begin(const std::string& range, std::uint64_t reign) {
  const std::lock_guard lock(mutex_);
  if (takings_.size() >= kTakingsMax) return Error(Errc::kUnavailable, "too many large pushes at once");
  if (asked_.contains(range)) return Error(Errc::kUnavailable, "these rows are asked for already");
  std::unique_ptr<Taking> out;
  const auto waiting = std::find_if(parked_.begin(), parked_.end(), [&](const auto& one) { return one->range == range; });
  if (waiting != parked_.end()) {
    out = std::move(*waiting);
    parked_.erase(waiting);
  } else {
    out = std::make_unique<Taking>();
    out->range = range;
    VEXOR_TRY(out->writer, log_.write_rows(range, reign));
  }
  takings_[out.get()] = {range, std::chrono::steady_clock::now()};
  return out;
}

Result<void> RowsShelf::add(Taking& taking, Bytes piece) {
  taking.is_bad = true;
  if (piece.size() > kPieceBytesMax) return Error(Errc::kProtocol, "a piece of rows over the limit");
  VEXOR_TRY(taking.writer->add(piece));
  taking.is_bad = false;
  ++taking.pieces;
  const std::lock_guard lock(mutex_);
  takings_.at(&taking).moved_at = std::chrono::steady_clock::now();
  return success();
}

Result<void> RowsShelf::finish(Taking& taking) {
  taking.is_bad = true;
  VEXOR_TRY(taking.writer->finish());
  taking.is_complete = true;
  return success();
}

void RowsShelf::end(std::unique_ptr<Taking> taking) {
  bool is_kept = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = takings_.find(taking.get());
    const bool is_void = found->second.is_void;
    is_kept = found->second.is_awaited;
    takings_.erase(found);
    // Its rows were dropped when the other primary was followed. What is there now under the same numbers came from that one.
    if (is_void) return;
  }
  if (taking->is_complete && !is_kept) (void)log_.drop_rows(taking->range);  // the next start sweeps what stays
  std::unique_ptr<Taking> oldest;
  const std::lock_guard lock(mutex_);
  if (taking->is_bad || taking->pieces == 0) return;
  parked_.push_back(std::move(taking));
  if (parked_.size() > kParkedMax) {
    oldest = std::move(parked_.front());
    parked_.pop_front();
  }
}

bool RowsShelf::await(const std::string& range) {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  bool gets_on = false;
  for (auto& [taking, moving] : takings_) {
    if (moving.is_void || moving.range != range || now - moving.moved_at > kStandstillMax) continue;
    gets_on = moving.is_awaited = true;
  }
  return gets_on;
}

std::shared_ptr<void> RowsShelf::ask(const std::string& range) {
  const std::lock_guard lock(mutex_);
  if (!asked_.insert(range).second) return nullptr;
  return std::shared_ptr<void>(this, [this, range](void*) {
    const std::lock_guard done(mutex_);
    asked_.erase(range);
  });
}

void RowsShelf::clear() {
  std::list<std::unique_ptr<Taking>> gone;
  const std::lock_guard lock(mutex_);
  gone.swap(parked_);
  for (auto& [taking, moving] : takings_) moving.is_void = true;
}

}  // namespace vexor::replication
