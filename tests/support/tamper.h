// Puts other bytes under the id of a stored object, as damage or an attacker with the disk would.
#pragma once

#include "compress/zlib_stream.h"
#include "format/extent.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor::test {

// In every pool that has the object. Errors: kNotFound. Objects of many chunks are not looked at.
inline Result<void> tamper(sys::StorageBackend& backend, const ObjectId& id, const std::string& content) {
  using sys::Family;
  VEXOR_TRY(const auto snapshot, backend.snapshot());
  const auto cursor = snapshot->cursor(Family::kExtents);
  sys::Batch batch;
  for (cursor->seek({}); cursor->valid(); cursor->next()) {
    if (cursor->key().substr(12) != Bytes("\0\0\0\0", 4)) continue;
    VEXOR_TRY(const auto first, format::number_of_key(cursor->key()));
    VEXOR_TRY(auto header, format::decode_extent_header(first, HashAlgorithm::kSha1, cursor->value()));
    std::string payloads;
    bool found = false;
    for (format::ExtentObject& object : header.objects) {
      std::string payload(cursor->value().substr(header.header_bytes + object.payload_offset, object.payload_bytes));
      if (object.id == id) {
        payload = compress::deflate(content, 1);
        object.is_delta = false;
        object.base = format::kNoObject;
        object.depth = 0;
        object.entry_bytes = object.object_bytes = content.size();
        object.payload_bytes = payload.size();
        found = true;
      }
      payloads += payload;
    }
    if (found) batch.put(Family::kExtents, cursor->key(), format::encode_extent_header(first, header.objects) + payloads);
  }
  VEXOR_TRY(cursor->status());
  if (batch.empty()) return Error(Errc::kNotFound, "no such object");
  return backend.commit(batch, sys::Durability::kSynced);
}

}  // namespace vexor::test
