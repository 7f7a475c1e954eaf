// The log of one member as the node sees it; the store provides it.
#pragma once

#include "replication/types.h"

#include <optional>
#include <span>
#include <vector>

namespace vexor::replication {

// Writes are seen by reads when the call returns, and become durable later, in the order of the
// calls; the driver tells by Node::log_durable(ticket). After a crash the log is what some prefix
// of the writes made, at least up to the last ticket told. A failure of any write is told by
// Node::log_failed(), and no later write becomes durable. Objects that an entry brings become
// durable with it.
//
// Opening verifies: an unsynced end may be cut, anything else that is damaged means that this
// store must not take part (it would count as a copy of what it lost); it is replaced by a new one.
//
// Threads: called from the node's thread. Blocks for reads of old entries only.
class Log {
 public:
  virtual ~Log() = default;

  // What is before the first entry: {0, zeros}, or the entry whose state a snapshot held.
  virtual EntryId base() const = 0;
  virtual EntryId last() const = 0;  // base() if there are no entries
  // Of base() and all entries; nullopt: before or behind.
  virtual std::optional<EntryId> id_at(Sequence sequence) const = 0;
  // Entries from `first` on, at most `entries_max`, of at most `bytes_max` together unless it is
  // one. Requires base().sequence < first.
  virtual std::vector<Entry> read(Sequence first, std::size_t entries_max,
                                  std::size_t bytes_max) const = 0;
  // Of an entry that read() did not give: whether it is gone for good. Else it cannot be read just now.
  virtual bool is_gone(Sequence /*sequence*/) const { return true; }
  // The largest epoch promised here; as of the last promise(), at start the durable one.
  virtual Epoch promised_epoch() const = 0;

  // Requires entries that continue last().
  virtual LogTicket append(std::span<const Entry> entries) = 0;
  // Erases all entries behind `last`. Never at or below what was applied.
  virtual LogTicket cut(Sequence last) = 0;
  virtual LogTicket promise(Epoch epoch) = 0;
};

}  // namespace vexor::replication
