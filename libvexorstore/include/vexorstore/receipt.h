// Receipt: how safely a committed change is kept.
#pragma once

#include <cstdint>

namespace vexor {

struct Receipt {
  std::uint64_t sequence = 0;  // of the journal record
  unsigned copies = 1;         // servers that had it durably when this was said
  unsigned servers = 1;        // servers of the replica set then
  bool has_off_site = false;   // whether the set has an off-site server
  bool off_site = false;       // whether that is among the copies
  bool is_short = false;       // the policy of the set asks for more
};

}  // namespace vexor
