#include "format/path_pattern.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

std::string verdict(const PathPatterns& patterns, std::string path) {
  const bool directory = path.ends_with('/');
  if (directory) path.pop_back();
  const auto match = patterns.match(path, directory);
  return !match ? "none" : *match ? "in" : "out";
}

TEST(PathPatterns, vectors_whole_and_cut) {
  for (const Vector& vector : of_kind(family_vectors("path_pattern"), "patterns")) {
    SCOPED_TRACE(vector.name);
    const std::size_t max = vector.has("max") ? vector.number("max") : 100;
    const auto patterns = PathPatterns::parse(vector.bytes, max);
    EXPECT_EQ(patterns.has_value(), !vector.refused());
    if (!patterns) continue;
    for (const char* expected : {"in", "out", "none"}) {
      for (const std::string& path : vector.all(expected)) {
        EXPECT_EQ(verdict(*patterns, path), expected) << path;
        for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) verdict(PathPatterns::parse(Bytes(vector.bytes).substr(0, cut), max).value(), path);
      }
    }
  }
}

TEST(Wildmatch, vectors) {
  for (const Vector& vector : of_kind(family_vectors("path_pattern"), "glob")) {
    for (const std::string& text : vector.all("match")) EXPECT_TRUE(wildmatch(vector.bytes, text)) << vector.name << ": " << text;
    for (const std::string& text : vector.all("no_match")) EXPECT_FALSE(wildmatch(vector.bytes, text)) << vector.name << ": " << text;
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) wildmatch(Bytes(vector.bytes).substr(0, cut), "a/b");
  }
}

}  // namespace
}  // namespace vexor::format
