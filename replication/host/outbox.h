// Outbox: what a member sends, until its node's turn is over. Appends that follow on each other leave as one: entries
// that were written to the log together then cost each member one message, one write of its log and one answer.
//
// Thread: the node's alone. Never longer than one turn of the node makes it.
#pragma once

#include <vector>

#include "replication/host/transport.h"

namespace vexor::replication {

class Outbox {
 public:
  void put(NodeId to, Message message);
  // All of it, to each member in the order of put(). Does not block.
  void send(Transport& transport);

 private:
  struct Waiting {
    NodeId to = 0;
    Message message;
  };
  std::vector<Waiting> waiting_;
};

// `next` into `first`, if that says to its receiver what both say one after the other and is within the limits of
// one message; false: nothing was done.
bool merge(Append& first, Append& next);

}  // namespace vexor::replication
