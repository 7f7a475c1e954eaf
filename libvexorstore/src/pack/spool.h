// Spool: the payloads of a push before they have numbers. In memory up to a limit, then in a file
// without a name, so that whatever happens nothing stays behind. One thread at a time; when all is appended,
// any number may read.
#pragma once

#include <filesystem>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor::pack {

class Spool {
 public:
  Spool(std::filesystem::path directory, std::size_t memory_bytes_max)
      : directory_(std::move(directory)), memory_bytes_max_(memory_bytes_max) {}
  ~Spool();
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  std::uint64_t size() const { return flushed_ + memory_.size(); }
  Result<void> append(Bytes bytes);
  // A view that is valid until the next append(), or a read into `room`.
  Result<Bytes> read(std::uint64_t offset, std::size_t count, std::string& room) const;

 private:
  Result<void> flush();
  std::filesystem::path directory_;
  std::size_t memory_bytes_max_;
  std::string memory_;          // the bytes from `flushed_` on
  std::uint64_t flushed_ = 0;   // bytes in the file
  int fd_ = -1;
};

}  // namespace vexor::pack
