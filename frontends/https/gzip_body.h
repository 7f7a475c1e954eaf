// A gzip request body, inflated a piece at a time and within a limit. One thread at a time.
#pragma once

#include <string>
#include <zlib.h>

#include "vexorstore/bytes.h"

namespace vexor::frontend {

class GzipBody {
 public:
  static constexpr std::size_t kPieceBytes = 128 * 1024;  // that one take() gives at most
  // Of a push that is longer than the second, inflated octets for each that came: commands are ids for a good half, and packs are deflated already.
  static constexpr std::uint64_t kPushRatioMax = 64;
  static constexpr std::uint64_t kAnyRatioBytesMax = 1U << 20U;

  // 0: any.
  explicit GzipBody(std::uint64_t ratio_max) : ratio_max_(ratio_max) { inflateInit2(&stream_, 16 + MAX_WBITS); }
  ~GzipBody() { inflateEnd(&stream_); }
  GzipBody(const GzipBody&) = delete;
  GzipBody& operator=(const GzipBody&) = delete;
  // `input` must stay until is_pending() is false.
  void give(Bytes input) {
    is_pending_ = true;
    given_ += input.size();
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
  }
  // Whether take() may have more without more input.
  bool is_pending() const { return is_pending_; }
  // At most a piece. False on bad data or over the limit.
  bool take(std::string& out, std::uint64_t bytes_max) {
    out.resize(kPieceBytes);
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    const int rc = inflate(&stream_, Z_NO_FLUSH);
    out.resize(out.size() - stream_.avail_out);
    total_ += out.size();
    is_pending_ = rc == Z_OK && stream_.avail_out == 0;
    const bool is_bomb = ratio_max_ != 0 && total_ > kAnyRatioBytesMax && total_ / ratio_max_ > given_;
    return (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR) && total_ <= bytes_max && !is_bomb;
  }

 private:
  z_stream stream_{};
  std::uint64_t ratio_max_;
  std::uint64_t given_ = 0;
  std::uint64_t total_ = 0;
  bool is_pending_ = false;
};

}  // namespace vexor::frontend
