#include "sim/sim_log.h"

#include "replication/check.h"

#include <algorithm>

namespace vexor::sim {

std::optional<replication::EntryId> SimLog::id_at(Sequence sequence) const {
  if (sequence == base_.sequence) return base_;
  if (sequence < base_.sequence || sequence > last().sequence) return std::nullopt;
  return entry(sequence).id;
}

const replication::Entry& SimLog::entry(Sequence sequence) const {
  VEXOR_CHECK(sequence > base_.sequence && sequence <= last().sequence);
  return entries_[sequence - base_.sequence - 1];
}

std::vector<replication::Entry> SimLog::read(Sequence first, std::size_t entries_max,
                                             std::size_t) const {
  VEXOR_CHECK(first > base_.sequence);
  std::vector<Entry> read;
  for (Sequence at = first; at <= last().sequence && read.size() < entries_max; ++at)
    read.push_back(entry(at));
  return read;
}

replication::LogTicket SimLog::append(std::span<const Entry> entries) {
  for (const Entry& entry : entries) {
    VEXOR_CHECK(entry.previous() == last());
    entries_.push_back(entry);
  }
  unsynced_.push_back({next_ticket_, std::nullopt, {entries.begin(), entries.end()}, 0});
  return next_ticket_++;
}

replication::LogTicket SimLog::cut(Sequence last) {
  VEXOR_CHECK(last >= base_.sequence && last < this->last().sequence);
  entries_.resize(last - base_.sequence);
  unsynced_.push_back({next_ticket_, last, {}, 0});
  return next_ticket_++;
}

replication::LogTicket SimLog::promise(replication::Epoch epoch) {
  VEXOR_CHECK(epoch > promised_);
  promised_ = epoch;
  unsynced_.push_back({next_ticket_, std::nullopt, {}, epoch});
  return next_ticket_++;
}

bool SimLog::durable(const EntryId& id) const {
  if (id.sequence <= base_.sequence) return true;
  const Sequence index = id.sequence - base_.sequence - 1;
  return index < durable_.size() && durable_[index].id == id;
}

void SimLog::make_durable(const Write& write, std::size_t entries_kept) {
  if (write.cut) mark_ = std::min(mark_, *write.cut);
  if (write.cut)
    durable_.resize(std::min(durable_.size(), std::size_t{*write.cut - base_.sequence}));
  for (std::size_t i = 0; i < entries_kept; ++i)
    if (write.entries[i].id.sequence > base_.sequence) durable_.push_back(write.entries[i]);
  if (write.promised > durable_promised_) promised_before_ = durable_promised_;
  durable_promised_ = std::max(durable_promised_, write.promised);
}

void SimLog::sync(LogTicket up_to) {
  while (!unsynced_.empty() && unsynced_.front().ticket <= up_to) {
    make_durable(unsynced_.front(), unsynced_.front().entries.size());
    unsynced_.pop_front();
  }
  mark();
}

void SimLog::mark() {
  mark_ = std::max(mark_, durable_.empty() ? base_.sequence : durable_.back().id.sequence);
  marked_promise_ = durable_promised_;
}

void SimLog::lose_tail(Random& random, Sequence floor) {
  const Sequence end = durable_.empty() ? base_.sequence : durable_.back().id.sequence;
  floor = std::max(floor, base_.sequence);
  if (end > floor) {
    const Sequence left = end - 1 - random.below(std::min<Sequence>(end - floor, 20));
    durable_.resize(left - base_.sequence);
  }
  if (random.chance(300)) durable_promised_ = promised_before_;
  entries_ = durable_;
  promised_ = durable_promised_;
}

void SimLog::copy_of(const SimLog& source, replication::Epoch promise) {
  const LogTicket next = next_ticket_;
  *this = source;
  unsynced_.clear();
  next_ticket_ = next;
  durable_ = entries_;
  promised_ = durable_promised_ = marked_promise_ = promise;
  mark_ = last().sequence;
}

void SimLog::crash(Random& random) {
  const std::size_t kept = random.below(unsynced_.size() + 1);
  for (std::size_t i = 0; i < kept; ++i) {
    make_durable(unsynced_.front(), unsynced_.front().entries.size());
    unsynced_.pop_front();
  }
  if (!unsynced_.empty() && !unsynced_.front().cut)
    make_durable(unsynced_.front(), random.below(unsynced_.front().entries.size() + 1));
  unsynced_.clear();
  entries_ = durable_;
  promised_ = durable_promised_;
}

void SimLog::compact(Sequence base) {
  if (base <= base_.sequence || base - base_.sequence > durable_.size()) return;
  const std::size_t count = base - base_.sequence;
  base_epoch_ = entries_[count - 1].epoch;
  base_ = entries_[count - 1].id;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(count));
  durable_.erase(durable_.begin(), durable_.begin() + static_cast<std::ptrdiff_t>(count));
}

replication::Epoch SimLog::epoch_at(Sequence sequence) const {
  return sequence == base_.sequence ? base_epoch_ : entry(sequence).epoch;
}

void SimLog::replace(const EntryId& base, replication::Epoch epoch) {
  sync(written());
  mark_ = base.sequence;
  base_ = base;
  base_epoch_ = epoch;
  entries_.clear();
  durable_.clear();
}

}  // namespace vexor::sim
