// CopySource: a checkpoint of this member's store, while another one copies it (docs/protocol/replication.md, S3, S4).
// One at a time; hard links, so that it costs the space of what changes meanwhile.
//
// Threads: any. Blocks on storage.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>

#include "replication/host/copy.h"
#include "vexorstore/store.h"

namespace vexor::replication {

class CopySource {
 public:
  // `directory`: on the file system of the store; what an earlier process left there is removed.
  CopySource(Store& store, std::filesystem::path directory);
  ~CopySource();

  // A checkpoint for `member`, in place of one that it had. kUnavailable: another member has one. `at`, `epoch`: go
  // into the offer.
  Result<CopyOffer> open(NodeId member, const EntryId& at, Epoch epoch, Millis now);
  // A piece of kCopyPieceBytesMax, or what is left. Errors: kNotFound (no such copy or file), kIo.
  Result<std::string> read(NodeId member, std::uint64_t id, const std::string& name, std::uint64_t offset, Millis now);
  void close(NodeId member, std::uint64_t id);
  // Whether there is something that nobody read for kCopyIdleMs. Does not wait: a checkpoint takes its time.
  bool has_expired(Millis now);
  // Removes it, which takes seconds where its files are the last links.
  void expire(Millis now);

 private:
  struct Open {
    NodeId member;
    CopyOffer offer;
    Millis read_at;
  };
  void remove();

  Store& store_;
  std::filesystem::path directory_;
  std::mutex mutex_;
  std::optional<Open> open_;  // guarded by mutex_
  std::uint64_t last_id_;     // guarded by mutex_
};

}  // namespace vexor::replication
