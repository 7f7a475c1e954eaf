// Rows of refs, repositories, bitmaps and graph.
#include "format/state_rows.h"
#include "pack/reachability.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  for (const HashAlgorithm algorithm : {HashAlgorithm::kSha1, HashAlgorithm::kSha256}) {
    const auto ref = format::decode_ref_row(algorithm, input);
    if (ref.has_value()) must(format::decode_ref_row(algorithm, format::encode_ref_row(ref.value())).has_value());
  }
  const auto repository = format::decode_repository_row(input);
  if (repository.has_value()) must(format::decode_repository_row(format::encode_repository_row(repository.value())).has_value());
  const auto bitmap = pack::decode_bitmap_row(input);
  if (bitmap.has_value()) must(pack::decode_bitmap_row(pack::encode_bitmap_row(bitmap.value())).has_value());
  const auto graph = pack::decode_graph_row(input);
  if (graph.has_value()) must(pack::decode_graph_row(pack::encode_graph_row(graph.value())).has_value());
  return 0;
}
