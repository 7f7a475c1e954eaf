// What taking a copy of a store, and checking it, needs. Spec: docs/protocol/replication.md, "Copies".
//
// Threads: any; block on storage.
#pragma once

#include <filesystem>
#include <string>

#include "vexorstore/replica_log.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor {

constexpr std::size_t kCopyPieceBytesMax = 1U << 20U;

// The digest of a file that comes in pieces: each but the last of kCopyPieceBytesMax. BLAKE2b-256 over the digest so far
// (at first 32 octets of 00) and the piece.
class FileDigest {
 public:
  void add(Bytes piece);
  const std::string& value() const { return value_; }  // 32 octets

 private:
  std::string value_ = std::string(32, '\0');
};
// Errors: kIo.
Result<std::string> file_digest(const std::filesystem::path& file);
// BLAKE2b-256.
std::string digest_of(Bytes bytes);

struct CheckedCopy {
  LogPosition last;
  std::string hash_at_told;       // of the record at the sequence asked for; empty: the journal ends before
  std::uint64_t applied = 0;
  std::string replication_state;  // ReplicaLog::load_state
};
// Reads every file against its checksums, the journal from the first record to the last, and compares objects and refs with
// it. Errors: kCorrupt, kIo.
Result<CheckedCopy> check_copy(sys::StorageBackend& copy, std::uint64_t told_sequence);
// Removes what tells of the place where the rows were, and is not true of the copy: how far it was scrubbed.
Result<void> forget_place(sys::StorageBackend& copy);
// Whether the store took part in a replica set: it joined one, and has a record or a promise since.
Result<bool> was_member(Store& store);

}  // namespace vexor
