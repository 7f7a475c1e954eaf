// How members reach each other. Implemented over gRPC in replication/transport, and by tests.
#pragma once

#include "replication/messages.h"
#include "vexorstore/replica_log.h"

namespace vexor::replication {

class Transport {
 public:
  virtual ~Transport() = default;
  // Any thread; never blocks. Messages may be lost.
  virtual void send(NodeId to, const Message& message) = 0;
  // Takes the rows of an encoded journal record from a member that has them. Blocks, on a thread that may.
  virtual Result<void> fetch_rows(NodeId from, Bytes record, RowsWriter& writer) = 0;
};

}  // namespace vexor::replication
