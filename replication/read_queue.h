// Reads that wait for the leader's commit sequence, or for it to be applied here (Q1-Q3).
#pragma once

#include "replication/outputs.h"

#include <deque>
#include <optional>
#include <vector>

namespace vexor::replication {

class ReadQueue {
 public:
  // False: full.
  bool add(RequestId request, bool linearizable, Sequence at_least, Millis deadline);
  bool wants_index() const;
  // A round asked after all reads of now began; the number to send to the leader. `applied`: here, at that moment.
  std::uint64_t begin_round(Sequence applied);
  // Whether more was applied here when the round began than the leader says is committed: not by the same history. False where the
  // round is not known any more.
  bool exceeds(std::uint64_t round, Sequence commit) const;
  // The leader's commit sequence at some time after the round began.
  void index_round(std::uint64_t round, Sequence commit);
  // This node leads under the lease.
  void index_all(Sequence commit);
  // Answers what is applied, and what waited too long.
  void complete(Sequence applied, Millis now, std::vector<Output>& outputs);
  void fail_all(std::vector<Output>& outputs);

 private:
  struct Waiting {
    RequestId request;
    Sequence at_least;
    bool indexed;         // `at_least` is all that it waits for
    std::uint64_t round;  // the first that began after it; 0: none yet
    Millis deadline;
  };
  std::vector<Waiting> waiting_;
  std::uint64_t round_ = 0;
  std::deque<Sequence> applied_;  // when the last rounds began, up to round_
};

}  // namespace vexor::replication
