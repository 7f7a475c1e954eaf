// Keys of every row family. Spec: docs/format/keys.md. All numbers are big-endian, so that the
// byte order of keys is the order of numbers.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes_io.h"
#include "vexorstore/object_id.h"

namespace vexor::format {

using PoolId = std::uint64_t;
using RepositoryNumber = std::uint64_t;
using ObjectNumber = std::uint32_t;
constexpr ObjectNumber kObjectNumberMax = 0xFFFFFFF0U;
constexpr ObjectNumber kNoObject = 0xFFFFFFFFU;

inline std::string pool_key(PoolId pool) {
  std::string key;
  put_u64be(key, pool);
  return key;
}
// extents: pool, number of the first object, chunk (0 = header and first payload bytes).
inline std::string extent_key(PoolId pool, ObjectNumber first, std::uint32_t chunk = 0) {
  std::string key = pool_key(pool);
  put_u32be(key, first);
  put_u32be(key, chunk);
  return key;
}
struct ExtentKey {
  PoolId pool = 0;
  ObjectNumber first = 0;
  std::uint32_t chunk = 0;
};
// Errors: kCorrupt.
Result<ExtentKey> decode_extent_key(Bytes key);
// Whether the row of an extent has its header; later rows are bare payload of one large object.
inline bool has_extent_header(Bytes key) { return key.size() == 16 && key.substr(12) == Bytes("\0\0\0\0", 4); }
// graph, bitmaps, shapes: pool, object number.
inline std::string number_key(PoolId pool, ObjectNumber number) {
  std::string key = pool_key(pool);
  put_u32be(key, number);
  return key;
}
inline std::string index_key(PoolId pool, const ObjectId& id) {
  std::string key = pool_key(pool);
  key.append(id.raw());
  return key;
}
inline std::string ref_key(RepositoryNumber repository, Bytes name) {
  std::string key;
  put_u64be(key, repository);
  key.append(name);
  return key;
}
// reflog: repository, ref name, NUL (no ref name holds one), journal sequence.
inline std::string reflog_key(RepositoryNumber repository, Bytes name, std::uint64_t sequence) {
  std::string key = ref_key(repository, name);
  key.push_back('\0');
  put_u64be(key, sequence);
  return key;
}
inline std::string journal_key(std::uint64_t sequence) { return pool_key(sequence); }

// Reads back the number behind the pool of a number_key or extent_key.
Result<ObjectNumber> number_of_key(Bytes key);

}  // namespace vexor::format
