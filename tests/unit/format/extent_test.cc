#include "format/extent.h"

#include <sstream>

#include "support/vector_test.h"

namespace vexor::format {
namespace {

using namespace test;

std::string describe(const ExtentObject& object) {
  if (object.is_absent) return "absent";
  std::ostringstream out;
  out << object_type_name(object.type) << " " << object.id.hex() << " " << object.entry_bytes << " " << object.payload_bytes << " " << object.payload_offset;
  if (object.is_delta) out << " " << object.base << " " << object.object_bytes << " " << object.depth;
  return out.str();
}

TEST(Extent, vectors_whole_and_cut) {
  std::vector<Vector> vectors = family_vectors("extent");
  for (Vector& vector : vectors) {
    if (vector.has("payload_fill")) vector.bytes.append(vector.number("payload_fill"), 'p');
  }
  run_row_vectors(
      vectors,
      [](const Vector& vector, Bytes bytes) { return decode_extent_header(static_cast<ObjectNumber>(vector.number("first")), vector.algorithm(), bytes); },
      [](const Vector& vector, const ExtentHeader& header) {
        const auto first = static_cast<ObjectNumber>(vector.number("first"));
        EXPECT_EQ(header.is_cold, vector.has("cold"));
        const std::string encoded = header.is_cold ? encode_cold_extent_header(first, header.objects, header.frame_bytes) : encode_extent_header(first, header.objects);
        return encoded + vector.bytes.substr(header.header_bytes);
      },
      [](const Vector& vector, const ExtentHeader& header) {
        std::vector<std::string> objects;
        std::uint64_t payload_bytes = 0;
        for (const ExtentObject& object : header.objects) {
          objects.push_back(describe(object));
          payload_bytes += object.payload_bytes;
          EXPECT_TRUE(object.is_delta || (object.object_bytes == object.entry_bytes && object.base == kNoObject));
        }
        EXPECT_EQ(objects, vector.all("object"));
        EXPECT_EQ(header.payload_bytes, payload_bytes);
      });
}

TEST(Shapes, vectors) {
  for (const Vector& vector : family_vectors("shapes")) {
    const auto shapes = vector.all("shape");
    ASSERT_EQ(shapes.size(), vector.bytes.size()) << vector.name;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const std::size_t blank = shapes[i].find(' ');
      const ObjectType type = parse_object_type(shapes[i].substr(0, blank)).value();
      const std::uint64_t size = std::stoull(shapes[i].substr(blank + 1));
      const std::uint8_t stored = octet(vector.bytes, i);
      EXPECT_EQ(object_shape(type, size), stored) << shapes[i];
      EXPECT_EQ(shape_type(stored), type) << shapes[i];
      const unsigned width = shape_size_class(stored);
      EXPECT_TRUE(width == 63 || size >> width == 0) << shapes[i];
      EXPECT_TRUE(width == 0 || size >> (width - 1) != 0) << shapes[i];
    }
  }
}

}  // namespace
}  // namespace vexor::format
