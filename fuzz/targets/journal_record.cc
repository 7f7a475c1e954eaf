// Journal records: what decodes, encodes to something that decodes to the same.
#include "format/journal_record.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  const auto record = format::decode_journal_record(fuzz_bytes(data, size));
  if (record.has_error()) return 0;
  const std::string once = format::encode_journal_record(record.value());
  const auto again = format::decode_journal_record(once);
  must(again.has_value() && format::encode_journal_record(again.value()) == once);
  return 0;
}
