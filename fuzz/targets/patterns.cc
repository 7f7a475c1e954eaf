// Sparse patterns, filter specs and ref names. The first line is the path or name.
#include "format/path_pattern.h"
#include "format/ref_name.h"
#include "pack/filter.h"
#include "targets/decoders.h"

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace vexor;
  if (size > 4096) return 0;
  const Bytes input = fuzz_bytes(data, size);
  const Bytes first = input.substr(0, input.find('\n'));
  const auto patterns = format::PathPatterns::parse(input.substr(first.size()), 64);
  if (patterns) static_cast<void>(patterns->match(first, false));
  static_cast<void>(pack::parse_filter(input, Limits{}).has_value());
  static_cast<void>(format::is_valid_ref_name(first));
  return 0;
}
