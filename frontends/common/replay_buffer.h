// ReplayBuffer: what a client sent, to be given to another session again. In memory up to kMemoryBytesMax, then in
// a file without a name, so that whatever happens nothing stays behind. One thread at a time.
//
// Bounded by what the session that is fed takes: it refuses a push over its limits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::frontend {

class ReplayBuffer {
 public:
  explicit ReplayBuffer(std::filesystem::path scratch_directory) : directory_(std::move(scratch_directory)) {}
  ~ReplayBuffer();
  ReplayBuffer(const ReplayBuffer&) = delete;
  ReplayBuffer& operator=(const ReplayBuffer&) = delete;

  // Errors: kIo.
  Result<void> append(Bytes bytes);
  std::uint64_t size() const { return in_file_ + memory_.size(); }
  // Up to `count` octets from `offset` on, at least one of those that are there; valid until the next call.
  // Errors: kIo.
  Result<Bytes> read(std::uint64_t offset, std::size_t count);
  void clear();

  static constexpr std::size_t kMemoryBytesMax = 256U << 10U;

 private:
  Result<void> flush();

  std::filesystem::path directory_;
  std::string memory_;          // octets from in_file_ on
  std::uint64_t in_file_ = 0;
  int fd_ = -1;
  std::string room_;
};

}  // namespace vexor::frontend
