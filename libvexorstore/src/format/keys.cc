#include "format/keys.h"

namespace vexor::format {

Result<ExtentKey> decode_extent_key(Bytes key) {
  ExtentKey out;
  ByteReader reader(key);
  VEXOR_TRY(out.pool, reader.u64be());
  VEXOR_TRY(out.first, reader.u32be());
  VEXOR_TRY(out.chunk, reader.u32be());
  VEXOR_TRY(reader.end());
  return out;
}

Result<ObjectNumber> number_of_key(Bytes key) {
  if (key.size() < 12) return Error(Errc::kCorrupt, "row key shorter than 12 bytes");
  ByteReader reader(key.substr(8));
  return reader.u32be();
}

}  // namespace vexor::format
