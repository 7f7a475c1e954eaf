// pkt-line and side-band framing. Spec: gitprotocol-common, "pkt-line Format"; gitprotocol-pack.
#pragma once

#include "vexorstore/bytes.h"
#include "vexorstore/limits.h"
#include "vexorstore/result.h"

namespace vexor::format {

struct PktLine {
  enum class Kind { kData, kFlush, kDelim, kResponseEnd };
  Kind kind = Kind::kFlush;
  Bytes data;  // into the decoded input
};

struct PktLineStep {
  bool complete = false;
  PktLine line;
  std::size_t consumed = 0;      // complete
  std::size_t bytes_needed = 0;  // not complete: at least so many more
};

// Errors: kProtocol (a length that is none, or over 65520).
Result<PktLineStep> decode_pkt_line(Bytes input);

// Requires data.size() <= kPktLineDataBytesMax.
void append_pkt_line(std::string& out, Bytes data);
void append_flush(std::string& out);
void append_delim(std::string& out);
void append_response_end(std::string& out);

// Splits `data` into side-band packets of at most `line_bytes_max` (1000 or 65520) bytes.
void append_sideband(std::string& out, std::uint8_t channel, Bytes data, std::size_t line_bytes_max);

}  // namespace vexor::format
