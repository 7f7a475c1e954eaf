// What a node asks of its driver. To be carried out in order, before the next input.
#pragma once

#include "replication/messages.h"

#include <variant>
#include <vector>

namespace vexor::replication {

struct Send {  // may be lost, delayed, doubled
  NodeId to = 0;
  Message message;
};

struct ReadRecord {};  // answer: Node::record_seen

struct ChangeRecord {  // answer: Node::change_answered with this number
  std::uint64_t number = 0;
  std::uint64_t expected_version = 0;
  Record record;
};

struct Apply {  // A5: apply all up to it, then Node::applied
  Sequence sequence = 0;
};

struct FetchSnapshot {  // L6: copy the state of `from`, as of `at_least` or later, then
                        // Node::snapshot_installed
  NodeId from = 0;
  EntryId at_least;
};

struct Receipt {
  std::vector<NodeId> members;  // that have it durably, the leader included
  bool all = false;             // of the members of the record
};

enum class Fate : std::uint8_t { kCommitted, kShort, kUnknown, kNotStarted };
enum class Reason : std::uint8_t {
  kNone,
  kNotLeader,
  kHandover,
  kBusy,
  kStale,
  kMemberAway,
  kStopped
};

struct ProposalOutcome {
  RequestId request = 0;
  Fate fate = Fate::kNotStarted;
  Epoch epoch = 0;  // with `entry`: all but kNotStarted
  EntryId entry;
  Receipt receipt;  // kCommitted, kShort
  Reason reason = Reason::kNone;
  NodeId retry_at = 0;  // kNotStarted: 0 if nobody is known
};

struct ConfirmOutcome {  // Q4
  RequestId request = 0;
  bool confirmed = false;
};

struct ReadOutcome {
  RequestId request = 0;
  bool granted = false;   // else unavailable: retry, here or elsewhere
  Sequence sequence = 0;  // serve from a state as of this or later
};

enum class AlarmKind : std::uint8_t { kDivergence, kLogFailed, kRecordUnsound };
struct Alarm {
  AlarmKind kind{};
  EntryId entry;
};

using Output = std::variant<Send, ReadRecord, ChangeRecord, Apply, FetchSnapshot, ProposalOutcome,
                            ConfirmOutcome, ReadOutcome, Alarm>;

}  // namespace vexor::replication
