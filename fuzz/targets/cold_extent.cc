// Cold extents, frame and all: bounded memory whatever the row says, and what expands has the size that its header tells.
#include "pack/loaded_extent.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  for (const HashAlgorithm algorithm : {HashAlgorithm::kSha1, HashAlgorithm::kSha256}) {
    const auto loaded = pack::load_extent(77, algorithm, input, nullptr);
    if (loaded.has_error()) {
      must(loaded.error().code() == Errc::kCorrupt);
      continue;
    }
    const pack::LoadedExtent& extent = *loaded.value();
    if (!extent.header.is_cold) continue;
    must(extent.bytes.size() == extent.header.payload_bytes && extent.bytes.size() <= format::kColdContentsMax);
    std::uint64_t bytes = 0;
    for (std::size_t i = 0; i < extent.header.objects.size(); ++i) bytes += extent.payload(i).size();
    must(bytes == extent.bytes.size());
  }
  return 0;
}
