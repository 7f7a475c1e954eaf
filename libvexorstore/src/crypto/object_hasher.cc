#include "crypto/object_hasher.h"

#include <git2.h>
#include <git2/sys/odb_backend.h>
#include <openssl/evp.h>

#include "base/check.h"
#include "crypto/digest.h"

namespace vexor {

namespace {

git_object_t to_git(ObjectType type) { return static_cast<git_object_t>(type); }

Error git_failure() {
  const git_error* last = git_error_last();
  const std::string text = last != nullptr && last->message != nullptr ? last->message : "unknown";
  if (text.find("collision") != std::string::npos) return Error(Errc::kRefused, "SHA-1 collision attack detected");
  return Error(Errc::kIo, "hashing: " + text);
}

std::string object_header(ObjectType type, std::uint64_t bytes) {
  std::string out(object_type_name(type));
  out += ' ';
  out += std::to_string(bytes);
  out.push_back('\0');
  return out;
}

// libgit2 hashes what passes through a write stream; the backend below it drops the bytes.
struct NullBackend {
  git_odb_backend parent;
};

int null_write(git_odb_stream*, const char*, size_t) { return 0; }
int null_finalize(git_odb_stream*, const git_oid*) { return 0; }
void null_stream_free(git_odb_stream* stream) { delete stream; }
int null_exists(git_odb_backend*, const git_oid*) { return 0; }
void null_free(git_odb_backend* backend) { delete reinterpret_cast<NullBackend*>(backend); }

int null_writestream(git_odb_stream** out, git_odb_backend* backend, git_object_size_t, git_object_t) {
  auto* stream = new git_odb_stream{};
  stream->backend = backend;
  stream->mode = GIT_STREAM_WRONLY;
  stream->write = null_write;
  stream->finalize_write = null_finalize;
  stream->free = null_stream_free;
  *out = stream;
  return 0;
}

git_odb* null_odb() {
  static git_odb* const odb = [] {
    git_libgit2_init();
    git_odb* made = nullptr;
    VEXOR_CHECK(git_odb_new(&made) == 0);
    auto* backend = new NullBackend{};
    VEXOR_CHECK(git_odb_init_backend(&backend->parent, GIT_ODB_BACKEND_VERSION) == 0);
    backend->parent.writestream = null_writestream;
    backend->parent.exists = null_exists;
    backend->parent.free = null_free;
    VEXOR_CHECK(git_odb_add_backend(made, &backend->parent, 1) == 0);
    return made;
  }();
  return odb;
}

class Sha1Hasher final : public ObjectHasher {
 public:
  explicit Sha1Hasher(git_odb_stream* stream) : stream_(stream) {}
  ~Sha1Hasher() override { git_odb_stream_free(stream_); }
  Result<void> update(Bytes piece) override {
    if (git_odb_stream_write(stream_, piece.data(), piece.size()) != 0) return git_failure();
    return success();
  }
  Result<ObjectId> finish() override {
    git_oid id;
    if (git_odb_stream_finalize_write(&id, stream_) != 0) return git_failure();
    return ObjectId::from_raw(HashAlgorithm::kSha1, Bytes(reinterpret_cast<const char*>(id.id), GIT_OID_RAWSZ));
  }

 private:
  git_odb_stream* stream_;
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
  null_odb();  // initialises libgit2
  git_oid id;
  if (git_odb_hash(&id, content.data(), content.size(), to_git(type)) != 0) return git_failure();
  return ObjectId::from_raw(algorithm, Bytes(reinterpret_cast<const char*>(id.id), GIT_OID_RAWSZ));
}

Result<std::unique_ptr<ObjectHasher>> ObjectHasher::begin(HashAlgorithm algorithm, ObjectType type,
                                                          std::uint64_t content_bytes) {
  if (algorithm == HashAlgorithm::kSha256) {
    auto hasher = std::make_unique<Sha256Hasher>();
    VEXOR_TRY(hasher->update(object_header(type, content_bytes)));
    return std::unique_ptr<ObjectHasher>(std::move(hasher));
  }
  git_odb_stream* stream = nullptr;
  if (git_odb_open_wstream(&stream, null_odb(), content_bytes, to_git(type)) != 0) return git_failure();
  return std::unique_ptr<ObjectHasher>(new Sha1Hasher(stream));
}

}  // namespace vexor
