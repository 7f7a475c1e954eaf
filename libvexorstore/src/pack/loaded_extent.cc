#include "pack/loaded_extent.h"

#include "base/check.h"
#include "compress/zstd_frame.h"

namespace vexor::pack {

Result<void> expand_cold(Bytes row, format::ExtentHeader& header, std::string& contents) {
  VEXOR_CHECK(header.is_cold);
  VEXOR_TRY(compress::expand_frame(row.substr(header.header_bytes, header.frame_bytes), header.payload_bytes, contents));
  header.header_bytes = 0;
  return success();
}

Result<std::shared_ptr<LoadedExtent>> load_extent(format::ObjectNumber first, HashAlgorithm algorithm, Bytes row, std::shared_ptr<const void> owner) {
  auto out = std::make_shared<LoadedExtent>();
  out->first = first;
  VEXOR_TRY(out->header, format::decode_extent_header(first, algorithm, row));
  if (!out->header.is_cold) {
    out->bytes = row;
    out->owner = std::move(owner);
    return out;
  }
  auto contents = std::make_shared<std::string>();
  VEXOR_TRY(expand_cold(row, out->header, *contents));
  out->bytes = *contents;
  out->owner = std::move(contents);
  return out;
}

}  // namespace vexor::pack
