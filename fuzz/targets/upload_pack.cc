// A whole upload-pack session over a small repository; the first byte picks version and mode.
#include "targets/decoders.h"
#include "targets/session_fixture.h"
#include "vexorstore/protocol/upload_pack.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  if (size == 0) return 0;
  static fuzz::SessionFixture fixture;
  protocol::UploadPackOptions options;
  options.version = data[0] % 3;
  options.stateless = (data[0] & 4) != 0;
  const auto session = protocol::make_upload_pack(*fixture.store, fixture.repository, options).value();
  fuzz::run(*session, fuzz_bytes(data + 1, size - 1), data[0]);
  return 0;
}
