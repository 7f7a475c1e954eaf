// Object ids by our SHA-1, by libgit2's (which detects collisions too) and by OpenSSL's (which does not), over
// random content of fixed sizes. The default options interleave repetitions, so that a busy machine harms all alike;
// time is CPU time.
#include <benchmark/benchmark.h>
#include <git2.h>
#include <openssl/evp.h>

#include <random>
#include <string>
#include <vector>

#include "crypto/detecting_sha1.h"
#include "crypto/object_hasher.h"

namespace vexor {
namespace {

constexpr std::size_t kContents = 64;  // different ones, hashed in turn

std::vector<std::string> contents(std::size_t bytes) {
  std::mt19937_64 random(bytes);
  std::vector<std::string> out(bytes < 65536 ? 64 * kContents : kContents, std::string(bytes, '\0'));
  for (std::string& content : out)
    for (char& c : content) c = static_cast<char>(random());
  return out;
}

template <class Hash>
void run(benchmark::State& state, Hash hash) {
  const auto inputs = contents(static_cast<std::size_t>(state.range(0)));
  std::size_t next = 0;
  for (auto unused : state) {
    static_cast<void>(unused);
    hash(inputs[next++ % inputs.size()]);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}

void ours(benchmark::State& state) {
  run(state, [](const std::string& content) {
    benchmark::DoNotOptimize(hash_object(HashAlgorithm::kSha1, ObjectType::kBlob, content).has_value());
  });
}

void ours_without(benchmark::State& state, Sha1Cpu cpu) {
  run(state, [cpu](const std::string& content) {
    DetectingSha1 sum(cpu);
    sum.update(content);
    benchmark::DoNotOptimize(sum.finish());
  });
}

void libgit2(benchmark::State& state) {
  run(state, [](const std::string& content) {
    git_oid id;
    benchmark::DoNotOptimize(git_odb_hash(&id, content.data(), content.size(), GIT_OBJECT_BLOB));
    benchmark::DoNotOptimize(id);
  });
}

void openssl_no_detection(benchmark::State& state) {
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  run(state, [context](const std::string& content) {
    unsigned char id[20];
    EVP_DigestInit_ex(context, EVP_sha1(), nullptr);
    EVP_DigestUpdate(context, "blob 0", 7);
    EVP_DigestUpdate(context, content.data(), content.size());
    EVP_DigestFinal_ex(context, id, nullptr);
    benchmark::DoNotOptimize(id);
  });
  EVP_MD_CTX_free(context);
}

void register_all() {
  const Sha1Cpu& has = Sha1Cpu::detect();
  const auto sized = [](benchmark::internal::Benchmark* it) {
    for (const std::int64_t bytes : {64, 200, 1 << 10, 64 << 10, 1 << 20}) it->Arg(bytes);
  };
  benchmark::RegisterBenchmark("ours", ours)->Apply(sized);
  benchmark::RegisterBenchmark("libgit2", libgit2)->Apply(sized);
  benchmark::RegisterBenchmark("openssl_no_detection", openssl_no_detection)->Apply(sized);
  const auto part = [&](const char* name, Sha1Cpu cpu) { benchmark::RegisterBenchmark(name, ours_without, cpu)->Apply(sized); };
  part("ours_avx2", {has.sha, has.avx2, false, false});
  part("ours_avx2_no_sha", {false, has.avx2, false, false});
  part("ours_sha_only", {has.sha, false, false, false});
  part("ours_portable", {});
}

}  // namespace
}  // namespace vexor

int main(int argc, char** argv) {
  std::vector<char*> arguments(argv, argv + argc);
  char interleave[] = "--benchmark_enable_random_interleaving=true", repeat[] = "--benchmark_repetitions=5",
       aggregate[] = "--benchmark_report_aggregates_only=true";
  for (char* option : {aggregate, repeat, interleave}) arguments.insert(arguments.begin() + 1, option);
  int count = static_cast<int>(arguments.size());
  git_libgit2_init();
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  vexor::register_all();
  benchmark::RunSpecifiedBenchmarks();
  git_libgit2_shutdown();
  return 0;
}
