// The storage seam: what a place must do to hold a store. Nine verbs, no optional ones.
//
// Rows live in families; keys order bytewise. `commit` is the one commit point: all rows of a
// batch become visible together, and with Durability::kSynced they survive power loss once it
// returns. `tests/contract` is this text as code; every backend passes it.
//
// Threads: all methods may be called from any thread at once, except that one BulkWriter or one
// Cursor belongs to one thread at a time. All methods block on storage.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::sys {

// What each family holds: docs/format/README.md. Numbers are stable: they name families on disk.
enum class Family : std::uint8_t {
  kMeta = 0,      // nothing yet
  kExtents,       // object payloads
  kIndex,         // object id -> object number
  kGraph,         // commits: root tree, parents, generation, time
  kBitmaps,       // reachable sets
  kShapes,        // type and size class, a byte an object
  kRefs,
  kReflog,
  kRepositories,  // repositories, names, pools
  kAccounts,
  kGrants,
  kKeys,
  kJournal,
  kAudit,         // nothing yet
  kQuarantine,    // number ranges of pushes in flight
};
constexpr std::size_t kFamilyCount = 15;
std::string_view family_name(Family family);

class Batch {
 public:
  enum class Kind : std::uint8_t { kPut, kErase, kEraseRange };
  struct Op {
    Kind kind;
    Family family;
    std::string key;
    std::string value;  // kPut: the value; kEraseRange: the end key, exclusive
  };
  void put(Family family, Bytes key, Bytes value);
  void erase(Family family, Bytes key);
  void erase_range(Family family, Bytes first, Bytes end);
  void append(Batch&& other);
  const std::vector<Op>& ops() const { return ops_; }
  bool empty() const { return ops_.empty(); }
  std::size_t bytes() const { return bytes_; }

 private:
  std::vector<Op> ops_;
  std::size_t bytes_ = 0;
};

// A value that stays readable while this object lives, without a copy where the backend can.
class PinnedValue {
 public:
  PinnedValue(Bytes bytes, std::shared_ptr<const void> owner)
      : bytes_(bytes), owner_(std::move(owner)) {}
  Bytes bytes() const { return bytes_; }
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  Bytes bytes_;
  std::shared_ptr<const void> owner_;
};

// Walks the rows of one family in key order. Starts before the first row: call a seek first.
class Cursor {
 public:
  virtual ~Cursor() = default;
  virtual bool valid() const = 0;
  virtual void seek(Bytes key) = 0;           // first row with key >= `key`
  virtual void seek_for_prev(Bytes key) = 0;  // last row with key <= `key`
  virtual void next() = 0;
  virtual Bytes key() const = 0;    // valid until the next move
  virtual Bytes value() const = 0;  // valid until the next move
  // Ok unless valid() turned false because of a failure. Errors: kIo, kCorrupt.
  virtual Result<void> status() const = 0;
};

// All families as of one moment. Cheap to hold for seconds, costly for hours.
class StorageSnapshot {
 public:
  virtual ~StorageSnapshot() = default;
  virtual Result<std::optional<PinnedValue>> get(Family family, Bytes key) const = 0;
  // The cursor must not outlive the snapshot.
  virtual std::unique_ptr<Cursor> cursor(Family family) const = 0;
};

enum class Durability : std::uint8_t { kBuffered, kSynced };

// Rows for one family, given in strictly ascending key order, kept apart until `ingest`.
// Destruction without ingest leaves nothing behind.
class BulkWriter {
 public:
  virtual ~BulkWriter() = default;
  virtual Result<void> put(Bytes key, Bytes value) = 0;
  // No row follows any more, and those that were put are on the disk when it returns, which may take seconds. ingest() does
  // so too, where others wait for it. A second call does nothing. Errors: kIo.
  virtual Result<void> finish() = 0;
  virtual Family family() const = 0;
  virtual std::uint64_t rows() const = 0;
  virtual std::uint64_t bytes() const = 0;
};

struct Capabilities {
  bool persistent = false;              // survives the process
  std::size_t value_bytes_max = 0;      // largest value of one row
  unsigned read_concurrency_hint = 1;   // readers that still add throughput
};

// What a backend keeps in memory to be fast, in bytes. The first two have bounds (RocksdbOptions); the third grows with the files.
struct MemoryUse {
  std::uint64_t cached_blocks = 0;
  std::uint64_t unwritten_rows = 0;  // that wait to go to files, and have gone and are still read
  std::uint64_t open_files = 0;      // beside the cache
};

// Rows that cannot be read as they were written, from `first` to `last`; there may be whole ones among them.
struct DamagedRows {
  Family family = Family::kMeta;
  std::string first;
  std::string last;
  std::string what;  // for an operator
};

class StorageBackend {
 public:
  virtual ~StorageBackend() = default;
  virtual Result<std::shared_ptr<const StorageSnapshot>> snapshot() = 0;
  // Atomic. kIndeterminate: the caller must re-read to learn whether it happened.
  virtual Result<void> commit(const Batch& batch, Durability durability) = 0;
  virtual Result<std::unique_ptr<BulkWriter>> bulk_writer(Family family) = 0;
  // Makes all rows of all writers visible and durable, together. Keys must be new or replace whole
  // rows; a writer without rows is skipped.
  virtual Result<void> ingest(std::vector<std::unique_ptr<BulkWriter>> writers) = 0;
  // Writes a complete, openable copy of the store to `directory`, which must not exist yet.
  virtual Result<void> checkpoint(const std::filesystem::path& directory) = 0;
  // Reads stored bytes from where they are kept, past all caches, and compares them with their checksums; stops
  // when about `bytes` were read (by up to a file more). `position`: empty for the beginning, then what the
  // last call left there. What was written after the call that began is not looked at. False: that was the end.
  virtual Result<bool> check_some(std::string& position, std::uint64_t& bytes, std::vector<DamagedRows>& damaged) = 0;
  // Gives back what erased and replaced rows with keys from `first` up to, without, `end` still take, but for what open
  // snapshots show. Changes no row, and others read and write meanwhile. Works in pieces, so that the caller says how fast: stops
  // when about `bytes` were rewritten (by up to a few files more), and tells how many were. `position`: empty for the
  // beginning, then what the last call left there. False: that was the end. Errors: kCorrupt, kIo; all rows are as they were.
  virtual Result<bool> compact(Family family, Bytes first, Bytes end, std::string& position, std::uint64_t& bytes) = 0;
  virtual Capabilities capabilities() const = 0;
  // Bytes on disk (or in memory) of a family, roughly.
  virtual std::uint64_t approximate_bytes(Family family) = 0;
  // Roughly, and cheap. All zero: it keeps no account.
  virtual MemoryUse memory_use() { return {}; }
};

}  // namespace vexor::sys
