// Stored rows of all families but extents and journal: what decodes, encodes to the same bytes.
#include "format/account_rows.h"
#include "format/pool_rows.h"
#include "format/purge_rows.h"
#include "format/state_rows.h"
#include "pack/kept_sets.h"
#include "store/forgotten.h"
#include "targets/decoders.h"

namespace {

template <class Row, class Encode>
void must_encode_back(vexor::Bytes input, const vexor::Result<Row>& row, Encode encode) {
  if (row.has_value()) vexor::must(encode(row.value()) == input);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  for (const HashAlgorithm algorithm : {HashAlgorithm::kSha1, HashAlgorithm::kSha256}) {
    must_encode_back(input, format::decode_ref_row(algorithm, input), format::encode_ref_row);
  }
  must_encode_back(input, format::decode_reflog_row(input), format::encode_reflog_row);
  must_encode_back(input, format::decode_repository_row(input), format::encode_repository_row);
  must_encode_back(input, format::decode_account_row(input), format::encode_account_row);
  must_encode_back(input, format::decode_key_row(input), format::encode_key_row);
  must_encode_back(input, format::decode_grant_row(input), format::encode_grant_row);
  must_encode_back(input, format::decode_index_row(input), format::encode_index_row);
  must_encode_back(input, format::decode_graph_row(input), format::encode_graph_row);
  must_encode_back(input, format::decode_quarantine_row(input), format::encode_quarantine_row);
  must_encode_back(input, format::decode_pool_upkeep_row(input), format::encode_pool_upkeep_row);
  must_encode_back(input, format::decode_scrub_row(input), format::encode_scrub_row);
  must_encode_back(input, format::decode_upkeep_cursor_row(input), format::encode_upkeep_cursor_row);
  must_encode_back(input, format::decode_purge_row(input), format::encode_purge_row);
  must_encode_back(input, format::decode_purge_report_row(input), format::encode_purge_report_row);
  must_encode_back(input, store::decode_forgetting_row(input), store::encode_forgetting_row);
  // The set is the library's: a damaged one may be read as another set, which encodes to other bytes.
  const auto bitmap = pack::decode_bitmap_row(input);
  if (bitmap.has_value()) must(pack::decode_bitmap_row(pack::encode_bitmap_row(bitmap.value())).has_value());
  const auto kept = pack::decode_kept_set(input);
  if (kept.has_value()) must(pack::decode_kept_set(pack::encode_kept_set(kept.value())).has_value());
  const auto forgotten = store::decode_forgotten_row(input);
  if (forgotten.has_value()) must(store::decode_forgotten_row(store::encode_forgotten_row(forgotten.value())).has_value());
  const auto dropped = store::decode_dropped_row(input);
  if (dropped.has_value()) must(store::decode_dropped_row(store::encode_dropped_row(dropped.value())).has_value());
  return 0;
}
