#include "format/pkt_line.h"

#include <algorithm>

#include "base/check.h"

namespace vexor::format {

namespace {
int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_length(std::string& out, std::size_t length) {
  constexpr char kDigits[] = "0123456789abcdef";
  for (int shift = 12; shift >= 0; shift -= 4) out.push_back(kDigits[(length >> shift) & 15U]);
}
}  // namespace

Result<PktLineStep> decode_pkt_line(Bytes input) {
  PktLineStep step;
  std::size_t length = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(4, input.size()); ++i) {
    const int digit = hex_digit(input[i]);
    if (digit < 0) return Error(Errc::kProtocol, "pkt-line: the length is not hexadecimal");
    length = length * 16 + static_cast<std::size_t>(digit);
  }
  if (input.size() < 4) {
    step.bytes_needed = 4 - input.size();
    return step;
  }
  if (length == 3) return Error(Errc::kProtocol, "pkt-line: length 3");
  if (length > kPktLineBytesMax) {
    return Error(Errc::kProtocol, "pkt-line: length " + std::to_string(length) + " over " + std::to_string(kPktLineBytesMax));
  }
  if (length < 3) {
    constexpr PktLine::Kind kKinds[] = {PktLine::Kind::kFlush, PktLine::Kind::kDelim, PktLine::Kind::kResponseEnd};
    step.line.kind = kKinds[length];
    step.consumed = 4;
  } else {
    if (input.size() < length) {
      step.bytes_needed = length - input.size();
      return step;
    }
    step.line = {PktLine::Kind::kData, input.substr(4, length - 4)};
    step.consumed = length;
  }
  step.complete = true;
  return step;
}

void append_pkt_line(std::string& out, Bytes data) {
  VEXOR_CHECK(data.size() <= kPktLineDataBytesMax);
  append_length(out, data.size() + 4);
  out.append(data);
}
void append_flush(std::string& out) { out.append("0000"); }
void append_delim(std::string& out) { out.append("0001"); }
void append_response_end(std::string& out) { out.append("0002"); }

void append_sideband(std::string& out, std::uint8_t channel, Bytes data, std::size_t line_bytes_max) {
  const std::size_t room = line_bytes_max - 5;
  while (!data.empty()) {
    const Bytes piece = data.substr(0, room);
    append_length(out, piece.size() + 5);
    out.push_back(static_cast<char>(channel));
    out.append(piece);
    data.remove_prefix(piece.size());
  }
}

}  // namespace vexor::format
