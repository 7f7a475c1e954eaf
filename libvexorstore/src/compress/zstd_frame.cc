#include "compress/zstd_frame.h"

#include <zstd.h>

#include "base/check.h"

namespace vexor::compress {

namespace {

// A context is large and takes long to make; one for each thread stays.
struct Contexts {
  ZSTD_CCtx* compress = ZSTD_createCCtx();
  ZSTD_DCtx* expand = ZSTD_createDCtx();
  ~Contexts() {
    ZSTD_freeCCtx(compress);
    ZSTD_freeDCtx(expand);
  }
};
thread_local Contexts contexts;

constexpr std::size_t kDescriptorAt = 4;  // behind the magic number
constexpr unsigned kChecksumBit = 4;

bool has_checksum(Bytes frame) {
  return frame.size() > kDescriptorAt && (static_cast<unsigned char>(frame[kDescriptorAt]) & kChecksumBit) != 0;
}

}  // namespace

std::string compress_frame(Bytes contents, int level) {
  ZSTD_CCtx* context = contexts.compress;
  VEXOR_CHECK(context != nullptr);
  VEXOR_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level)) == 0);
  VEXOR_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)) == 0);
  std::string out(ZSTD_compressBound(contents.size()), '\0');
  const std::size_t bytes = ZSTD_compress2(context, out.data(), out.size(), contents.data(), contents.size());
  VEXOR_CHECK(ZSTD_isError(bytes) == 0);  // only too little room or memory could make it fail
  out.resize(bytes);
  return out;
}

Result<void> expand_frame(Bytes frame, std::uint64_t contents_bytes, std::string& out) {
  if (!has_checksum(frame) || ZSTD_getFrameContentSize(frame.data(), frame.size()) != contents_bytes ||
      ZSTD_findFrameCompressedSize(frame.data(), frame.size()) != frame.size()) {
    return Error(Errc::kCorrupt, "a zstd frame of another form or size than its row says");
  }
  VEXOR_CHECK(contexts.expand != nullptr);
  out.resize(contents_bytes);
  const std::size_t bytes = ZSTD_decompressDCtx(contexts.expand, out.data(), out.size(), frame.data(), frame.size());
  if (ZSTD_isError(bytes) != 0 || bytes != contents_bytes) {
    return Error(Errc::kCorrupt, "a zstd frame does not expand: " + std::string(ZSTD_isError(bytes) != 0 ? ZSTD_getErrorName(bytes) : "another size"));
  }
  return success();
}

}  // namespace vexor::compress
