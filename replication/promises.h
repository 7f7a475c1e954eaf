// What a standby promised to leaders (P1, P2).
#pragma once

#include "replication/types.h"

#include <algorithm>

namespace vexor::replication {

class Promises {
 public:
  // A member that starts behaves as if it had just promised to somebody unknown.
  explicit Promises(Millis until) : others_until_(until) {}

  void give(Incarnation holder, Millis until) {
    if (holder != holder_) {
      others_until_ = std::max(others_until_, holder_until_);
      holder_ = holder;
      holder_until_ = until;
    }
    holder_until_ = std::max(holder_until_, until);
  }
  bool running(Millis now) const { return now < std::max(others_until_, holder_until_); }
  bool running_but_to(Incarnation dead, Millis now) const {
    return now < others_until_ || (holder_ != dead && now < holder_until_);
  }

 private:
  Incarnation holder_ = 0;  // of the latest promise
  Millis holder_until_ = 0;
  Millis others_until_;
};

}  // namespace vexor::replication
