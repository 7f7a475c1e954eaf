#include "crypto/object_hasher.h"

#include "crypto/detecting_sha1.h"
#include "crypto/digest.h"
#include "crypto/sha1_many.h"

namespace vexor {

namespace {

std::string object_header(ObjectType type, std::uint64_t bytes) {
  std::string out(object_type_name(type));
  out += ' ';
  out += std::to_string(bytes);
  out.push_back('\0');
  return out;
}

Result<ObjectId> sha1_id(const DetectingSha1::Digest& digest) {
  if (digest.attack) return Error(Errc::kCollision, "SHA-1 collision attack detected");
  return ObjectId::from_raw(HashAlgorithm::kSha1, Bytes(digest.bytes.data(), digest.bytes.size()));
}

class Sha1Hasher final : public ObjectHasher {
 public:
  Result<void> update(Bytes piece) override {
    sum_.update(piece);
    return success();
  }
  Result<ObjectId> finish() override { return sha1_id(sum_.finish()); }

 private:
  DetectingSha1 sum_;
};

class Sha256Hasher final : public ObjectHasher {
 public:
  Sha256Hasher() : sum_(HashAlgorithm::kSha256) {}
  Result<void> update(Bytes piece) override {
    sum_.update(piece);
    return success();
  }
  Result<ObjectId> finish() override { return ObjectId::from_raw(HashAlgorithm::kSha256, sum_.finish()); }

 private:
  PackChecksum sum_;
};

}  // namespace

Result<ObjectId> hash_object(HashAlgorithm algorithm, ObjectType type, Bytes content) {
  if (algorithm == HashAlgorithm::kSha256) {
    PackChecksum sum(HashAlgorithm::kSha256);
    sum.update(object_header(type, content.size()));
    sum.update(content);
    return ObjectId::from_raw(algorithm, sum.finish());
  }
  DetectingSha1 sum;
  sum.update(object_header(type, content.size()));
  sum.update(content);
  return sha1_id(sum.finish());
}

Result<void> hash_objects(HashAlgorithm algorithm, std::span<HashRequest> requests) {
  if (algorithm != HashAlgorithm::kSha1) {
    for (HashRequest& it : requests) {
      VEXOR_TRY(it.id, hash_object(algorithm, it.type, it.content));
    }
    return success();
  }
  std::vector<std::string> heads(requests.size());
  std::vector<Sha1Message> messages(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    heads[i] = object_header(requests[i].type, requests[i].content.size());
    messages[i].head = heads[i];
    messages[i].body = requests[i].content;
  }
  sha1_many(Sha1Cpu::detect(), messages);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    VEXOR_TRY(requests[i].id, sha1_id(messages[i].digest));
  }
  return success();
}

Result<std::unique_ptr<ObjectHasher>> ObjectHasher::begin(HashAlgorithm algorithm, ObjectType type,
                                                          std::uint64_t content_bytes) {
  std::unique_ptr<ObjectHasher> hasher;
  if (algorithm == HashAlgorithm::kSha256)
    hasher = std::make_unique<Sha256Hasher>();
  else
    hasher.reset(new Sha1Hasher);  // not make_unique, which would clear its buffers
  VEXOR_TRY(hasher->update(object_header(type, content_bytes)));
  return hasher;
}

}  // namespace vexor
