// How members reach each other. Implemented over gRPC in replication/transport, and by tests.
#pragma once

#include "replication/messages.h"
#include "vexorstore/replica_log.h"

namespace vexor::replication {

// Rows of a large push whose record is to come.
struct RowsOffer {
  Epoch epoch = 0;    // of the primary
  std::string range;  // a record that names the objects and nothing else
};

// Rows on their way to one member, which keeps them until the call ends. Methods block on the member, and
// return kUnavailable when it cannot be reached or does not want them. One thread at a time, but for cancel().
class RowsCall {
 public:
  virtual ~RowsCall() = default;  // the member drops what no record has claimed
  // How many pieces it has from an earlier call: those are left out.
  virtual Result<std::uint64_t> begin() = 0;
  virtual Result<void> send(const std::string& piece) = 0;
  // All was sent. On success the rows are durable there.
  virtual Result<void> finish() = 0;
  // Ends what blocks. Any thread.
  virtual void cancel() = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  // Any thread; never blocks. Messages may be lost.
  virtual void send(NodeId to, const Message& message) = 0;
  // Takes the rows of an encoded journal record from a member that has them. Blocks, on a thread that may.
  virtual Result<void> fetch_rows(NodeId from, Bytes record, RowsWriter& writer) = 0;
  virtual std::unique_ptr<RowsCall> offer_rows(NodeId to, const RowsOffer& offer) = 0;
  // What was asked of an earlier primary need not be waited for: it may be stopped and hold its connections. Must not block.
  virtual void leader_changed(NodeId leader) = 0;
};

}  // namespace vexor::replication
