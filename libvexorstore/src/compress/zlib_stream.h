// zlib streams with bounded output. Spec: RFC 1950.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::compress {

// Inflates one stream in pieces. One thread at a time.
class Inflater {
 public:
  enum class State { kMore, kDone };
  struct Step {
    std::size_t consumed = 0;
    std::size_t produced = 0;
    State state = State::kMore;
  };
  Inflater();
  ~Inflater();
  Result<Step> step(Bytes input, std::span<char> output);  // kCorrupt on bad data
  void reset();

 private:
  struct Stream;
  std::unique_ptr<Stream> stream_;
};

// A whole stream that yields exactly `inflated_bytes`. Errors: kCorrupt.
Result<std::string> inflate_exact(Bytes input, std::uint64_t inflated_bytes);
std::string deflate(Bytes input, int level);

}  // namespace vexor::compress
