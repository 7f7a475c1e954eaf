// Journal records: what decodes, encodes to the same bytes.
#include "format/journal_record.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const Bytes input = fuzz_bytes(data, size);
  const auto record = format::decode_journal_record(input);
  if (record.has_value()) must(format::encode_journal_record(record.value()) == input);
  return 0;
}
