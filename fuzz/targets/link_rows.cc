// Link rows: what is taken are log rows, which go over a link again.
#include "format/log_rows.h"
#include "targets/decoders.h"
#include "vexorstore/link_rows.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  // Rows that a sender would read from its store, too.
  const auto sent = to_link_rows(input);
  if (sent.has_value()) must(from_link_rows(sent.value()).has_value());
  const auto rows = from_link_rows(input);
  if (!rows.has_value()) return 0;
  must(format::decode_log_rows(rows.value()).has_value());
  const auto again = to_link_rows(rows.value());
  if (again.has_value()) must(from_link_rows(again.value()).has_value());
  return 0;
}
