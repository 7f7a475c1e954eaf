// What members say to each other. Spec: docs/protocol/replication.md, "Messages".
#pragma once

#include "replication/record.h"
#include "replication/types.h"

#include <variant>
#include <vector>

namespace vexor::replication {

struct Append {
  Epoch epoch = 0;
  Incarnation incarnation = 0;  // of the leader
  EntryId previous;
  std::vector<Entry> entries;  // whose hashes the receiver's decoder computed from their bytes
  Sequence commit = 0;
  Millis send_time = 0;  // on the leader's clock; only echoed
  // Not sent. Set by a driver that holds back the entries which follow: the first of those differs
  // from the one that this member has at its place.
  bool differs_behind = false;
};

struct AppendAnswer {
  Epoch epoch = 0;
  Incarnation incarnation = 0;   // of the sender
  EntryId match;                 // A3
  std::vector<EntryId> samples;  // L5; empty: `previous` was there
  Millis echo_time = 0;
  bool promised = false;  // P1
  StoreName store = 0;    // N1; 0: of an older release
};

struct Refusal {  // A1
  Epoch promised_epoch = 0;
};

struct ReadIndex {              // Q2
  Incarnation incarnation = 0;  // of the asker; rounds begin anew with each
  std::uint64_t round = 0;
};

struct ReadIndexAnswer {
  Incarnation incarnation = 0;
  std::uint64_t round = 0;
  Sequence commit = 0;
};

struct SnapshotOffer {  // L6
  Epoch epoch = 0;
  EntryId entry;  // what the leader has applied
};

struct Handover {  // H3: spares the target the wait for its watch
  VersionedRecord record;
};

struct Resignation {
  Epoch epoch = 0;
};

using Message = std::variant<Append, AppendAnswer, Refusal, ReadIndex, ReadIndexAnswer,
                             SnapshotOffer, Handover, Resignation>;

}  // namespace vexor::replication
