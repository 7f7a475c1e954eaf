// Deltas: the first half of the input is the base. A result never exceeds the limit.
#include "format/delta.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  constexpr std::uint64_t kMax = 1 << 20;
  const Bytes input = fuzz_bytes(data, size);
  const std::string base(input.substr(0, size / 2));
  std::string result;
  const auto applied = format::apply_delta(base, input.substr(size / 2), kMax, result);
  must(applied.has_error() || result.size() <= kMax);
  return 0;
}
