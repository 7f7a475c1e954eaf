// For scripted sessions: what a session has to say, and nothing else.
#pragma once

#include <algorithm>
#include <string>

#include "vexorstore/protocol/session.h"

namespace vexor::test {

class OutputSession : public protocol::Session {
 public:
  std::size_t feed(Bytes input) override { return input.size(); }
  void end_of_input() override {}
  std::size_t drain(std::span<char> room) override {
    const std::size_t count = std::min(room.size(), output_.size());
    std::copy_n(output_.begin(), count, room.begin());
    output_.erase(0, count);
    return count;
  }
  void take_output(std::string& out, std::size_t front) override {
    out.assign(front, '\0');
    out.append(output_);
    output_.clear();
  }
  void run_work() override {}
  Bytes keep_alive() const override { return {}; }

 protected:
  std::string output_;
};

}  // namespace vexor::test
