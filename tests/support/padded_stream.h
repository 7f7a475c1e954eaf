// zlib streams that are longer than any compressor makes them: empty stored blocks before the content.
#pragma once

#include "compress/zlib_stream.h"
#include "format/extent.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor::test {

// Yields `content`; `padding_bytes` are rounded down to whole blocks of 5.
inline std::string padded_stream(const std::string& content, std::size_t padding_bytes) {
  const std::string plain = compress::deflate(content, 1);
  std::string out = plain.substr(0, 2);
  for (std::size_t i = 0; i < padding_bytes / 5; ++i) out.append("\0\0\0\xFF\xFF", 5);
  return out + plain.substr(2);
}

// Stores the whole object `id` with such a stream, in an extent and chunk rows of its own, as a store did that had no
// bound for them. The other objects of its extent keep their numbers. Errors: kNotFound.
inline Result<void> store_padded(sys::StorageBackend& backend, const ObjectId& id, const std::string& content, std::size_t padding_bytes) {
  using sys::Family;
  VEXOR_TRY(const auto snapshot, backend.snapshot());
  const auto cursor = snapshot->cursor(Family::kExtents);
  for (cursor->seek({}); cursor->valid(); cursor->next()) {
    if (!format::has_extent_header(cursor->key())) continue;
    VEXOR_TRY(const auto first, format::number_of_key(cursor->key()));
    VEXOR_TRY(const auto header, format::decode_extent_header(first, id.algorithm(), cursor->value()));
    const auto is_it = [&](const format::ExtentObject& object) { return object.id == id; };
    if (std::none_of(header.objects.begin(), header.objects.end(), is_it)) continue;
    sys::Batch batch;
    const std::string prefix(cursor->key().substr(0, 8));
    format::PoolId pool = 0;
    for (const char c : prefix) pool = pool << 8U | static_cast<unsigned char>(c);
    for (std::size_t i = 0; i < header.objects.size(); ++i) {
      format::ExtentObject object = header.objects[i];
      const auto number = static_cast<format::ObjectNumber>(first + i);
      std::string payload(cursor->value().substr(header.header_bytes + object.payload_offset, object.payload_bytes));
      if (object.id == id) payload = padded_stream(content, padding_bytes);
      object.payload_bytes = payload.size();
      std::string row = format::encode_extent_header(number, {object}) + payload.substr(0, format::kExtentChunkBytes);
      batch.put(Family::kExtents, format::extent_key(pool, number), std::move(row));
      for (std::uint32_t chunk = 1; chunk * format::kExtentChunkBytes < payload.size(); ++chunk) {
        batch.put(Family::kExtents, format::extent_key(pool, number, chunk), payload.substr(chunk * format::kExtentChunkBytes, format::kExtentChunkBytes));
      }
    }
    return backend.commit(batch, sys::Durability::kSynced);
  }
  VEXOR_TRY(cursor->status());
  return Error(Errc::kNotFound, "no such object");
}

}  // namespace vexor::test
