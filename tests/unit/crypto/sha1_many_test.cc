#include "crypto/sha1_many.h"

#include <gtest/gtest.h>

#include <random>

#include "base/hex.h"
#include "support/vector_test.h"
#include "unit/crypto/sha1_paths.h"

namespace vexor {
namespace {

DetectingSha1::Digest alone(const Sha1Message& message) {
  DetectingSha1 sum;
  sum.update(message.head);
  sum.update(message.body);
  return sum.finish();
}

// Lengths around the ends of blocks, equal and very different ones, few and many messages.
TEST(Sha1Many, as_one_by_one) {
  std::mt19937_64 random(1);
  std::string bytes(1 << 17, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  for (const Sha1Path& path : sha1_paths()) {
    for (int round = 0; round < 60; ++round) {
      std::vector<Sha1Message> messages(random() % 70);
      const std::size_t longest = std::size_t{1} << (random() % 17);
      for (Sha1Message& message : messages) {
        message.head = Bytes(bytes).substr(random() % 1000, random() % 64);
        message.body = Bytes(bytes).substr(random() % 1000, random() % (longest + 1));
      }
      sha1_many(path.cpu, messages);
      for (const Sha1Message& message : messages) {
        ASSERT_EQ(message.digest.bytes, alone(message).bytes) << path.name << " " << message.head.size() << "+" << message.body.size();
        ASSERT_FALSE(message.digest.attack);
      }
    }
  }
}

TEST(Sha1Many, every_length_up_to_some_blocks) {
  const std::string bytes(400, 'x');
  for (const Sha1Path& path : sha1_paths()) {
    std::vector<Sha1Message> messages;
    for (std::size_t head : {0U, 1U, 10U, 63U})
      for (std::size_t body = 0; body < 330; ++body) messages.push_back({Bytes(bytes).substr(0, head), Bytes(bytes).substr(0, body)});
    sha1_many(path.cpu, messages);
    for (const Sha1Message& message : messages) ASSERT_EQ(message.digest.bytes, alone(message).bytes) << path.name << " " << message.head.size() << "+" << message.body.size();
  }
}

// Which of them, and no other.
TEST(Sha1Many, finds_the_published_collision_among_others) {
  std::vector<std::string> attacks;
  for (const test::Vector& vector : test::family_vectors("shattered")) {
    if (vector.name == "one" || vector.name == "two") attacks.push_back(vector.bytes);
  }
  ASSERT_EQ(attacks.size(), 2U);
  std::mt19937_64 random(2);
  for (const Sha1Path& path : sha1_paths()) {
    for (int round = 0; round < 40; ++round) {
      std::vector<std::string> bodies;
      std::vector<bool> is_attack;
      for (std::size_t i = 0; i < 3 + random() % 60; ++i) {
        is_attack.push_back(random() % 9 == 0);
        bodies.push_back((is_attack.back() ? attacks[random() % 2] : std::string()) + std::string(random() % 2000, 'y'));
      }
      std::vector<Sha1Message> messages;
      for (const std::string& body : bodies) messages.push_back({{}, body});
      sha1_many(path.cpu, messages);
      for (std::size_t i = 0; i < messages.size(); ++i) {
        ASSERT_EQ(messages[i].digest.attack, is_attack[i]) << path.name << " " << round << " " << i;
        ASSERT_EQ(messages[i].digest.bytes, alone(messages[i]).bytes);
      }
    }
  }
}

}  // namespace
}  // namespace vexor
