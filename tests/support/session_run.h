// Runs a session on canned input, as a stateless request would.
#pragma once

#include "vexorstore/protocol/session.h"

namespace vexor::test {

inline std::string run_session(protocol::Session& session, const std::string& input, std::size_t piece = 7001) {
  using protocol::Wants;
  std::string output;
  std::size_t fed = 0;
  bool told_end = false;
  char room[65536];
  while (session.wants() != Wants::kDone) {
    switch (session.wants()) {
      case Wants::kInput:
        if (fed < input.size()) fed += session.feed(Bytes(input).substr(fed, piece));
        else if (!told_end) session.end_of_input();
        else return output + "(stuck)";
        told_end = fed == input.size() && told_end;
        break;
      case Wants::kOutput: output.append(room, session.drain(room)); break;
      case Wants::kWork: session.run_work(); break;
      case Wants::kDone: break;
    }
  }
  return output;
}

}  // namespace vexor::test
