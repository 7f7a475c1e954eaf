// Runs a fuzz target without a fuzzer: every file of a corpus and every test vector, every prefix of small ones,
// and a number of random changes of each, always the same ones.
// Usage: PROGRAM CORPUS_DIRECTORY CHANGES [VECTORS.txt...]
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "support/vectors.h"
#include "targets/decoders.h"

namespace {

void run(const std::string& input) { LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size()); }

std::string change(const std::string& seed, const std::string& other, std::mt19937& random) {
  std::string out = seed;
  for (unsigned i = 1 + random() % 4; i > 0; --i) {
    const std::size_t at = out.empty() ? 0 : random() % out.size();
    switch (random() % 5) {
      case 0: if (!out.empty()) out[at] = static_cast<char>(out[at] ^ (1U << random() % 8)); break;
      case 1: if (!out.empty()) out[at] = static_cast<char>(random()); break;
      case 2: out.erase(at, 1 + random() % 8); break;
      case 3: out.insert(at, 1 + random() % 8, static_cast<char>(random())); break;
      default: out.insert(at, other.substr(other.empty() ? 0 : random() % other.size(), random() % 64)); break;
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY CHANGES [VECTORS.txt...]\n", argv[0]), 2;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<std::string> seeds{""};
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  for (int i = 3; i < argc; ++i) {
    for (const vexor::test::Vector& vector : vexor::test::load_vectors(argv[i])) seeds.push_back(vector.bytes);
  }
  std::mt19937 random(1);
  unsigned long runs = 0;
  for (const std::string& seed : seeds) {
    run(seed);
    for (std::size_t cut = 0; cut < std::min<std::size_t>(seed.size(), 2048); ++cut, ++runs) run(seed.substr(0, cut));
    for (int i = std::atoi(argv[2]); i > 0; --i, ++runs) run(change(seed, seeds[random() % seeds.size()], random));
  }
  std::printf("%zu seeds, %lu runs\n", seeds.size(), runs);
  return 0;
}
