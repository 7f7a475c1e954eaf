#include "vexorstore/object_id.h"

#include <algorithm>

#include "base/check.h"
#include "base/hex.h"
#include "vexorstore/object.h"

namespace vexor {

std::string_view hash_name(HashAlgorithm algorithm) {
  return algorithm == HashAlgorithm::kSha1 ? "sha1" : "sha256";
}

Result<HashAlgorithm> parse_hash_name(std::string_view name) {
  if (name == "sha1") return HashAlgorithm::kSha1;
  if (name == "sha256") return HashAlgorithm::kSha256;
  return Error(Errc::kInvalidArgument, "object format is sha1 or sha256");
}

ObjectId ObjectId::from_raw(HashAlgorithm algorithm, Bytes raw) {
  VEXOR_CHECK(raw.size() == hash_bytes(algorithm));
  ObjectId id;
  id.algorithm_ = algorithm;
  std::copy(raw.begin(), raw.end(), id.bytes_.begin());
  return id;
}

Result<ObjectId> ObjectId::from_hex(HashAlgorithm algorithm, std::string_view hex) {
  const auto raw = vexor::from_hex(hex);
  if (!raw || raw->size() != hash_bytes(algorithm)) {
    return Error(Errc::kInvalidArgument, "not a " + std::string(hash_name(algorithm)) + " object id");
  }
  return from_raw(algorithm, *raw);
}

ObjectId ObjectId::null(HashAlgorithm algorithm) {
  ObjectId id;
  id.algorithm_ = algorithm;
  return id;
}

std::string ObjectId::hex() const { return to_hex(raw()); }

bool ObjectId::is_null() const {
  return std::all_of(bytes_.begin(), bytes_.end(), [](char c) { return c == 0; });
}

std::string_view object_type_name(ObjectType type) {
  switch (type) {
    case ObjectType::kCommit: return "commit";
    case ObjectType::kTree: return "tree";
    case ObjectType::kBlob: return "blob";
    case ObjectType::kTag: return "tag";
  }
  return "unknown";
}

std::optional<ObjectType> parse_object_type(std::string_view name) {
  for (const ObjectType type : {ObjectType::kCommit, ObjectType::kTree, ObjectType::kBlob, ObjectType::kTag}) {
    if (name == object_type_name(type)) return type;
  }
  return std::nullopt;
}

}  // namespace vexor
