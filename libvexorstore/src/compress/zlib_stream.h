// zlib streams with bounded output. Spec: RFC 1950.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::compress {

// The most octets that a stream of `inflated_bytes` may take. zlib adds 5 for each 16 KiB at worst, and no compressor
// an eighth; a peer can put any number of empty blocks between, which whoever reads the stream would hold.
constexpr std::uint64_t kStreamSlackBytes = 64U << 10U;
constexpr std::uint64_t stream_bytes_max(std::uint64_t inflated_bytes) { return inflated_bytes + inflated_bytes / 8 + kStreamSlackBytes; }

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

// The stream at the front of `input`, if all of it is there and it yields exactly output.size() octets:
// how many octets it takes. Nullopt: anything else; an Inflater says what. Much faster than one.
std::optional<std::size_t> inflate_front(Bytes input, std::span<char> output);

// A whole stream that yields exactly `inflated_bytes`. Errors: kCorrupt.
Result<std::string> inflate_exact(Bytes input, std::uint64_t inflated_bytes);
// The same, over what `out` held: a caller with many streams keeps its room.
Result<void> inflate_exact(Bytes input, std::uint64_t inflated_bytes, std::string& out);
std::string deflate(Bytes input, int level);

}  // namespace vexor::compress
