// What cut-off pushes left in a store at rest: support/leftovers.h.
// Usage: vexor_leftovers STORE_DIRECTORY; one line a finding, exit code 1 if any.
#include "support/leftovers.h"

#include "vexorstore/sys/backends.h"

namespace {

using namespace vexor;

Result<unsigned> run(const char* directory) {
  VEXOR_TRY(const auto backend, sys::open_rocksdb_backend(directory));
  VEXOR_TRY(auto snapshot, backend->snapshot());
  return test::Leftovers(std::move(snapshot)).run();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto findings = run(argv[1]);
  if (findings.has_error()) {
    std::printf("%s\n", findings.error().describe().c_str());
    return 2;
  }
  return findings.value() == 0 ? 0 : 1;
}
