// Inputs of the micro benchmarks: the same octets in every run, of the sizes that git.git has.
#pragma once

#include <random>
#include <string>

#include "vexorstore/object_id.h"

namespace vexor::bench {

inline std::string make_noise(std::size_t count, unsigned seed = 1) {
  std::mt19937 chance(seed);
  std::string out(count, '\0');
  for (char& c : out) c = static_cast<char>(chance());
  return out;
}

inline ObjectId make_id(int number) {
  return ObjectId::from_raw(HashAlgorithm::kSha1, make_noise(20, static_cast<unsigned>(number) + 1));
}

// Text that deflates about as source code does.
inline std::string make_source(std::size_t count) {
  static constexpr const char* kWords[] = {"static", "int", "struct", "object", "return", "if", "(repo", "->", "ref;",
                                           "\n\t", "{\n", "}\n", "char *", "count", "= 0;", "const", "strbuf", "&oid,", "die(_(\"", "/* "};
  std::mt19937 chance(7);
  std::string out;
  while (out.size() < count) {
    out += kWords[chance() % 20];
    out += chance() % 5 == 0 ? std::to_string(chance() % 10'000) : " ";
  }
  out.resize(count);
  return out;
}

// A well-formed tree with so many files.
inline std::string make_tree(int entries) {
  std::string out;
  for (int i = 0; i < entries; ++i) {
    char name[32];
    std::snprintf(name, sizeof name, "builtin-file%05d.c", i);
    out += std::string("100644 ") + name + std::string(1, '\0') + std::string(make_id(i).raw());
  }
  return out;
}

inline void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 128; value >>= 7) out.push_back(static_cast<char>(value | 128));
  out.push_back(static_cast<char>(value));
}

// One copy instruction of a delta; count below 2^24. Spec: gitformat-pack.
inline void append_copy(std::string& out, std::uint64_t offset, std::uint64_t count) {
  std::string arguments;
  unsigned char op = 0x80;
  for (unsigned i = 0; i < 4; ++i) {
    if (const auto octet = static_cast<char>(offset >> (8 * i)); octet != 0) {
      op = static_cast<unsigned char>(op | (1U << i));
      arguments.push_back(octet);
    }
  }
  for (unsigned i = 0; i < 3; ++i) {
    if (const auto octet = static_cast<char>(count >> (8 * i)); octet != 0) {
      op = static_cast<unsigned char>(op | (16U << i));
      arguments.push_back(octet);
    }
  }
  out.push_back(static_cast<char>(op));
  out += arguments;
}

}  // namespace vexor::bench
