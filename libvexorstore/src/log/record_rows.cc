#include "log/record_rows.h"

#include <algorithm>

#include "crypto/digest.h"

namespace vexor::log {

Result<void> RecordRows::add(sys::Family family, Bytes key, Bytes value) {
  if (family == sys::Family::kExtents) return add_extent(key, value);
  ByteReader reader(key);
  VEXOR_TRY(const std::uint64_t pool, reader.u64be());
  VEXOR_TRY(const ObjectNumber number, reader.u32be());
  VEXOR_TRY(reader.end());
  if (pool != record_.pool || number < record_.first_object || number - record_.first_object >= record_.object_count) {
    return Error(Errc::kProtocol, "a row of an object that is not the record's");
  }
  if (family == sys::Family::kGraph) ++graph_rows_;
  if (family == sys::Family::kShapes) shapes_ += value.size();
  return success();
}

Result<void> RecordRows::add_extent(Bytes key, Bytes value) {
  VEXOR_TRY(const format::ExtentKey at, format::decode_extent_key(key));
  const auto& [pool, first, chunk] = at;
  const std::uint64_t next = std::uint64_t{record_.first_object} + ids_.size() / hash_bytes(algorithm_);
  if (pool != record_.pool) return Error(Errc::kProtocol, "an extent of another pool");
  if (chunk_bytes_ > 0) {
    if (first + 1 != next || chunk != next_chunk_ || value.size() > chunk_bytes_) return Error(Errc::kProtocol, "a large object without all of its rows");
    chunk_bytes_ -= value.size();
    ++next_chunk_;
    return success();
  }
  if (first != next || chunk != 0) return Error(Errc::kProtocol, "extents with a gap");
  VEXOR_TRY(const format::ExtentHeader header, format::decode_extent_header(first, algorithm_, value));
  if (header.is_cold) return Error(Errc::kProtocol, "an extent in cold form, which does not travel");
  if (next + header.objects.size() > std::uint64_t{record_.first_object} + record_.object_count) return Error(Errc::kProtocol, "an extent that goes beyond the record's objects");
  for (const format::ExtentObject& object : header.objects) {
    if (object.is_absent) return Error(Errc::kProtocol, "an extent that lacks objects");
    ids_.append(object.id.raw());
    commits_ += object.type == ObjectType::kCommit ? 1 : 0;
    if (object.is_delta && (object.base < record_.first_object || object.base - record_.first_object >= record_.object_count)) outside_bases_.add(object.base);
  }
  const std::uint64_t here = value.size() - header.header_bytes;
  if (here > header.payload_bytes || (here < header.payload_bytes && header.objects.size() != 1)) return Error(Errc::kProtocol, "an extent of another size than it says");
  chunk_bytes_ = header.payload_bytes - here;
  next_chunk_ = 1;
  return success();
}

Result<void> RecordRows::check() const {
  if (chunk_bytes_ > 0) return Error(Errc::kProtocol, "a large object without all of its rows");
  if (ids_.size() != std::uint64_t{record_.object_count} * hash_bytes(algorithm_)) return Error(Errc::kProtocol, "not all objects of the record");
  if (graph_rows_ != commits_ || shapes_ != record_.object_count) return Error(Errc::kProtocol, "not all rows of the record's objects");
  const std::string digest = ids_.empty() ? std::string() : blake2b_256(ids_);
  if (digest != record_.objects_digest) return Error(Errc::kProtocol, "other objects than the record names");
  return success();
}

Result<void> RecordRows::write(const std::function<Result<void>(Bytes key, Bytes value)>& put) {
  const std::size_t width = hash_bytes(algorithm_);
  std::vector<std::uint32_t> order(record_.object_count);
  for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
  const Bytes ids(ids_);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return ids.substr(a * width, width) < ids.substr(b * width, width); });
  std::string key = format::pool_key(record_.pool);
  const std::size_t prefix = key.size();
  for (const std::uint32_t i : order) {
    key.resize(prefix);
    key.append(ids.substr(i * width, width));
    VEXOR_TRY(put(key, format::encode_index_row(record_.first_object + i)));
  }
  return success();
}

}  // namespace vexor::log
