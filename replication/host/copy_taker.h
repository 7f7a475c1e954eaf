// Taking a copy of another member's store: bring it here, check it, put it in the place of the old one.
// Spec: docs/protocol/replication.md, S4-S6.
//
// Threads: one at a time. Blocks on the other member and on storage.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>

#include "replication/host/copy.h"
#include "vexorstore/sys/backends.h"

namespace vexor::replication {

struct CopyProgress {
  std::uint64_t bytes = 0;  // that are here
  std::uint64_t total = 0;
};

struct CopyPlace {
  std::filesystem::path store;    // what is replaced
  std::filesystem::path scratch;  // beside it; may hold files of an earlier try
  // Bytes that may be written there. Empty: asks the file system.
  std::function<Result<std::uint64_t>()> free_bytes;
  std::function<void(const CopyProgress&)> progress;  // may be empty
};

// All files of the offer are in the scratch directory afterwards, with the digests that the peer told, and no others. On an error what came stays
// for the next call. Errors: kProtocol, kUnavailable, kLimitExceeded (no space), kIo.
Result<void> fetch_copy(CopyPeer& peer, const CopyOffer& offer, const CopyPlace& place);
// S5. On success the scratch directory is durable and has its mark. Errors: kCorrupt (it is not what was offered), kIo.
Result<void> check_fetched(const CopyOffer& offer, const CopyPlace& place, const sys::RocksdbOptions& options);
// S6. What was the store is removed afterwards. Errors: kIo.
Result<void> install_copy(const CopyPlace& place);
// At each start: removes what an earlier process left, but for files that a copy can go on with.
void tidy_up_copy(const CopyPlace& place);

}  // namespace vexor::replication
