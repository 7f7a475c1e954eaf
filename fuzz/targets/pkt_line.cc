// Packets: decoded one after another; what was decoded encodes to the same bytes.
#include "format/pkt_line.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  Bytes input = fuzz_bytes(data, size);
  while (true) {
    const auto step = format::decode_pkt_line(input);
    if (step.has_error() || !step.value().complete) return 0;
    must(step.value().consumed >= 4 && step.value().consumed <= input.size());
    if (step.value().line.kind == format::PktLine::Kind::kData) {
      std::string again;
      format::append_pkt_line(again, step.value().line.data);
      must(again.size() == step.value().consumed);
    }
    input.remove_prefix(step.value().consumed);
  }
}
