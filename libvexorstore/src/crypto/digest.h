// Checksums and random bytes. Any thread; a PackChecksum or Blake2b belongs to one thread at a time.
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

// BLAKE2b-256 of what comes in pieces.
class Blake2b {
 public:
  Blake2b();
  ~Blake2b();
  void update(Bytes bytes);
  std::string finish();  // once

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string blake2b_256(Bytes bytes);
std::string blake2b_256_keyed(Bytes key, Bytes bytes);  // key: 16 to 64 bytes
std::string sha256(Bytes bytes);
std::string random_bytes(std::size_t count);
bool constant_time_equal(Bytes a, Bytes b);

}  // namespace vexor
