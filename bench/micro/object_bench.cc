// Work on each object of a push: hashing, checking, parsing.
#include <benchmark/benchmark.h>

#include "crypto/digest.h"
#include "crypto/object_hasher.h"
#include "format/object_check.h"
#include "inputs.h"

namespace vexor::bench {
namespace {

void set_bytes(benchmark::State& state, std::size_t bytes) { state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes)); }

const char kCommit[] =
    "tree 0123456789abcdef0123456789abcdef01234567\nparent 0123456789abcdef0123456789abcdef01234567\n"
    "author A U Thor <author@example.com> 1700000000 +0200\ncommitter C O Mitter <committer@example.com> 1700000100 +0200\n\n"
    "area: a subject of about this length\n\nA body that says why, in some lines of text\nas people write them.\n";

void tree_parse(benchmark::State& state) {
  const std::string tree = make_tree(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    format::TreeReader reader(tree, HashAlgorithm::kSha1);
    format::TreeEntry entry;
    while (reader.next(entry).value()) benchmark::DoNotOptimize(entry.name.data());
  }
  set_bytes(state, tree.size());
}
BENCHMARK(tree_parse)->Arg(10)->Arg(300);

void commit_parse(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(format::parse_commit(kCommit, HashAlgorithm::kSha1).value().commit_time);
  set_bytes(state, sizeof kCommit - 1);
}
BENCHMARK(commit_parse);

void object_check(benchmark::State& state, ObjectType type, const std::string& content) {
  const format::ObjectChecker checker(HashAlgorithm::kSha1, {});
  std::vector<format::CheckFinding> findings;
  std::vector<ObjectId> modules;
  for (auto _ : state) {
    checker.check(type, content, findings, modules);
    benchmark::ClobberMemory();
  }
  if (!findings.empty()) state.SkipWithError("the object has findings");
  set_bytes(state, content.size());
}
BENCHMARK_CAPTURE(object_check, tree_10, ObjectType::kTree, make_tree(10));
BENCHMARK_CAPTURE(object_check, tree_300, ObjectType::kTree, make_tree(300));
BENCHMARK_CAPTURE(object_check, commit, ObjectType::kCommit, std::string(kCommit));

void object_hash(benchmark::State& state, HashAlgorithm algorithm) {
  const std::string content = make_source(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(hash_object(algorithm, ObjectType::kBlob, content).value());
  set_bytes(state, content.size());
}
BENCHMARK_CAPTURE(object_hash, sha1, HashAlgorithm::kSha1)->Arg(300)->Arg(10'000)->Arg(1 << 20);
BENCHMARK_CAPTURE(object_hash, sha256, HashAlgorithm::kSha256)->Arg(300)->Arg(10'000)->Arg(1 << 20);

void pack_checksum(benchmark::State& state) {
  const std::string piece = make_noise(64 << 10);
  PackChecksum sum(HashAlgorithm::kSha1);
  for (auto _ : state) sum.update(piece);
  set_bytes(state, piece.size());
}
BENCHMARK(pack_checksum);

}  // namespace
}  // namespace vexor::bench
