// Object ids. SHA-1 with collision detection (detecting_sha1.h), SHA-256 by OpenSSL. Any thread; one
// ObjectHasher belongs to one thread at a time. A detected collision attack is kCollision.
#pragma once

#include <memory>
#include <span>

#include "vexorstore/object.h"

namespace vexor {

Result<ObjectId> hash_object(HashAlgorithm algorithm, ObjectType type, Bytes content);

// The same for many objects at once, which is faster than one after the other.
struct HashRequest {
  ObjectType type;
  Bytes content;
  ObjectId id;  // the answer
};
Result<void> hash_objects(HashAlgorithm algorithm, std::span<HashRequest> requests);

// The same for content that arrives in pieces.
class ObjectHasher {
 public:
  static Result<std::unique_ptr<ObjectHasher>> begin(HashAlgorithm algorithm, ObjectType type,
                                                     std::uint64_t content_bytes);
  virtual ~ObjectHasher() = default;
  virtual Result<void> update(Bytes piece) = 0;
  virtual Result<ObjectId> finish() = 0;
};

}  // namespace vexor
