#include <algorithm>

#include "vexorstore/protocol/upload_pack.h"

namespace vexor::protocol {

int parse_protocol_version(std::string_view git_protocol) {
  int best = 0;
  while (!git_protocol.empty()) {
    const std::size_t colon = git_protocol.find(':');
    const std::string_view word = git_protocol.substr(0, colon);
    if (word == "version=1") best = std::max(best, 1);
    if (word == "version=2") best = std::max(best, 2);
    git_protocol.remove_prefix(colon == std::string_view::npos ? git_protocol.size() : colon + 1);
  }
  return best;
}

}  // namespace vexor::protocol
