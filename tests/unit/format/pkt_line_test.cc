#include "format/pkt_line.h"

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

PktLine::Kind kind_of(const std::string& name) {
  if (name == "flush") return PktLine::Kind::kFlush;
  if (name == "delim") return PktLine::Kind::kDelim;
  return name == "data" ? PktLine::Kind::kData : PktLine::Kind::kResponseEnd;
}

std::string encode(const PktLine& line) {
  std::string out;
  switch (line.kind) {
    case PktLine::Kind::kData: append_pkt_line(out, line.data); break;
    case PktLine::Kind::kFlush: append_flush(out); break;
    case PktLine::Kind::kDelim: append_delim(out); break;
    case PktLine::Kind::kResponseEnd: append_response_end(out); break;
  }
  return out;
}

TEST(PktLine, vectors_whole_cut_and_followed) {
  for (const Vector& vector : of_kind(family_vectors("pkt_line"), "packet")) {
    SCOPED_TRACE(vector.name);
    const auto step = decode_pkt_line(vector.bytes);
    if (vector.refused()) {
      ASSERT_TRUE(step.has_error());
      EXPECT_EQ(errc_name(step.error().code()), vector.text("error"));
      continue;
    }
    ASSERT_TRUE(step.has_value() && step.value().complete);
    EXPECT_EQ(step.value().line.kind, kind_of(vector.text("packet")));
    EXPECT_EQ(step.value().line.data, vector.text_or("data", ""));
    EXPECT_EQ(step.value().consumed, vector.bytes.size());
    if (vector.text_or("canonical", "yes") == "yes") {
      EXPECT_EQ(encode(step.value().line), vector.bytes);
    }
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) {
      const auto part = decode_pkt_line(Bytes(vector.bytes).substr(0, cut));
      ASSERT_TRUE(part.has_value()) << cut;
      EXPECT_FALSE(part.value().complete) << cut;
      EXPECT_GE(part.value().bytes_needed, 1U);
      EXPECT_LE(cut + part.value().bytes_needed, vector.bytes.size());
    }
    const std::string followed = vector.bytes + "0000";
    const auto first = decode_pkt_line(followed);
    ASSERT_TRUE(first.has_value() && first.value().complete);
    EXPECT_EQ(first.value().consumed, vector.bytes.size());
  }
}

TEST(PktLine, the_longest_is_65520_octets) {
  std::string out;
  append_pkt_line(out, std::string(kPktLineDataBytesMax, 'x'));
  EXPECT_EQ(out.size(), kPktLineBytesMax);
  const auto step = decode_pkt_line(out);
  ASSERT_TRUE(step.has_value() && step.value().complete);
  EXPECT_EQ(step.value().line.data.size(), kPktLineDataBytesMax);
}

TEST(Sideband, vectors) {
  for (const Vector& vector : of_kind(family_vectors("pkt_line"), "sideband")) {
    std::string out;
    append_sideband(out, static_cast<std::uint8_t>(vector.number("channel")), vector.text("data"), vector.number("line_bytes_max"));
    EXPECT_EQ(out, vector.bytes) << vector.name;
  }
}

TEST(Sideband, splits_at_the_packet_limit) {
  std::string out;
  append_sideband(out, 1, std::string(2500, 'x'), 1000);
  std::size_t total = 0;
  Bytes rest = out;
  while (!rest.empty()) {
    const auto step = decode_pkt_line(rest);
    ASSERT_TRUE(step.has_value() && step.value().complete);
    EXPECT_LE(step.value().consumed, 1000U);
    EXPECT_EQ(step.value().line.data[0], 1);
    total += step.value().line.data.size() - 1;
    rest.remove_prefix(step.value().consumed);
  }
  EXPECT_EQ(total, 2500U);
}

}  // namespace
}  // namespace vexor::format
