// A log and how much of it is durable (L1).
#pragma once

#include "replication/log.h"

#include <deque>
#include <span>

namespace vexor::replication {

class DurableLog {
 public:
  DurableLog(Log& log, bool count_unsynced);

  const Log& log() const { return log_; }
  EntryId last() const { return log_.last(); }
  // Of the last entry that is durable, or of the base.
  Sequence durable() const { return durable_; }
  Epoch promised() const { return promised_; }
  bool promise_durable() const { return promised_durable_ == promised_; }

  void append(std::span<const Entry> entries);
  void cut(Sequence last);
  void promise(Epoch epoch);  // larger than before
  void written(LogTicket ticket);
  // After the log was replaced by a snapshot, which is durable.
  void replaced();

 private:
  struct Write {
    LogTicket ticket;
    Sequence last;  // of the log after this write
    Epoch promised;
  };
  void wait_for(LogTicket ticket);

  Log& log_;
  bool count_unsynced_;  // Faults
  std::deque<Write> waiting_;
  Sequence durable_;
  Epoch promised_;
  Epoch promised_durable_;
};

}  // namespace vexor::replication
