#include "store/number_set.h"

namespace vexor::store {

void put_set(std::string& out, const Roaring& set) {
  std::string bytes(set.getSizeInBytes(true), '\0');
  bytes.resize(set.write(bytes.data(), true));
  put_bytes(out, bytes);
}

Result<Roaring> read_set(ByteReader& reader) {
  VEXOR_TRY(const Bytes bytes, reader.bytes());
  Roaring set;
  try {
    set = Roaring::readSafe(bytes.data(), bytes.size());
  } catch (const std::exception&) {
    return Error(Errc::kCorrupt, "unreadable set");
  }
  if (set.getSizeInBytes(true) != bytes.size()) return Error(Errc::kCorrupt, "bytes behind a set");
  return set;
}

}  // namespace vexor::store
