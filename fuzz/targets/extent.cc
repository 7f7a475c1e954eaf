// Extent headers: what decodes, encodes to the same bytes.
#include "format/extent.h"
#include "format/keys.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  const auto key = format::decode_extent_key(input);
  if (key.has_value()) must(format::extent_key(key.value().pool, key.value().first, key.value().chunk) == input);
  for (const HashAlgorithm algorithm : {HashAlgorithm::kSha1, HashAlgorithm::kSha256}) {
    const auto header = format::decode_extent_header(77, algorithm, input);
    if (header.has_error()) continue;
    must(header.value().header_bytes <= input.size());
    const std::string again = header.value().is_cold ? format::encode_cold_extent_header(77, header.value().objects, header.value().frame_bytes)
                                                     : format::encode_extent_header(77, header.value().objects);
    must(again == input.substr(0, header.value().header_bytes));
  }
  return 0;
}
