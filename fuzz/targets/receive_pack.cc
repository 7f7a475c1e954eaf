// A whole receive-pack session; afterwards the repository is as sound as before.
#include "targets/decoders.h"
#include "targets/session_fixture.h"
#include "vexorstore/maintenance.h"
#include "vexorstore/protocol/receive_pack.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  if (size == 0) return 0;
  static fuzz::SessionFixture fixture;
  protocol::ReceivePackOptions options;
  options.version = data[0] % 2;
  options.stateless = (data[0] & 4) != 0;
  const auto before = fixture.store->last_sequence();
  const auto session = protocol::make_receive_pack(*fixture.store, fixture.repository, options).value();
  fuzz::run(*session, fuzz_bytes(data + 1, size - 1), data[0]);
  if (fixture.store->last_sequence() != before) {
    must(verify_repository(*fixture.store, fixture.repository.id).value().problem_count == 0);
  }
  return 0;
}
