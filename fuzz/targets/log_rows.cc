// Log rows: what decodes, encodes to the same bytes.
#include "format/log_rows.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  const auto rows = format::decode_log_rows(input);
  if (rows.has_value()) must(format::encode_log_rows(rows.value().algorithm, rows.value().rows) == input);
  const auto applied = format::decode_applied_row(input);
  if (applied.has_value()) must(format::encode_applied_row(applied.value()) == input);
  const auto late = format::decode_late_row(input);
  if (late.has_value()) must(format::encode_late_row(late.value()) == input);
  return 0;
}
