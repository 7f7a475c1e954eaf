#include "format/pkt_line.h"

#include <gtest/gtest.h>

namespace vexor::format {
namespace {

TEST(PktLine, decodes_data_and_special_packets) {
  const auto data = decode_pkt_line("0009hello0000");
  ASSERT_TRUE(data.has_value());
  ASSERT_TRUE(data.value().complete);
  EXPECT_EQ(data.value().line.data, "hello");
  EXPECT_EQ(data.value().consumed, 9U);
  for (const auto& [text, kind] : {std::pair("0000", PktLine::Kind::kFlush), std::pair("0001", PktLine::Kind::kDelim),
                                   std::pair("0002", PktLine::Kind::kResponseEnd), std::pair("0004", PktLine::Kind::kData)}) {
    const auto step = decode_pkt_line(text);
    ASSERT_TRUE(step.has_value()) << text;
    EXPECT_EQ(step.value().line.kind, kind) << text;
  }
}

TEST(PktLine, says_how_much_is_missing_at_every_cut) {
  const std::string whole = "000bpacket\n";
  for (std::size_t cut = 0; cut < whole.size(); ++cut) {
    const auto step = decode_pkt_line(Bytes(whole).substr(0, cut));
    ASSERT_TRUE(step.has_value());
    EXPECT_FALSE(step.value().complete) << cut;
    EXPECT_GE(step.value().bytes_needed, 1U);
    EXPECT_LE(cut + step.value().bytes_needed, whole.size());
  }
}

TEST(PktLine, rejects_bad_lengths) {
  for (const char* text : {"0003", "fff1", "ffff", "zzzz", "-001", " 00a"}) {
    const auto step = decode_pkt_line(text);
    ASSERT_TRUE(step.has_error()) << text;
    EXPECT_EQ(step.error().code(), Errc::kProtocol);
  }
  EXPECT_TRUE(decode_pkt_line("fff0").has_value());
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
