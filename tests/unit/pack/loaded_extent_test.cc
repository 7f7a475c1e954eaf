// Cold extents that are damaged or hostile: a clear error, and no more memory than the row may ask for.
#include "pack/loaded_extent.h"

#include <gtest/gtest.h>

#include "compress/zstd_frame.h"
#include "crypto/object_hasher.h"

namespace vexor::pack {
namespace {

constexpr auto kSha1 = HashAlgorithm::kSha1;

std::string row_with(const std::string& content, const std::string& frame, std::uint64_t entry_bytes) {
  format::ExtentObject object;
  object.type = ObjectType::kBlob;
  object.id = hash_object(kSha1, ObjectType::kBlob, content).value();
  object.entry_bytes = object.object_bytes = object.payload_bytes = entry_bytes;
  return format::encode_cold_extent_header(3, {object}, frame.size()) + frame;
}

void expect_corrupt(const std::string& row, const char* what) {
  const auto loaded = load_extent(3, kSha1, row, nullptr);
  ASSERT_TRUE(loaded.has_error()) << what;
  EXPECT_EQ(loaded.error().code(), Errc::kCorrupt) << what;
  EXPECT_FALSE(loaded.error().message().empty());
}

TEST(ColdExtent, holds_what_was_put_in) {
  for (const std::string& content : {std::string(), std::string("hello"), std::string(format::kColdContentsMax, 'x')}) {
    const std::string row = row_with(content, compress::compress_frame(content, 3), content.size());
    const auto loaded = load_extent(3, kSha1, row, nullptr);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message();
    EXPECT_EQ(loaded.value()->payload(0), content);
    EXPECT_TRUE(loaded.value()->holds(3));
    EXPECT_FALSE(loaded.value()->holds(4));
  }
}

TEST(ColdExtent, a_frame_of_another_size_than_the_header_says_is_refused) {
  const std::string content(1000, 'x');
  const std::string frame = compress::compress_frame(content, 3);
  expect_corrupt(row_with(content, frame, 999), "less");
  expect_corrupt(row_with(content, frame, 1001), "more");
  expect_corrupt(row_with(content, compress::compress_frame(std::string(100'000'000, 'x'), 3), 1000), "a frame that grows a million times");
  expect_corrupt(row_with(content, frame, format::kColdContentsMax + 1), "over the limit");
  expect_corrupt(row_with(content, frame, std::uint64_t{1} << 60U), "far over the limit");
}

TEST(ColdExtent, only_one_whole_frame_with_a_checksum_is_taken) {
  const std::string content = "some content that is a little longer than nothing";
  const std::string frame = compress::compress_frame(content, 3);
  expect_corrupt(row_with(content, {}, content.size()), "no frame");
  expect_corrupt(row_with(content, frame + frame, content.size()), "two frames");
  expect_corrupt(row_with(content, frame + std::string(1, '\0'), content.size()), "an octet more");
  std::string without = frame.substr(0, frame.size() - 4);
  without[4] = static_cast<char>(without[4] & ~4);
  expect_corrupt(row_with(content, without, content.size()), "no checksum");
  for (std::size_t cut = 0; cut < frame.size(); ++cut) expect_corrupt(row_with(content, frame.substr(0, cut), content.size()), "cut");
}

TEST(ColdExtent, no_changed_octet_goes_unseen) {
  std::string content;
  for (int i = 0; i < 200; ++i) content += "line " + std::to_string(i * i) + "\n";
  const std::string frame = compress::compress_frame(content, 12);
  for (std::size_t at = 0; at < frame.size(); ++at) {
    for (const int change : {1, 0x80}) {
      std::string bad = frame;
      bad[at] = static_cast<char>(bad[at] ^ change);
      const std::string row = row_with(content, bad, content.size());
      const auto loaded = load_extent(3, kSha1, row, nullptr);
      if (loaded.has_value()) EXPECT_EQ(loaded.value()->payload(0), content) << "octet " << at;  // one that means nothing
      else EXPECT_EQ(loaded.error().code(), Errc::kCorrupt);
    }
  }
}

}  // namespace
}  // namespace vexor::pack
