// Timers of a node. Spec: docs/protocol/replication.md, "Timers and limits".
#pragma once

#include "replication/types.h"

namespace vexor::replication {

struct Options {
  Millis heartbeat_ms = 100;
  Millis lease_ms = 700;                 // how long a promise (P1) runs
  std::int64_t clock_drift_ppm = 20000;  // how much the rate of a monotonic clock may be off
  Millis detector_ms = 1000;             // silence of the leader before T3
  Millis rank_step_ms = 200;
  Millis member_silence_ms = 1000;  // silence of a member before C4
  Millis member_lag_ms = 3000;
  Millis offsite_wait_ms = 10;  // C5
  Millis all_wait_ms = 1000;    // C6
  Millis proposal_wait_ms = 10000;
  Millis read_wait_ms = 5000;
  Millis coordinator_wait_ms = 1000;
  Millis handover_wait_ms = 5000;
  Sequence copy_lag_entries = 200'000;  // S7
  Sequence forgetting_lag_entries = 10'000;  // nothing is forgotten while a member is further behind

  // What a leader takes off a promise: drift of both clocks, and 2 ms for rounding.
  Millis lease_margin_ms() const { return lease_ms * 2 * clock_drift_ppm / 1'000'000 + 2; }
  // A6: longer than any of so many others waits before T3.
  Millis unanswered_beat_ms(std::size_t others) const {
    return 2 * detector_ms + rank_step_ms * static_cast<Millis>(others);
  }
  bool valid() const {
    return heartbeat_ms > 0 && heartbeat_ms * 3 <= lease_ms && lease_ms < detector_ms &&
           lease_margin_ms() * 2 < lease_ms && member_silence_ms >= 3 * heartbeat_ms &&
           coordinator_wait_ms > 0;
  }
};

// Rules that a test may break, to see that the simulator notices. All false anywhere else.
struct Faults {
  bool commit_without_members = false;    // C1 counts the leader alone
  bool accept_old_epochs = false;         // A1 left out
  bool read_without_lease = false;        // Q1 left out
  bool add_before_caught_up = false;      // C2: no look at what the new member holds
  bool add_before_tail = false;           // C2 with the known commit only
  bool cut_without_conflict = false;      // L2, L3: an Append ends the log
  bool forget_unanswered_change = false;  // R3: a reading of the same version drops the change
  bool promise_while_candidate = false;   // P3 left out
  bool serve_before_tail = false;         // Q1 without the tail
  bool count_unsynced = false;            // L1: an append counts before it is durable
  bool keep_old_incarnations = false;     // S10: what an earlier process had counts on
  bool ignore_mark = false;               // S8 left out
  bool ignore_names = false;              // N2, N3: a member is in sync with any store
  bool commit_past_others = false;        // C1 looks at the policy of the last entry only
};

}  // namespace vexor::replication
