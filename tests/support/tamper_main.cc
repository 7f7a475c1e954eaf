// Puts other bytes under the id of an object in a store at rest, for tests of the alarm.
// Usage: vexor_tamper STORE_DIRECTORY OBJECT_ID CONTENT
#include <cstdio>

#include "support/tamper.h"
#include "vexorstore/sys/backends.h"

namespace {

vexor::Result<void> run(char** argv) {
  VEXOR_TRY(const auto backend, vexor::sys::open_rocksdb_backend(argv[1]));
  VEXOR_TRY(const auto id, vexor::ObjectId::from_hex(vexor::HashAlgorithm::kSha1, argv[2]));
  return vexor::test::tamper(*backend, id, argv[3]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const auto done = run(argv);
  if (done.has_error()) std::printf("%s\n", done.error().describe().c_str());
  return done.has_error() ? 1 : 0;
}
