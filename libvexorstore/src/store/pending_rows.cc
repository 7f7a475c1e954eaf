#include "store/pending_rows.h"

namespace vexor::store {

namespace {
std::string row_key(sys::Family family, Bytes key) {
  std::string out(1, static_cast<char>(family));
  out.append(key);
  return out;
}
}  // namespace

const std::optional<std::string>* PendingRows::find(sys::Family family, Bytes key) const {
  const auto found = rows_.find(row_key(family, key));
  return found == rows_.end() ? nullptr : &found->second.value;
}

void PendingRows::add(const sys::Batch& batch, std::uint64_t sequence) {
  for (const sys::Batch::Op& op : batch.ops()) {
    if (op.family == sys::Family::kExtents || op.family == sys::Family::kJournal || op.kind == sys::Batch::Kind::kEraseRange) continue;
    std::string key = row_key(op.family, op.key);
    const bool is_put = op.kind == sys::Batch::Kind::kPut;
    rows_[key] = {is_put ? std::optional<std::string>(op.value) : std::nullopt, sequence};
    order_.emplace_back(sequence, std::move(key));
  }
}

void PendingRows::prune(std::uint64_t applied) {
  while (!order_.empty() && order_.front().first <= applied) {
    const auto found = rows_.find(order_.front().second);
    if (found != rows_.end() && found->second.sequence <= applied) rows_.erase(found);
    order_.pop_front();
  }
}

void PendingRows::clear() {
  rows_.clear();
  order_.clear();
}

}  // namespace vexor::store
