#include "crypto/digest.h"

#include "vexorstore/sys/random.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>

#include "base/check.h"

namespace vexor {

namespace {
const unsigned char* raw(Bytes bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* raw(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }
}  // namespace

struct PackChecksum::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

PackChecksum::PackChecksum(HashAlgorithm algorithm) : context_(new Context) {
  VEXOR_CHECK(EVP_DigestInit_ex(context_->evp, algorithm == HashAlgorithm::kSha1 ? EVP_sha1() : EVP_sha256(), nullptr) == 1);
}
PackChecksum::~PackChecksum() = default;
void PackChecksum::update(Bytes bytes) { EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()); }
std::string PackChecksum::finish() {
  std::string out(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  EVP_DigestFinal_ex(context_->evp, raw(out), &size);
  out.resize(size);
  return out;
}

struct Blake2b::State {
  crypto_generichash_state sodium;
};

Blake2b::Blake2b() : state_(new State) { VEXOR_CHECK(crypto_generichash_init(&state_->sodium, nullptr, 0, 32) == 0); }
Blake2b::~Blake2b() = default;
void Blake2b::update(Bytes bytes) { crypto_generichash_update(&state_->sodium, raw(bytes), bytes.size()); }
std::string Blake2b::finish() {
  std::string out(32, '\0');
  crypto_generichash_final(&state_->sodium, raw(out), out.size());
  return out;
}

std::string blake2b_256(Bytes bytes) {
  std::string out(32, '\0');
  crypto_generichash(raw(out), out.size(), raw(bytes), bytes.size(), nullptr, 0);
  return out;
}

std::string blake2b_256_keyed(Bytes key, Bytes bytes) {
  std::string out(32, '\0');
  VEXOR_CHECK(crypto_generichash(raw(out), out.size(), raw(bytes), bytes.size(), raw(key), key.size()) == 0);
  return out;
}

std::string sha256(Bytes bytes) {
  PackChecksum sum(HashAlgorithm::kSha256);
  sum.update(bytes);
  return sum.finish();
}

std::string random_bytes(std::size_t count) {
  VEXOR_CHECK(sodium_init() >= 0);
  std::string out(count, '\0');
  randombytes_buf(out.data(), out.size());
  return out;
}

bool constant_time_equal(Bytes a, Bytes b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace vexor

namespace vexor::sys {

std::string random_bytes(std::size_t count) { return vexor::random_bytes(count); }
std::string keyed_tag(Bytes key, Bytes message) { return blake2b_256_keyed(key, message); }

}  // namespace vexor::sys
