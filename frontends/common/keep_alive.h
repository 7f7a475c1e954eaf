// Keep-alives of a session, for pumps that run its work on a thread of their own.
#pragma once

#include <chrono>
#include <future>

#include "vexorstore/protocol/session.h"

namespace vexor::frontend {

class KeepAlive {
 public:
  explicit KeepAlive(int every_ms) : every_(every_ms) {}
  // Bytes went to the peer.
  void sent() { last_ = std::chrono::steady_clock::now(); }

  // session.run_work(); whenever nothing was sent for a while, `send(packet)` on this thread, which returns
  // false when the peer is gone. Work that may take long runs on a helper thread until it is done.
  template <class Send>
  bool run_work(protocol::Session& session, Send send) {
    const std::string packet(session.keep_alive());  // the session may go to another server while it works
    if (packet.empty()) {
      session.run_work();
      return true;
    }
    auto done = std::async(std::launch::async, [&session] { session.run_work(); });
    bool there = true;
    while (done.wait_until(last_ + every_) == std::future_status::timeout) {
      there = there && send(packet);
      sent();
    }
    done.get();
    return there;
  }

 private:
  std::chrono::milliseconds every_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace vexor::frontend
