// Object syntax: the checker and the lenient readers, of every type; .gitmodules.
#include "format/gitmodules_check.h"
#include "format/object_check.h"
#include "format/object_parse.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  for (const HashAlgorithm algorithm : {HashAlgorithm::kSha1, HashAlgorithm::kSha256}) {
    const format::ObjectChecker checker(algorithm, {});
    for (const ObjectType type : {ObjectType::kCommit, ObjectType::kTree, ObjectType::kBlob, ObjectType::kTag}) {
      std::vector<format::CheckFinding> findings;
      std::vector<ObjectId> modules;
      checker.check(type, input, findings, modules);
    }
    static_cast<void>(format::parse_commit(input, algorithm).has_value());
    static_cast<void>(format::parse_tag(input, algorithm).has_value());
  }
  static_cast<void>(format::check_gitmodules(input).has_value());
  static_cast<void>(format::is_dot_gitmodules(input));
  return 0;
}
