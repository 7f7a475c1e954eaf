#include "compress/zlib_stream.h"

#include <algorithm>
#include <libdeflate.h>
#include <limits>
#include <zlib.h>

#include "base/check.h"

namespace vexor::compress {

struct Inflater::Stream {
  z_stream z{};
  Stream() { VEXOR_CHECK(inflateInit(&z) == Z_OK); }
  ~Stream() { inflateEnd(&z); }
};

Inflater::Inflater() : stream_(new Stream) {}
Inflater::~Inflater() = default;
void Inflater::reset() { inflateReset(&stream_->z); }

Result<Inflater::Step> Inflater::step(Bytes input, std::span<char> output) {
  constexpr std::size_t kPieceMax = 1U << 30U;
  z_stream& z = stream_->z;
  std::string_view piece = input.substr(0, kPieceMax);
  const std::size_t room = std::min(output.size(), kPieceMax);
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
  z.avail_in = static_cast<uInt>(piece.size());
  z.next_out = reinterpret_cast<Bytef*>(output.data());
  z.avail_out = static_cast<uInt>(room);
  const int rc = ::inflate(&z, Z_NO_FLUSH);
  Step step{piece.size() - z.avail_in, room - z.avail_out, State::kMore};
  if (rc == Z_STREAM_END) {
    step.state = State::kDone;
  } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
    return Error(Errc::kCorrupt, "not a zlib stream");
  }
  return step;
}

namespace {
struct Decompressor {
  libdeflate_decompressor* d = libdeflate_alloc_decompressor();
  ~Decompressor() { libdeflate_free_decompressor(d); }
};
thread_local Decompressor decompressor;
}  // namespace

std::optional<std::size_t> inflate_front(Bytes input, std::span<char> output) {
  std::size_t consumed = 0;
  std::size_t produced = 0;
  const auto rc = libdeflate_zlib_decompress_ex(decompressor.d, input.data(), input.size(), output.data(), output.size(), &consumed, &produced);
  if (rc != LIBDEFLATE_SUCCESS || produced != output.size()) return std::nullopt;
  return consumed;
}

Result<void> inflate_exact(Bytes input, std::uint64_t inflated_bytes, std::string& out) {
  // Deflate cannot yield more than 1,032 octets for one: a hostile size alone allocates nothing.
  if (inflated_bytes / 1032 > input.size()) return Error(Errc::kCorrupt, "a zlib stream does not yield its size");
  out.resize(inflated_bytes);
  if (inflate_front(input, std::span<char>(out)) != input.size()) {
    return Error(Errc::kCorrupt, "a zlib stream does not yield its size");
  }
  return success();
}

Result<std::string> inflate_exact(Bytes input, std::uint64_t inflated_bytes) {
  std::string out;
  VEXOR_TRY(inflate_exact(input, inflated_bytes, out));
  return out;
}

namespace {
// The last one used stays: thawing deflates many small objects at one level.
struct Compressor {
  int level = -1;
  libdeflate_compressor* c = nullptr;
  libdeflate_compressor* at(int wanted) {
    if (level == wanted) return c;
    libdeflate_free_compressor(c);
    c = libdeflate_alloc_compressor(wanted);
    level = wanted;
    return c;
  }
  ~Compressor() { libdeflate_free_compressor(c); }
};
thread_local Compressor kept_compressor;
}  // namespace

std::string deflate(Bytes input, int level) {
  libdeflate_compressor* compressor = kept_compressor.at(level);
  std::string out(libdeflate_zlib_compress_bound(compressor, input.size()), '\0');
  out.resize(libdeflate_zlib_compress(compressor, input.data(), input.size(), out.data(), out.size()));
  return out;
}

}  // namespace vexor::compress
