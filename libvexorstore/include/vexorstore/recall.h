// Recall: objects that the members of a replica set forgot come back from the member that kept their bytes, so that a moment can be restored.
// Docs: docs/operations/retention.md, docs/adr/0024-forgetting-by-record.md. Threads: any. All block on storage.
#pragma once

#include <memory>

#include "vexorstore/protocol/session.h"
#include "vexorstore/store.h"

namespace vexor {

// For the member that has the bytes. A session without input whose output is a pack: of what the refs of the moment reach (hidden ones too),
// the objects that records forgot, and commits that lost their row in the graph. The repository of that name, or the most recently deleted
// one. Whoever asks must be an operator. Reading the headers of the pool's extents takes seconds; memory: 12 octets for each forgotten object that has bytes
// here. One session at a time in a store. Errors, of the session too: kNotFound (no such repository; it did not exist then; bytes are gone here as well),
// kConflict (there is such a session), kLimitExceeded (more than 16777216 forgotten objects of the pool have bytes here).
Result<std::unique_ptr<protocol::Session>> make_recall_session(Store& store, const std::string& name, JournalSequence sequence);

// For the primary: takes that pack into the repository's pool, as a push does, in a record without refs. It is for whoever restores to prove that all
// is there then. Threads: one.
class RecallTaker {
 public:
  virtual ~RecallTaker() = default;
  // Errors: as of a push.
  virtual Result<void> feed(Bytes piece) = 0;
  // After all of it: how many objects are new. Errors: kProtocol (not a whole pack), and those of a push.
  virtual Result<std::uint64_t> finish(const Actor& actor) = 0;
};
Result<std::unique_ptr<RecallTaker>> make_recall_taker(Store& store, const std::string& name);

}  // namespace vexor
