#include "replication/host/rows_shelf.h"

#include <algorithm>
#include <utility>

namespace vexor::replication {

Result<std::unique_ptr<RowsShelf::Taking>> RowsShelf::begin(const std::string& range, std::uint64_t reign) {
  const std::lock_guard lock(mutex_);
  if (takings_.size() >= kTakingsMax) return Error(Errc::kUnavailable, "too many large pushes at once");
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
  takings_.insert(range);
  return out;
}

Result<void> RowsShelf::add(Taking& taking, Bytes piece) {
  taking.is_bad = true;
  if (piece.size() > kPieceBytesMax) return Error(Errc::kProtocol, "a piece of rows over the limit");
  VEXOR_TRY(taking.writer->add(piece));
  taking.is_bad = false;
  ++taking.pieces;
  return success();
}

Result<void> RowsShelf::finish(Taking& taking) {
  taking.is_bad = true;
  VEXOR_TRY(taking.writer->finish());
  taking.is_complete = true;
  return success();
}

void RowsShelf::end(std::unique_ptr<Taking> taking) {
  if (taking->is_complete) (void)log_.drop_rows(taking->range);  // the next start sweeps what stays
  std::unique_ptr<Taking> oldest;
  const std::lock_guard lock(mutex_);
  takings_.erase(takings_.find(taking->range));
  if (taking->is_bad || taking->pieces == 0) return;
  parked_.push_back(std::move(taking));
  if (parked_.size() > kParkedMax) {
    oldest = std::move(parked_.front());
    parked_.pop_front();
  }
}

bool RowsShelf::is_taking(const std::string& range) const {
  const std::lock_guard lock(mutex_);
  return takings_.contains(range);
}

void RowsShelf::clear() {
  std::list<std::unique_ptr<Taking>> gone;
  const std::lock_guard lock(mutex_);
  gone.swap(parked_);
}

}  // namespace vexor::replication
