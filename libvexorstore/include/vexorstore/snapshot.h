// Snapshot: one repository as of one moment, for reading refs and objects.
//
// Sees the objects that the repository's refs reach at that moment, and nothing else of the pool it
// may share with forks. Threads: one at a time. All methods block on storage. Must not outlive the
// Store. Memory: up to limits.fetch_cache_bytes of delta bases, plus what is read.
#pragma once

#include <functional>

#include "vexorstore/store.h"

namespace vexor {

struct ObjectHeader {
  ObjectType type = ObjectType::kBlob;
  std::uint64_t bytes = 0;  // of the content, without git's "type size" header
};

// One change of a ref, youngest first in lists. An id that is null means: there was no such ref.
struct RefLogEntry {
  JournalSequence sequence = 0;
  std::int64_t time_ms = 0;  // Unix time
  std::string account_name;  // empty: the operator
  ObjectId old_id;
  ObjectId new_id;
};

class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual const RepositoryInfo& repository() const = 0;

  // In byte order of names; symrefs resolved, those to nothing left out. Hidden refs are included.
  virtual Result<std::vector<RefInfo>> refs(const std::string& prefix = {}) = 0;
  // A full name ("HEAD", "refs/heads/main"). A symref to nothing has a null id.
  virtual Result<std::optional<RefInfo>> find_ref(const std::string& name) = 0;
  // At most `max` entries.
  virtual Result<std::vector<RefLogEntry>> ref_log(const std::string& name, std::size_t max) = 0;

  virtual Result<std::optional<ObjectHeader>> find_object(const ObjectId& id) = 0;
  // The whole content. Errors: kNotFound; kLimitExceeded (over limits.delta_object_bytes_max: use
  // stream_object).
  virtual Result<std::string> read_object(const ObjectId& id) = 0;
  // Calls sink(piece) with the content in order, in bounded memory for blobs that are not deltas; an
  // error of the sink ends it.
  virtual Result<void> stream_object(const ObjectId& id, const std::function<Result<void>(Bytes)>& sink) = 0;
  // Ids of visible objects that start with these hex digits (4 at least), at most `max`.
  virtual Result<std::vector<ObjectId>> find_prefix(const std::string& hex, std::size_t max) = 0;
  // Calls sink(id, header) for every visible object, in no particular order.
  virtual Result<void> each_object(const std::function<Result<void>(const ObjectId&, const ObjectHeader&)>& sink) = 0;
};

// Errors: kNotFound (also for a deleted repository).
Result<std::unique_ptr<Snapshot>> open_snapshot(Store& store, RepositoryId repository);

// With the refs that the repository had behind a journal record (vexorstore/history.h). Errors: kNotFound (also: no
// repository then, or objects of then are past the retention).
Result<std::unique_ptr<Snapshot>> open_snapshot_at(Store& store, RepositoryId repository, JournalSequence sequence);

}  // namespace vexor
