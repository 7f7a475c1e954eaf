// Checksums and random bytes. Any thread; one PackChecksum belongs to one thread at a time.
#pragma once

#include <memory>

#include "vexorstore/object_id.h"

namespace vexor {

// The checksum at the end of a pack: plain SHA-1 or SHA-256, no collision detection.
class PackChecksum {
 public:
  explicit PackChecksum(HashAlgorithm algorithm);
  ~PackChecksum();
  void update(Bytes bytes);
  std::string finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string blake2b_256(Bytes bytes);
std::string blake2b_256_keyed(Bytes key, Bytes bytes);  // key: 16 to 64 bytes
std::string sha256(Bytes bytes);
std::string random_bytes(std::size_t count);
bool constant_time_equal(Bytes a, Bytes b);

}  // namespace vexor
