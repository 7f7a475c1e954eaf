#include "crypto/detecting_sha1.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>

#include "base/hex.h"
#include "crypto/object_hasher.h"
#include "support/vector_test.h"
#include "unit/crypto/sha1_paths.h"

namespace vexor {
namespace {

std::string digest_of(const DetectingSha1::Digest& digest) { return to_hex(Bytes(digest.bytes.data(), digest.bytes.size())); }

std::string openssl_sha1(Bytes message) {
  unsigned char out[20];
  EXPECT_EQ(EVP_Digest(message.data(), message.size(), out, nullptr, EVP_sha1(), nullptr), 1);
  return to_hex(Bytes(reinterpret_cast<const char*>(out), sizeof out));
}

std::string random_message(std::mt19937_64& random, std::size_t bytes) {
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

// Cut at the given length, and again.
DetectingSha1::Digest hash(const Sha1Cpu& cpu, Bytes message, std::size_t piece) {
  DetectingSha1 sum(cpu);
  for (; message.size() > piece; message.remove_prefix(piece)) sum.update(message.substr(0, piece));
  sum.update(message);
  return sum.finish();
}

std::string vector_bytes(const std::string& family, const std::string& name) {
  for (const test::Vector& vector : test::family_vectors(family)) {
    if (vector.name == name) return vector.bytes;
  }
  return {};
}

TEST(DetectingSha1, published_digests) {
  struct Case {
    std::string message, digest;
  };
  const Case cases[] = {  // FIPS 180-4 examples
      {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
      {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
       "a49b2446a02c645bf419f995b67091253a04a259"},
      {std::string(1'000'000, 'a'), "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
  };
  for (const Sha1Path& path : sha1_paths())
    for (const Case& it : cases) {
      const auto digest = hash(path.cpu, it.message, 1 << 30);
      EXPECT_EQ(digest_of(digest), it.digest) << path.name;
      EXPECT_FALSE(digest.attack) << path.name;
    }
}

TEST(DetectingSha1, any_length_in_any_pieces_as_openssl) {
  std::mt19937_64 random(1);
  const auto paths = sha1_paths();
  for (std::size_t bytes = 0; bytes < 2300; bytes += 1 + random() % 5) {
    const std::string message = random_message(random, bytes), expected = openssl_sha1(message);
    for (const Sha1Path& path : paths) {
      EXPECT_EQ(digest_of(hash(path.cpu, message, 1 << 30)), expected) << path.name << " " << bytes;
      EXPECT_EQ(digest_of(hash(path.cpu, message, 1 + random() % 1100)), expected) << path.name << " " << bytes;
    }
  }
}

TEST(DetectingSha1, split_at_every_boundary) {
  std::mt19937_64 random(2);
  const std::string message = random_message(random, 3 * 1024 + 70), expected = openssl_sha1(message);
  for (std::size_t cut = 0; cut <= message.size(); ++cut) {
    DetectingSha1 sum;
    sum.update(Bytes(message).substr(0, cut));
    sum.update(Bytes(message).substr(cut));
    ASSERT_EQ(digest_of(sum.finish()), expected) << cut;
  }
}

TEST(DetectingSha1, finds_the_published_collision) {
  const std::string one = vector_bytes("shattered", "one"), two = vector_bytes("shattered", "two");
  ASSERT_EQ(one.size(), 320U);
  ASSERT_EQ(two.size(), 320U);
  EXPECT_NE(one, two);
  std::mt19937_64 random(3);
  for (const Sha1Path& path : sha1_paths())
    for (const std::string& prefix : {one, two})
      for (const std::size_t more : {0, 1, 64, 300, 704, 705, 5000}) {  // and whatever follows it
        const std::string message = prefix + random_message(random, more);
        for (const std::size_t piece : {1 << 20, 1, 64, 100, 256}) {
          const auto digest = hash(path.cpu, message, piece);
          EXPECT_EQ(digest_of(digest), openssl_sha1(message)) << path.name << " +" << more << " by " << piece;
          EXPECT_TRUE(digest.attack) << path.name << " +" << more << " by " << piece;
        }
      }
}

// VEXOR_TEST_COLLISIONS: a directory of files that were made by collision attacks, such as the PDFs of SHAttered or the
// messages of "SHA-1 is a Shambles".
TEST(DetectingSha1, finds_the_collisions_given) {
  const char* directory = std::getenv("VEXOR_TEST_COLLISIONS");
  if (directory == nullptr) GTEST_SKIP() << "VEXOR_TEST_COLLISIONS is not set";
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    std::ifstream in(file.path(), std::ios::binary);
    const std::string message((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    for (const Sha1Path& path : sha1_paths()) EXPECT_TRUE(hash(path.cpu, message, 1 << 20).attack) << file.path() << " " << path.name;
  }
}

TEST(DetectingSha1, near_the_published_collision_is_no_attack) {
  const std::string message = vector_bytes("shattered", "one");
  for (const Sha1Path& path : sha1_paths()) {
    EXPECT_FALSE(hash(path.cpu, Bytes(message).substr(64), 1 << 20).attack) << path.name;  // other state before the blocks
    EXPECT_FALSE(hash(path.cpu, Bytes(message).substr(0, 192), 1 << 20).attack) << path.name;
    std::string changed = message;
    changed[200] = static_cast<char>(changed[200] ^ 0x10);
    EXPECT_FALSE(hash(path.cpu, changed, 1 << 20).attack) << path.name;
  }
}

TEST(ObjectHasher, ids_as_git_gives_them) {
  const auto id = [](ObjectType type, Bytes content) { return hash_object(HashAlgorithm::kSha1, type, content).value().hex(); };
  EXPECT_EQ(id(ObjectType::kBlob, ""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  EXPECT_EQ(id(ObjectType::kTree, ""), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
  EXPECT_EQ(id(ObjectType::kBlob, "what is up, doc?"), "bd9dbf5aae1a3862dd1526723246b20206e5fc37");
}

// Each object of a real repository, whole and in pieces. VEXOR_TEST_REPOSITORY names it.
TEST(ObjectHasher, ids_of_a_whole_repository) {
  const char* repository = std::getenv("VEXOR_TEST_REPOSITORY");
  if (repository == nullptr) GTEST_SKIP() << "VEXOR_TEST_REPOSITORY is not set";
  const std::string command = "git -C '" + std::string(repository) + "' cat-file --batch --batch-all-objects --unordered";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  ASSERT_NE(pipe, nullptr);
  char id[65], type[16];
  unsigned long long bytes = 0;
  std::uint64_t objects = 0;
  std::string content;
  while (std::fscanf(pipe.get(), "%64s %15s %llu", id, type, &bytes) == 3) {
    std::fgetc(pipe.get());
    content.resize(bytes);
    ASSERT_EQ(std::fread(content.data(), 1, bytes, pipe.get()), bytes);
    const ObjectType kind = parse_object_type(type).value();
    ASSERT_EQ(hash_object(HashAlgorithm::kSha1, kind, content).value().hex(), id);
    auto hasher = ObjectHasher::begin(HashAlgorithm::kSha1, kind, bytes).value();
    const std::size_t cut = objects * 37 % (bytes + 1);
    ASSERT_TRUE(hasher->update(Bytes(content).substr(0, cut)).has_value());
    ASSERT_TRUE(hasher->update(Bytes(content).substr(cut)).has_value());
    ASSERT_EQ(hasher->finish().value().hex(), id);
    ++objects;
  }
  EXPECT_GT(objects, 0U);
}

}  // namespace
}  // namespace vexor
