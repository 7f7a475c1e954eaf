// Checking a tree beside one that it resembles finds what the full check finds.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "format/object_check.h"

namespace vexor::format {
namespace {

struct Entry {
  std::string mode, name;
  char id;
};

std::string encode(const std::vector<Entry>& entries) {
  std::string out;
  for (const Entry& entry : entries) out += entry.mode + " " + entry.name + std::string(1, '\0') + std::string(20, entry.id);
  return out;
}

std::string sort_key(const Entry& entry) { return entry.name + (entry.mode == "40000" ? "/" : ""); }

Entry random_entry(std::mt19937_64& random) {
  static const char* const kNames[] = {"a", "a.b", "a-", "a0", "ab", "b", "b.c", "git~1x", "git-add", ".gitmodules", ".gitignore", "z", "zz", "z-z"};
  static const char* const kRare[] = {".git", "..", "GIT~1", "x/y", ".GitModules", ""};
  const char* const mode = random() % 3 == 0 ? "40000" : random() % 40 == 0 ? "0100644" : random() % 40 == 0 ? "100600" : "100644";
  const std::string name = random() % 60 == 0 ? kRare[random() % std::size(kRare)] : kNames[random() % std::size(kNames)];
  return {mode, name + (random() % 2 != 0 ? "" : std::string(1, static_cast<char>('a' + random() % 26))), static_cast<char>(random() % 60 == 0 ? 0 : 'A' + random() % 20)};
}

std::vector<Entry> random_tree(std::mt19937_64& random) {
  std::vector<Entry> out(random() % 40);
  for (Entry& entry : out) entry = random_entry(random);
  if (random() % 20 == 0) return out;
  std::sort(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return sort_key(a) < sort_key(b); });
  out.erase(std::unique(out.begin(), out.end(), [](const Entry& a, const Entry& b) { return sort_key(a) == sort_key(b); }), out.end());
  return out;
}

std::vector<Entry> changed(std::mt19937_64& random, std::vector<Entry> entries) {
  for (std::size_t changes = random() % 4; changes > 0; --changes) {
    const std::size_t at = entries.empty() ? 0 : random() % entries.size();
    const auto place = entries.begin() + static_cast<std::ptrdiff_t>(at);
    switch (entries.empty() ? 0 : random() % 5) {
      case 0: {  // mostly where it belongs
        const Entry more = random_entry(random);
        const auto sorted = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return sort_key(e) > sort_key(more); });
        entries.insert(random() % 10 == 0 ? place : sorted, more);
        break;
      }
      case 1: entries.erase(place); break;
      case 2: place->id = static_cast<char>('A' + random() % 20); break;
      case 3: place->mode = place->mode == "40000" ? "100644" : "40000"; break;
      case 4: std::swap(*place, entries[random() % entries.size()]); break;
    }
  }
  return entries;
}

std::vector<std::string> ids_of(const std::vector<CheckFinding>& findings) {
  std::vector<std::string> out;
  for (const CheckFinding& finding : findings) out.emplace_back(finding.id);
  return out;
}

TEST(TreeLike, as_the_full_check) {
  std::mt19937_64 random(7);
  int plain = 0, bad = 0, twice = 0;
  for (const char* policy : {"", "treenotsorted=ignore,duplicateentries=ignore", "hasdot=ignore,zeropaddedfilemode=error"}) {
    const ObjectChecker checker(HashAlgorithm::kSha1, parse_check_policy(policy).value());
    for (int round = 0; round < 40000; ++round) {
      const std::vector<Entry> entries = random_tree(random);
      const std::string base = encode(entries);
      std::string tree = encode(changed(random, entries));
      if (random() % 10 == 0) tree.resize(random() % (tree.size() + 1));
      std::vector<CheckFinding> base_findings, expected, found;
      std::vector<ObjectId> base_modules, expected_modules, modules;
      std::vector<std::uint32_t> ends, expected_ends, found_ends;
      checker.check_tree_like({}, base, base_findings, base_modules, ends);
      if (!base_findings.empty()) EXPECT_TRUE(ends.empty());
      checker.check_tree_like({}, tree, expected, expected_modules, expected_ends);
      checker.check_tree_like({base, ends}, tree, found, modules, found_ends);
      ASSERT_EQ(ids_of(found), ids_of(expected)) << round;
      ASSERT_EQ(found_ends, expected_ends) << round;
      modules.insert(modules.end(), base_modules.begin(), base_modules.end());
      for (const ObjectId& id : expected_modules) ASSERT_NE(std::find(modules.begin(), modules.end(), id), modules.end()) << round;
      plain += ends.empty() ? 0 : 1;
      bad += expected.empty() ? 0 : 1;
      for (const CheckFinding& finding : expected) twice += finding.id == "duplicateEntries" ? 1 : 0;
    }
  }
  EXPECT_GT(plain, 1000);
  EXPECT_GT(bad, 1000);
  EXPECT_GT(twice, 100);
}

}  // namespace
}  // namespace vexor::format
