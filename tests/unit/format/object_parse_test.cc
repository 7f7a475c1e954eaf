#include "format/object_parse.h"

#include <sstream>

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

template <class T>
bool refused_as_said(const Vector& vector, const Result<T>& result) {
  EXPECT_EQ(result.has_error(), vector.refused());
  if (result.has_error() && vector.refused()) {
    EXPECT_EQ(errc_name(result.error().code()), vector.text("error"));
  }
  return result.has_error();
}

// Readers are lenient: a cut commit or tag may be read, but never as something that the whole does not say.
TEST(ParseCommit, vectors_whole_and_cut) {
  for (const Vector& vector : of_kind(family_vectors("objects"), "commit")) {
    SCOPED_TRACE(vector.name);
    const auto whole = parse_commit(vector.bytes, vector.algorithm());
    if (refused_as_said(vector, whole)) continue;
    EXPECT_EQ(whole.value().tree, vector.id("tree"));
    std::vector<std::string> parents;
    for (const ObjectId& parent : whole.value().parents) parents.push_back(parent.hex());
    EXPECT_EQ(parents, vector.all("parent"));
    EXPECT_EQ(whole.value().commit_time, vector.integer("time"));
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
      const auto part = parse_commit(Bytes(vector.bytes).substr(0, cut), vector.algorithm());
      if (part.has_error()) continue;
      EXPECT_EQ(part.value().tree, whole.value().tree) << cut;
      EXPECT_LE(part.value().parents.size(), whole.value().parents.size()) << cut;
    }
  }
}

TEST(ParseTag, vectors_whole_and_cut) {
  for (const Vector& vector : of_kind(family_vectors("objects"), "tag")) {
    SCOPED_TRACE(vector.name);
    const auto whole = parse_tag(vector.bytes, vector.algorithm());
    if (refused_as_said(vector, whole)) continue;
    EXPECT_EQ(whole.value().target, vector.id("target"));
    EXPECT_EQ(object_type_name(whole.value().target_type), vector.text("target_type"));
    EXPECT_EQ(whole.value().name, vector.text("tag"));
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
      const auto part = parse_tag(Bytes(vector.bytes).substr(0, cut), vector.algorithm());
      if (part.has_error()) continue;
      EXPECT_EQ(part.value().target, whole.value().target) << cut;
      EXPECT_EQ(part.value().target_type, whole.value().target_type) << cut;
    }
  }
}

Result<std::vector<std::string>> read_tree(Bytes bytes, HashAlgorithm algorithm, std::size_t& count) {
  std::vector<std::string> out;
  TreeReader reader(bytes, algorithm);
  TreeEntry entry;
  for (;;) {
    count = out.size();
    VEXOR_TRY(const bool more, reader.next(entry));
    if (!more) return out;
    std::ostringstream line;
    line << std::oct << entry.mode << " " << entry.name << " " << to_hex(entry.id_raw);
    out.push_back(line.str());
  }
}

TEST(TreeReader, vectors_whole_and_cut) {
  for (const Vector& vector : of_kind(family_vectors("objects"), "tree")) {
    SCOPED_TRACE(vector.name);
    std::size_t count = 0;
    const auto whole = read_tree(vector.bytes, vector.algorithm(), count);
    if (refused_as_said(vector, whole)) {
      EXPECT_EQ(count, vector.number("entries_before_error"));
      continue;
    }
    const std::vector<std::string> entries = vector.all("entry");
    EXPECT_EQ(whole.value(), entries);
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
      const auto part = read_tree(Bytes(vector.bytes).substr(0, cut), vector.algorithm(), count);
      EXPECT_LT(count, entries.size()) << cut;  // between entries a cut is a shorter tree, else an error
      if (part.has_error()) continue;
      EXPECT_TRUE(std::equal(part.value().begin(), part.value().end(), entries.begin())) << cut;
    }
  }
}

}  // namespace
}  // namespace vexor::format
