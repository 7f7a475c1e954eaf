// ObjectId: the name of a Git object, with its hash algorithm. A value type.
// Spec: git's gitformat-pack and hash-function-transition documents.
#pragma once

#include <array>
#include <compare>
#include <cstring>
#include <functional>
#include <string>

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor {

enum class HashAlgorithm : std::uint8_t { kSha1 = 1, kSha256 = 2 };

constexpr std::size_t kObjectIdBytesMax = 32;

constexpr std::size_t hash_bytes(HashAlgorithm algorithm) {
  return algorithm == HashAlgorithm::kSha1 ? 20 : 32;
}
constexpr std::size_t hash_hex_chars(HashAlgorithm algorithm) { return 2 * hash_bytes(algorithm); }
// "sha1" or "sha256", as in git's object-format capability.
std::string_view hash_name(HashAlgorithm algorithm);
Result<HashAlgorithm> parse_hash_name(std::string_view name);

class ObjectId {
 public:
  ObjectId() = default;  // the null id of SHA-1

  // Requires raw.size() == hash_bytes(algorithm).
  static ObjectId from_raw(HashAlgorithm algorithm, Bytes raw);
  // Exactly 40 or 64 lower- or upper-case hex digits, by algorithm. Errors: kInvalidArgument.
  static Result<ObjectId> from_hex(HashAlgorithm algorithm, std::string_view hex);
  static ObjectId null(HashAlgorithm algorithm);

  HashAlgorithm algorithm() const { return algorithm_; }
  Bytes raw() const { return {bytes_.data(), hash_bytes(algorithm_)}; }
  std::string hex() const;
  bool is_null() const;

  friend bool operator==(const ObjectId& a, const ObjectId& b) { return a.raw() == b.raw(); }
  friend std::strong_ordering operator<=>(const ObjectId& a, const ObjectId& b) {
    const int order = a.raw().compare(b.raw());
    return order < 0    ? std::strong_ordering::less
           : order == 0 ? std::strong_ordering::equal
                        : std::strong_ordering::greater;
  }

 private:
  std::array<char, kObjectIdBytesMax> bytes_{};
  HashAlgorithm algorithm_ = HashAlgorithm::kSha1;
};

struct ObjectIdHash {
  std::size_t operator()(const ObjectId& id) const noexcept {
    std::size_t out;
    std::memcpy(&out, id.raw().data(), sizeof out);
    return out;
  }
};

}  // namespace vexor
