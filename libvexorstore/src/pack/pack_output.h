// PackOutput: where a pack's bytes go: raw, or as side-band packets of channel 1, framed in place so
// that a payload is copied once. Feeds a checksum by the packet. Spec: gitprotocol-pack "Packfile Data".
#pragma once

#include <string>

#include "base/check.h"
#include "crypto/digest.h"
#include "vexorstore/limits.h"

namespace vexor::pack {

class PackOutput {
 public:
  // Appends to `out`. `line_bytes_max`: the longest packet; 0: no side band.
  PackOutput(std::string& out, std::size_t line_bytes_max) : out_(out), line_bytes_max_(line_bytes_max), start_(out.size()) {
    VEXOR_CHECK(line_bytes_max == 0 || (line_bytes_max > kHeaderBytes && line_bytes_max <= kPktLineBytesMax));
  }
  ~PackOutput() { end_packet(); }
  PackOutput(const PackOutput&) = delete;
  PackOutput& operator=(const PackOutput&) = delete;

  // Null: none. The checksum sees what was appended once the packet ends.
  void set_checksum(PackChecksum* checksum) {
    if (checksum == checksum_) return;
    end_packet();
    checksum_ = checksum;
  }

  void append(Bytes bytes) {
    pack_bytes_ += bytes.size();
    if (line_bytes_max_ == 0) {
      out_.append(bytes);
      return;
    }
    while (!bytes.empty()) {
      if (out_.size() - start_ == line_bytes_max_) end_packet();
      if (out_.size() == start_) out_.append(kHeaderBytes, '\1');
      const Bytes piece = bytes.substr(0, line_bytes_max_ - (out_.size() - start_));
      out_.append(piece);
      bytes.remove_prefix(piece.size());
    }
  }

  // Pack bytes appended through this object.
  std::uint64_t pack_bytes() const { return pack_bytes_; }

  // Closes the packet at hand; the next append begins another.
  void end_packet() {
    const std::size_t size = out_.size() - start_;
    if (size == 0) return;
    const std::size_t header = line_bytes_max_ == 0 ? 0 : kHeaderBytes;
    if (header != 0) {
      static constexpr char kDigits[] = "0123456789abcdef";
      for (unsigned i = 0; i < 4; ++i) out_[start_ + i] = kDigits[(size >> (12 - 4 * i)) & 15U];
    }
    if (checksum_ != nullptr) checksum_->update(Bytes(out_).substr(start_ + header));
    start_ = out_.size();
  }

 private:
  static constexpr std::size_t kHeaderBytes = 5;  // four digits of length, the channel
  std::string& out_;
  std::size_t line_bytes_max_;
  std::size_t start_;  // of the packet at hand
  std::uint64_t pack_bytes_ = 0;
  PackChecksum* checksum_ = nullptr;
};

}  // namespace vexor::pack
