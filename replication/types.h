// The words of the replication protocol as types. Spec: docs/protocol/replication.md, "Words".
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <string>

namespace vexor::replication {

using NodeId = std::uint64_t;       // names a member; 0: nobody
using StoreName = std::uint64_t;    // N1: of the store in a member's place; random, 0: not known
using Incarnation = std::uint64_t;  // one process run of a member; random, never used again
using Epoch = std::uint64_t;        // the reign of one leader; 0: before the first
using Sequence = std::uint64_t;     // of entries, dense from 1
using RequestId = std::uint64_t;    // chosen by the caller, unique among its waiting requests
using LogTicket = std::uint64_t;    // of log writes, growing
using Millis = std::int64_t;        // monotonic time of this process, or a span of it
using Digest = std::array<std::uint8_t, 32>;

// Names an entry and, as hashes are chained, the whole log up to it. {0, zeros}: before the first.
struct EntryId {
  Sequence sequence = 0;
  Digest hash{};
  friend bool operator==(const EntryId&, const EntryId&) = default;
};

// Immutable and shared: a leader sends the same bytes to all members.
struct Entry {
  Epoch epoch = 0;  // of the leader that made it
  EntryId id;       // the hash covers epoch, sequence, previous hash and bytes
  Digest previous_hash{};
  std::shared_ptr<const std::string> bytes;

  EntryId previous() const { return {id.sequence - 1, previous_hash}; }
};

}  // namespace vexor::replication
