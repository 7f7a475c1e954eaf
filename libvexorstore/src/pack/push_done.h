// Which updates of a push were committed by an earlier run of it whose end nobody saw.
#pragma once

#include <set>
#include <string>

#include "pack/push.h"

namespace vexor::pack {

class DoneUpdates {
 public:
  void add(const std::string& name, std::uint64_t sequence) {
    names_.insert(name);
    sequence_ = sequence;
  }
  bool contains(const RefCommand& command) const { return names_.contains(command.name); }
  std::uint64_t sequence() const { return sequence_; }  // of the last record of them; 0: none

 private:
  std::set<std::string> names_;
  std::uint64_t sequence_ = 0;
};

// Looks for them in what is applied of the journal after record `after`. Blocks on storage.
// Errors: kIndeterminate (more records than kRecordsOfUnknownPushMax), kCorrupt, kIo.
Result<DoneUpdates> find_done_updates(store::StoreCore& core, const store::RepositoryRow& repository, const Actor& actor, std::uint64_t after,
                                      const std::vector<RefCommand>& commands);

}  // namespace vexor::pack
