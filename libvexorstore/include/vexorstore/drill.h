// Drill: restores repositories of one store into another as a client would, and compares what came out. Says whether
// a copy is good for more than its files being there. Threads: one. Blocks, for minutes on large repositories.
#pragma once

#include <functional>

#include "vexorstore/store.h"

namespace vexor {

struct DrillOptions {
  std::uint64_t seed = 1;         // the same seed and store: the same sample
  std::size_t repositories = 10;  // at most; of those that are not deleted
  unsigned past_percent = 50;     // of them, as of a random moment at which they existed
};

enum class DrillOutcome : std::uint8_t {
  kWhole,
  kPastRetention,  // the objects of the random moment are gone, as they may
  kDamaged,
};

struct DrillItem {
  std::string name;
  JournalSequence as_of = 0;  // 0: now
  DrillOutcome outcome = DrillOutcome::kWhole;
  std::uint64_t refs = 0;
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;    // inflated
  std::string problem;        // of kDamaged: the first one
};

struct DrillReport {
  std::uint64_t whole = 0, past_retention = 0, damaged = 0;
};

// `target` must hold no repository; it gets those of the sample, named by their place in it. Each goes the way of a clone and
// a push: every object is parsed, hashed and checked on the way in. Then refs and ids of objects of both are compared,
// and what came in is verified as by fsck. Findings are items; an error means that it could not go on.
Result<DrillReport> drill(Store& source, Store& target, const DrillOptions& options, const std::function<void(const DrillItem&)>& tell);

}  // namespace vexor
