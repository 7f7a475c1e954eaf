// Every number that a peer or an operator can choose has a ceiling here.
// Spec: docs/protocol/replication.md, "Timers and limits".
#pragma once

#include "replication/types.h"

#include <cstddef>

namespace vexor::replication {

constexpr std::size_t kAppendEntriesMax = 256;
constexpr std::size_t kAppendBytesMax = 4U << 20;  // of entries' bytes, unless one entry is larger
constexpr std::size_t kSamplesMax = 72;            // ids in one answer
constexpr Millis kMoveBackMaxMs = 2000;  // between two times that a member is sent the same entries again
constexpr std::size_t kInFlightEntriesMax = 1024;  // sent to a member and not answered
constexpr std::size_t kTailEntriesMax = 4096;      // of a leader, not committed
constexpr std::size_t kReadsMax = 65536;           // waiting at one member
constexpr std::size_t kRoundsKept = 64;            // of asking for the leader's index, whose answers are checked
constexpr std::size_t kConfirmationsMax = 65536;   // waiting at a leader
constexpr std::size_t kMembersMax = 16;
constexpr Epoch kEpochsAheadMax = 100;  // of a message, ahead of the record that is known: a promise cannot be taken back
constexpr std::size_t kInSyncMax = 2 * kMembersMax;  // those that were removed count until the primary takes them out

// 2 fixed samples and one for each power of two of a 64-bit sequence.
static_assert(kSamplesMax >= 2 + 64 + 1);
static_assert(kInFlightEntriesMax >= kAppendEntriesMax);

}  // namespace vexor::replication
