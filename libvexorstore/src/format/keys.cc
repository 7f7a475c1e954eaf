#include "format/keys.h"

namespace vexor::format {

Result<ObjectNumber> number_of_key(Bytes key) {
  if (key.size() < 12) return Error(Errc::kCorrupt, "row key shorter than 12 bytes");
  ByteReader reader(key.substr(8));
  return reader.u32be();
}

}  // namespace vexor::format
