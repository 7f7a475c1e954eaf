// Refs as upload-pack tells them: the advertisement of versions 0 and 1, and ls-refs of version 2.
// Hidden refs, and symrefs to them or to nothing, are left out.
#pragma once

#include <functional>

#include "store/store_core.h"

namespace vexor::protocol {

// Spec: gitprotocol-v2 "ls-refs".
struct LsRefs {
  bool symrefs = false;
  bool peel = false;
  bool unborn = false;
  std::vector<std::string> prefixes;  // empty: all
};
// Takes one argument line. Errors: kProtocol, kLimitExceeded.
Result<void> parse_ls_refs_argument(Bytes text, const Limits& limits, LsRefs& request);

// Calls emit(line) for each answer line, in the order of ref names.
Result<void> list_refs(const store::RepositorySnapshot& repository, LsRefs request,
                       const std::function<void(Bytes)>& emit);

// Appends the ref advertisement with `capabilities` (symref capabilities are added) and a flush.
// Spec: gitprotocol-pack "Reference Discovery".
Result<void> advertise_refs(const store::RepositorySnapshot& repository, std::string capabilities, std::string& out);

}  // namespace vexor::protocol
