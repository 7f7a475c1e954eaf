// Writing and reading numbers and byte strings: big-endian fixed width, LEB128 varints.
#pragma once

#include "vexorstore/bytes.h"
#include "vexorstore/result.h"

namespace vexor {

inline void put_u8(std::string& out, std::uint8_t value) { out.push_back(static_cast<char>(value)); }
inline void put_u16be(std::string& out, std::uint16_t value) {
  put_u8(out, static_cast<std::uint8_t>(value >> 8));
  put_u8(out, static_cast<std::uint8_t>(value));
}
inline void put_u32be(std::string& out, std::uint32_t value) {
  put_u16be(out, static_cast<std::uint16_t>(value >> 16));
  put_u16be(out, static_cast<std::uint16_t>(value));
}
inline void put_u64be(std::string& out, std::uint64_t value) {
  put_u32be(out, static_cast<std::uint32_t>(value >> 32));
  put_u32be(out, static_cast<std::uint32_t>(value));
}
inline void put_varint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    put_u8(out, static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  put_u8(out, static_cast<std::uint8_t>(value));
}
inline void put_bytes(std::string& out, Bytes bytes) {
  put_varint(out, bytes.size());
  out.append(bytes);
}

// Reads from the front of a byte string that it does not own. Errors: kCorrupt.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : bytes_(bytes) {}

  Result<std::uint8_t> u8() {
    VEXOR_TRY(const std::uint64_t value, fixed(1));
    return static_cast<std::uint8_t>(value);
  }
  Result<std::uint16_t> u16be() {
    VEXOR_TRY(const std::uint64_t value, fixed(2));
    return static_cast<std::uint16_t>(value);
  }
  Result<std::uint32_t> u32be() {
    VEXOR_TRY(const std::uint64_t value, fixed(4));
    return static_cast<std::uint32_t>(value);
  }
  Result<std::uint64_t> u64be() { return fixed(8); }
  Result<std::uint64_t> varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (position_ == bytes_.size()) return truncated();
      const std::uint64_t byte = octet(bytes_, position_++);
      if (shift == 63 && byte > 1) break;
      value |= (byte & 0x7F) << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift != 0) break;  // not the shortest form
        return value;
      }
    }
    return Error(Errc::kCorrupt, "varint out of range or not in shortest form");
  }
  Result<Bytes> take(std::size_t count) {
    if (count > remaining()) return truncated();
    position_ += count;
    return bytes_.substr(position_ - count, count);
  }
  Result<Bytes> bytes(std::size_t count_max = SIZE_MAX) {
    VEXOR_TRY(const std::uint64_t count, varint());
    if (count > count_max) return Error(Errc::kCorrupt, "byte string over its limit");
    return take(count);
  }
  // A 0 or 1.
  Result<bool> flag() {
    VEXOR_TRY(const std::uint8_t value, u8());
    if (value > 1) return Error(Errc::kCorrupt, "a flag that is neither 0 nor 1");
    return value == 1;
  }
  // Requires that all was read: a value holds nothing that its version does not know.
  Result<void> end() const {
    if (!empty()) return Error(Errc::kCorrupt, "bytes behind the end of a value");
    return success();
  }
  bool empty() const { return position_ == bytes_.size(); }
  std::size_t remaining() const { return bytes_.size() - position_; }
  std::size_t position() const { return position_; }

 private:
  static Error truncated() { return Error(Errc::kCorrupt, "value ends too early"); }
  Result<std::uint64_t> fixed(std::size_t count) {
    if (count > remaining()) return truncated();
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value << 8 | octet(bytes_, position_++);
    return value;
  }
  Bytes bytes_;
  std::size_t position_ = 0;
};

}  // namespace vexor
