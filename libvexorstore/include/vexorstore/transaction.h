// Transaction: objects and ref updates that become visible together, or not at all.
//
// Objects go through the same checks as those of a push: syntax, collisions, connectivity. An object
// that no ref of the repository reaches after the commit is dropped.
// Threads: one at a time. Blocking: commit blocks on storage, the rest on the scratch file only.
// Memory: limits.spool_memory_bytes, and one object. Must not outlive the Store.
#pragma once

#include "vexorstore/store.h"

namespace vexor {

struct RefUpdate {
  std::string name;  // full name
  ObjectId old_id;   // null: the ref must not exist
  ObjectId new_id;   // null: delete
};

class Transaction {
 public:
  virtual ~Transaction() = default;
  // Returns the object's id. Errors: kLimitExceeded, kIo; kRefused when the checks of the repository
  // refuse it is told by commit().
  virtual Result<ObjectId> write_object(ObjectType type, Bytes content) = 0;
  virtual Result<void> update_ref(RefUpdate update) = 0;
  // All or nothing. Once. Errors: kConflict (a ref has another value by now), kRefused (checks,
  // protection), kProtocol (an object that a ref reaches is missing), kIndeterminate.
  virtual Result<JournalSequence> commit() = 0;
};

// Errors: kNotFound.
Result<std::unique_ptr<Transaction>> begin_transaction(Store& store, RepositoryId repository, const Actor& actor);

}  // namespace vexor
