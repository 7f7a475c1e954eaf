#include "replication/durable_log.h"

#include "replication/check.h"

#include <algorithm>

namespace vexor::replication {

DurableLog::DurableLog(Log& log, bool count_unsynced)
    : log_(log),
      count_unsynced_(count_unsynced),
      durable_(log.last().sequence),
      promised_(log.promised_epoch()),
      promised_durable_(promised_) {}

void DurableLog::append(std::span<const Entry> entries) {
  VEXOR_CHECK(!entries.empty());
  VEXOR_CHECK(entries.front().previous() == log_.last());
  wait_for(log_.append(entries));
  if (count_unsynced_) durable_ = log_.last().sequence;
}

void DurableLog::cut(Sequence last) {
  VEXOR_CHECK(last < log_.last().sequence && last >= log_.base().sequence);
  // Reports that are on their way speak of entries that are gone.
  for (Write& write : waiting_) write.last = std::min(write.last, last);
  durable_ = std::min(durable_, last);
  wait_for(log_.cut(last));
}

void DurableLog::promise(Epoch epoch) {
  VEXOR_CHECK(epoch > promised_);
  promised_ = epoch;
  wait_for(log_.promise(epoch));
}

void DurableLog::wait_for(LogTicket ticket) {
  VEXOR_CHECK(waiting_.empty() || waiting_.back().ticket < ticket);
  waiting_.push_back({ticket, log_.last().sequence, promised_});
}

void DurableLog::written(LogTicket ticket) {
  while (!waiting_.empty() && waiting_.front().ticket <= ticket) {
    durable_ = std::max(durable_, waiting_.front().last);
    promised_durable_ = waiting_.front().promised;
    waiting_.pop_front();
  }
}

void DurableLog::replaced() {
  waiting_.clear();
  durable_ = log_.last().sequence;
  promised_durable_ = promised_;
}

}  // namespace vexor::replication
