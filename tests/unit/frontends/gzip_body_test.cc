#include "https/gzip_body.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>

namespace vexor::frontend {
namespace {

std::string gzip(const std::string& body) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, body.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

// What came of it; nullopt: refused.
std::optional<std::uint64_t> inflated(const std::string& packed, std::uint64_t ratio_max = GzipBody::kPushRatioMax) {
  GzipBody body(ratio_max);
  body.give(packed);
  std::uint64_t total = 0;
  for (std::string piece; body.is_pending();) {
    if (!body.take(piece, 1U << 30U)) return std::nullopt;
    total += piece.size();
  }
  return total;
}

TEST(GzipBody, a_small_body_does_not_become_a_large_one) {
  EXPECT_EQ(inflated(gzip(std::string(GzipBody::kAnyRatioBytesMax, 'x'))), GzipBody::kAnyRatioBytesMax);
  EXPECT_EQ(inflated(gzip(std::string(16U << 20U, 'x'))), std::nullopt);
  EXPECT_EQ(inflated(gzip(std::string(16U << 20U, 'x')), 0), 16U << 20U);
}

// The commands that delete 100,000 refs.
TEST(GzipBody, what_clients_compress_is_let_through) {
  std::mt19937_64 random(7);
  std::string lines;
  for (int i = 0; i < 100'000; ++i) {
    std::string id;
    for (int digit = 0; digit < 40; ++digit) id += "0123456789abcdef"[random() % 16];
    lines += "0082" + id + " " + std::string(40, '0') + " refs/heads/topic/" + std::to_string(i) + "\n";
  }
  EXPECT_EQ(inflated(gzip(lines)), lines.size());
}

}  // namespace
}  // namespace vexor::frontend
