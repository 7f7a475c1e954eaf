#include "format/delta.h"

namespace vexor::format {

namespace {

Error bad(const char* what) { return Error(Errc::kProtocol, std::string("delta: ") + what); }

Result<std::uint64_t> read_size(Bytes delta, std::size_t& at) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 63; shift += 7) {
    if (at == delta.size()) return bad("ends in a size");
    const std::uint64_t byte = octet(delta, at++);
    value |= (byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return value;
  }
  return bad("size over 63 bits");
}

}  // namespace

Result<DeltaSizes> decode_delta_sizes(Bytes delta) {
  DeltaSizes sizes;
  std::size_t at = 0;
  VEXOR_TRY(sizes.base_bytes, read_size(delta, at));
  VEXOR_TRY(sizes.result_bytes, read_size(delta, at));
  sizes.header_bytes = at;
  return sizes;
}

Result<void> apply_delta(Bytes base, Bytes delta, std::uint64_t result_bytes_max, std::string& out) {
  VEXOR_TRY(const DeltaSizes sizes, decode_delta_sizes(delta));
  if (sizes.base_bytes != base.size()) return bad("made for a base of another size");
  if (sizes.result_bytes > result_bytes_max) {
    return Error(Errc::kLimitExceeded, "delta result bytes " + std::to_string(sizes.result_bytes) + " over " + std::to_string(result_bytes_max));
  }
  out.clear();
  // A hostile size alone must not allocate: the instructions have to be able to make it.
  if (sizes.result_bytes / 0x1000000U > delta.size()) return bad("too short for its result");
  out.reserve(sizes.result_bytes);
  std::size_t at = sizes.header_bytes;
  while (at < delta.size()) {
    const unsigned op = octet(delta, at++);
    if (op == 0) return bad("reserved instruction");
    if ((op & 0x80U) == 0) {
      if (delta.size() - at < op || sizes.result_bytes - out.size() < op) return bad("insert out of bounds");
      out.append(delta.substr(at, op));
      at += op;
      continue;
    }
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    for (unsigned i = 0; i < 7; ++i) {
      if ((op & (1U << i)) == 0) continue;
      if (at == delta.size()) return bad("ends in an instruction");
      const std::uint64_t byte = octet(delta, at++);
      if (i < 4) {
        offset |= byte << (8 * i);
      } else {
        size |= byte << (8 * (i - 4));
      }
    }
    if (size == 0) size = 0x10000;
    if (offset > base.size() || size > base.size() - offset || size > sizes.result_bytes - out.size()) return bad("copy out of bounds");
    out.append(base.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(size)));
  }
  if (out.size() != sizes.result_bytes) return bad("yields another size than it says");
  return success();
}

}  // namespace vexor::format
