// How safely a change is kept: what is asked for, and what was reached. Distinct receipts are independent.
#pragma once

#include <cstdint>
#include <string>

namespace vexor {

// How many servers of a replica set must have a change before it is acknowledged. Spec: docs/protocol/replication.md, C1 and C6.
// The numbers are those of docs/format/repositories.md.
enum class CopyPolicy : std::uint8_t {
  kCluster = 0,  // as the set's record says
  kTwo = 1,
  kAll = 2,
  kLocal = 3,    // the servers in sync, be it the primary alone
};

struct Receipt {
  std::uint64_t sequence = 0;  // of the journal record
  unsigned copies = 1;         // servers that had it durably when this was said; 0: nothing was changed, and `sequence` is the last one
  unsigned servers = 1;        // servers of the replica set then
  bool has_off_site = false;   // whether the set has an off-site server
  bool off_site = false;       // whether that is among the copies
  bool is_short = false;       // committed, on fewer servers than the policy of the repository, or of the set, asks for (C6 of docs/protocol/replication.md)
};

// "stored on 2 of 3 servers, off-site follows, sequence 81234"; of one that is short also that the change is made
// nevertheless, and is not to be repeated. One line, without its end.
std::string receipt_text(const Receipt& receipt);

}  // namespace vexor
