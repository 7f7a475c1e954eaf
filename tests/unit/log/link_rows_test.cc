#include "vexorstore/link_rows.h"

#include "compress/zlib_stream.h"
#include "compress/zstd_frame.h"
#include "format/extent.h"
#include "format/log_rows.h"
#include "support/vector_test.h"

namespace vexor {
namespace {

using namespace test;
using format::ExtentObject;
using sys::Family;

constexpr format::PoolId kPool = 1;

struct Content {
  std::string text;
  bool is_delta = false;
};

ExtentObject object_of(const Content& content, format::ObjectNumber number, std::string& stream) {
  ExtentObject out;
  std::string id(20, '\0');
  for (unsigned i = 0; i < 4; ++i) id[i] = static_cast<char>(number >> (8U * i));
  out.id = ObjectId::from_raw(HashAlgorithm::kSha1, id);
  stream = compress::deflate(content.text, 9);
  out.entry_bytes = content.text.size();
  out.object_bytes = out.entry_bytes;
  out.payload_bytes = stream.size();
  if (content.is_delta) {
    out.is_delta = true;
    out.base = number - 1;
    out.depth = 1;
    out.object_bytes = 777;
  }
  return out;
}

std::string text_of(std::size_t bytes, unsigned seed) {
  std::string out;
  while (out.size() < bytes) out += "line " + std::to_string(seed = seed * 1664525U + 1013904223U) + " of a file\n";
  out.resize(bytes);
  return out;
}

// Contents by number, as any reader of the rows finds them.
std::map<format::ObjectNumber, std::string> contents_of(Bytes rows, std::vector<std::string>* others = nullptr) {
  std::map<format::ObjectNumber, std::string> out;
  const auto decoded = format::decode_log_rows(rows);
  EXPECT_TRUE(decoded.has_value());
  for (const sys::Batch::Op& op : decoded.value().rows.ops()) {
    const auto number = op.key.size() == 16 ? format::number_of_key(Bytes(op.key).substr(0, 12)).value() : 0U;
    const bool is_first = op.family == Family::kExtents && Bytes(op.key).substr(12) == Bytes("\0\0\0\0", 4);
    if (!is_first) {
      if (others != nullptr) others->push_back(std::string(sys::family_name(op.family)) + to_hex(op.key) + to_hex(op.value));
      continue;
    }
    const auto header = format::decode_extent_header(number, HashAlgorithm::kSha1, op.value);
    EXPECT_TRUE(header.has_value() && !header.value().is_cold);
    if (header.value().payload_bytes != op.value.size() - header.value().header_bytes) {  // goes on in later rows
      if (others != nullptr) others->push_back(std::string(sys::family_name(op.family)) + to_hex(op.key) + to_hex(op.value));
      continue;
    }
    for (std::size_t i = 0; i < header.value().objects.size(); ++i) {
      const ExtentObject& object = header.value().objects[i];
      if (object.is_absent) continue;
      std::string content;
      EXPECT_TRUE(compress::inflate_exact(Bytes(op.value).substr(header.value().header_bytes + object.payload_offset, object.payload_bytes), object.entry_bytes, content).has_value());
      out[number + static_cast<format::ObjectNumber>(i)] = std::to_string(static_cast<int>(object.type)) + object.id.hex() + std::to_string(object.is_delta) + std::to_string(object.object_bytes) +
                                                            " " + std::to_string(object.is_delta ? object.base : 0U) + " " + std::to_string(object.depth) + " " + content;
    }
  }
  return out;
}

TEST(LinkRows, hold_the_same_objects_and_other_rows) {
  sys::Batch batch;
  format::ObjectNumber number = 10;
  std::size_t plain = 0;
  for (int extent = 0; extent < 3; ++extent) {
    std::vector<ExtentObject> objects;
    std::string payload;
    const format::ObjectNumber first = number;
    for (int i = 0; i < 40; ++i) {
      std::string stream;
      objects.push_back(object_of({i == 7 ? std::string() : text_of(100 + static_cast<std::size_t>(i) * 40, 5U), i % 3 == 2}, number++, stream));
      payload += stream;
    }
    plain += payload.size();
    batch.put(Family::kExtents, format::extent_key(kPool, first), format::encode_extent_header(first, objects) + payload);
  }
  // A large object in two rows, and the other families.
  std::string stream;
  ExtentObject large = object_of({"x", false}, number, stream);
  large.payload_bytes = format::kExtentChunkBytes + 5;
  batch.put(Family::kExtents, format::extent_key(kPool, number), format::encode_extent_header(number, {large}) + std::string(format::kExtentChunkBytes, 'c'));
  batch.put(Family::kExtents, format::extent_key(kPool, number, 1), "\3chunk");  // begins as a cold extent does
  batch.put(Family::kGraph, format::number_key(kPool, 10), "graph");
  batch.put(Family::kShapes, format::number_key(kPool, 10), std::string(121, '\x20'));
  const std::string rows = format::encode_log_rows(HashAlgorithm::kSha1, batch);
  const auto link = to_link_rows(rows);
  ASSERT_TRUE(link.has_value());
  EXPECT_LT(link.value().size(), plain / 2);
  const auto back = from_link_rows(link.value());
  ASSERT_TRUE(back.has_value()) << back.error().message();
  std::vector<std::string> others_before;
  std::vector<std::string> others_after;
  EXPECT_EQ(contents_of(back.value(), &others_after), contents_of(rows, &others_before));
  EXPECT_EQ(contents_of(rows).size(), 120U);
  EXPECT_EQ(others_after, others_before);
}

TEST(LinkRows, extents_that_must_stay_as_they_are_do) {
  std::string stream;
  const ExtentObject bomb = object_of({std::string(format::kColdContentsMax + 1, 'z'), false}, 10, stream);
  ASSERT_LT(stream.size(), format::kExtentTargetBytes);
  sys::Batch batch;
  batch.put(Family::kExtents, format::extent_key(kPool, 10), format::encode_extent_header(10, {bomb}) + stream);
  std::string broken_stream;
  const ExtentObject broken = object_of({"content", false}, 11, broken_stream);
  batch.put(Family::kExtents, format::extent_key(kPool, 11), format::encode_extent_header(11, {broken}) + std::string(broken_stream.size(), 'b'));
  const ExtentObject first = object_of({"content", false}, 12, stream);
  const ExtentObject last = object_of({"content", false}, 14, stream);
  ExtentObject absent;
  absent.is_absent = true;
  batch.put(Family::kExtents, format::extent_key(kPool, 12), format::encode_extent_header(12, {first, absent, last}) + stream + stream);
  batch.put(Family::kExtents, "no key", "no extent");
  const std::string rows = format::encode_log_rows(HashAlgorithm::kSha1, batch);
  const auto link = to_link_rows(rows);
  ASSERT_TRUE(link.has_value());
  EXPECT_EQ(from_link_rows(link.value()).value(), rows);
}

TEST(LinkRows, cold_extents_do_not_travel) {
  std::string stream;
  const ExtentObject object = object_of({"twelve bytes", false}, 10, stream);
  sys::Batch batch;
  batch.put(Family::kExtents, format::extent_key(kPool, 10), format::encode_cold_extent_header(10, {object}, 5) + "frame");
  EXPECT_EQ(to_link_rows(format::encode_log_rows(HashAlgorithm::kSha1, batch)).error().code(), Errc::kCorrupt);
}

TEST(LinkRows, a_piece_has_a_limit) {
  sys::Batch batch;
  std::vector<std::string> streams(5);
  for (format::ObjectNumber i = 0; i < 5; ++i) {
    const ExtentObject object = object_of({std::string(format::kColdContentsMax - 100, static_cast<char>('a' + i)), false}, 10 + i, streams[i]);
    batch.put(Family::kExtents, format::extent_key(kPool, 10 + i), format::encode_extent_header(10 + i, {object}) + streams[i]);
  }
  const std::string rows = format::encode_log_rows(HashAlgorithm::kSha1, batch);
  const auto link = to_link_rows(rows);  // 20 MiB of contents: some extents stay as they are
  ASSERT_TRUE(link.has_value());
  ByteReader reader(link.value());
  ASSERT_TRUE(reader.u8().has_value());
  EXPECT_LE(reader.varint().value(), kLinkContentsMax);
  EXPECT_EQ(contents_of(from_link_rows(link.value()).value()), contents_of(rows));
  EXPECT_EQ(to_link_rows(std::string(kLinkContentsMax + 1, 'x')).error().code(), Errc::kLimitExceeded);
  std::string over;
  put_u8(over, 1);
  put_varint(over, kLinkContentsMax + 1);
  EXPECT_EQ(from_link_rows(over + compress::compress_frame(std::string(kLinkContentsMax + 1, 'x'), 1)).error().code(), Errc::kCorrupt);
}

// What a frame holds that no sender makes.
TEST(LinkRows, extents_of_another_size_than_they_say_are_refused) {
  std::string stream;
  ExtentObject object = object_of({"twelve bytes", false}, 10, stream);
  const auto taken = [&](const std::vector<ExtentObject>& objects, std::size_t frame_bytes, const std::string& contents) {
    sys::Batch batch;
    batch.put(Family::kExtents, format::extent_key(kPool, 10), format::encode_cold_extent_header(10, objects, frame_bytes) + contents);
    const std::string rows = format::encode_log_rows(HashAlgorithm::kSha1, batch);
    std::string link;
    put_u8(link, 1);
    put_varint(link, rows.size());
    return from_link_rows(link + compress::compress_frame(rows, kLinkLevel));
  };
  EXPECT_TRUE(taken({object}, 12, "twelve bytes").has_value());
  EXPECT_EQ(taken({object}, 11, "eleven byte").error().code(), Errc::kCorrupt);
  EXPECT_EQ(taken({object}, 13, "thirteen byte").error().code(), Errc::kCorrupt);
  ExtentObject absent;
  absent.is_absent = true;
  EXPECT_EQ(taken({object, absent, object}, 24, "twelve bytestwelve bytes").error().code(), Errc::kCorrupt);
}

TEST(LinkRows, vectors_whole_and_cut) {
  for (const Vector& vector : family_vectors("link-rows")) {
    SCOPED_TRACE(vector.name);
    const auto rows = from_link_rows(vector.bytes);
    if (vector.refused()) {
      ASSERT_TRUE(rows.has_error());
      EXPECT_EQ(errc_name(rows.error().code()), vector.text("error"));
      continue;
    }
    ASSERT_TRUE(rows.has_value()) << rows.error().message();
    std::vector<std::string> others;
    std::vector<std::string> contents;
    for (const auto& [number, content] : contents_of(rows.value(), &others)) contents.push_back(std::to_string(number) + " " + content.substr(content.rfind(' ') + 1));
    EXPECT_EQ(contents, vector.all("content"));
    EXPECT_EQ(others, vector.all("row"));
    for (std::size_t cut = 0; cut < vector.bytes.size(); ++cut) EXPECT_TRUE(from_link_rows(Bytes(vector.bytes).substr(0, cut)).has_error()) << "cut at " << cut;
    EXPECT_TRUE(from_link_rows(vector.bytes + "x").has_error());
  }
}

}  // namespace
}  // namespace vexor
