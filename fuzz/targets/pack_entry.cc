// Pack headers and entry headers, of both hash algorithms.
#include "format/pack_entry.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  if (input.size() >= 12) must(!format::decode_pack_header(input.substr(0, 12)).has_value() || input.starts_with("PACK"));
  for (const HashAlgorithm algorithm : {HashAlgorithm::kSha1, HashAlgorithm::kSha256}) {
    const auto header = format::decode_pack_entry_header(input, algorithm);
    if (header.has_value() && header.value()) must(header.value()->header_bytes <= input.size());
  }
  return 0;
}
