// The words of a copy of a store, and how a member reaches the one it takes it of. Spec:
// docs/protocol/replication.md, "Copies".
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "replication/types.h"
#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::replication {

constexpr std::size_t kCopyFilesMax = 100'000;
constexpr std::uint64_t kCopyBytesMax = 64ULL << 40U;
constexpr std::size_t kCopyNameBytesMax = 64;
constexpr Millis kCopyIdleMs = 60'000;  // without a read: the source removes its checkpoint

struct CopyFile {
  std::string name;  // of letters, digits, '.', '_' and '-'
  std::uint64_t bytes = 0;
};

struct CopyOffer {
  std::uint64_t id = 0;  // of the checkpoint; void when that is gone
  Epoch epoch = 0;       // that its owner led, before and after it was made
  EntryId at;            // is in the copy
  std::vector<CopyFile> files;
};

// Within the limits, and names that are names of files in one directory?
Result<void> check_offer(const CopyOffer& offer);

// Methods block on the other member. One thread at a time. Errors: kUnavailable (not now), kProtocol.
class CopyPeer {
 public:
  virtual ~CopyPeer() = default;
  // The member that asks counts for nothing any more (S2), and gets an offer of epoch `at_least` or later.
  virtual Result<CopyOffer> open(Epoch at_least) = 0;
  // The pieces of a file from `offset` on, a multiple of kCopyPieceBytesMax, or the file's size. The digest of all of it.
  virtual Result<std::string> read(const CopyOffer& offer, const CopyFile& file, std::uint64_t offset,
                                   const std::function<Result<void>(Bytes)>& take) = 0;
  virtual void close(const CopyOffer& offer) = 0;
};

}  // namespace vexor::replication
