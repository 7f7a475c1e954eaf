// RowsShelf: at a member, rows of large pushes whose records are to come. Spec: docs/protocol/replication.md,
// "Rows ahead".
//
// Threads: any. It must outlive what ask() returns. Limits: kTakingsMax transfers at once; kParkedMax that broke off are kept to be gone on with.
#pragma once

#include <chrono>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "vexorstore/replica_log.h"

namespace vexor::replication {

class RowsShelf {
 public:
  explicit RowsShelf(ReplicaLog& log) : log_(log) {}

  // One transfer. By one thread at a time.
  struct Taking {
    std::string range;
    std::unique_ptr<RowsWriter> writer;
    std::uint64_t pieces = 0;  // taken
    bool is_complete = false;
    bool is_bad = false;  // refused a piece: not to be gone on with
  };
  // Goes on with what broke off. Errors: kUnavailable (too many at once), kConflict (no follower), kProtocol.
  // `reign`: of the store, in which the offer was judged.
  Result<std::unique_ptr<Taking>> begin(const std::string& range, std::uint64_t reign);
  // Errors: kProtocol (not the rows of that range, or over kPieceBytesMax), kConflict (another primary is followed), kIo.
  Result<void> add(Taking& taking, Bytes piece);
  // On success the rows are durable.
  Result<void> finish(Taking& taking);
  // The sender is gone: complete rows are dropped unless a record claimed them, others wait to be gone on with.
  void end(std::unique_ptr<Taking> taking);
  // Whether a transfer of that range gets on: then its record waits for it (B6), and its rows stay when its call ends.
  bool await(const std::string& range);
  // The rows of a record are asked for: offers of them are refused meanwhile. Null: they are asked for already.
  std::shared_ptr<void> ask(const std::string& range);
  // Another primary is followed: what waits is of no use, nor what is under way.
  void clear();

  static constexpr std::size_t kTakingsMax = 8;
  static constexpr std::chrono::seconds kStandstillMax{10};  // then a transfer is not waited for
  static constexpr std::size_t kParkedMax = 2;
  static constexpr std::size_t kPieceBytesMax = 4U << 20U;  // pieces aim at kLogRowsBytesMax; a row is larger at most

 private:
  ReplicaLog& log_;
  struct Moving {
    std::string range;
    std::chrono::steady_clock::time_point moved_at;
    bool is_void = false;     // of an earlier primary
    bool is_awaited = false;  // its record is here
  };
  std::mutex mutex_;
  std::map<const Taking*, Moving> takings_;    // guarded by mutex_
  std::set<std::string> asked_;                // guarded by mutex_; ranges
  std::list<std::unique_ptr<Taking>> parked_;  // guarded by mutex_; oldest first
};

}  // namespace vexor::replication
