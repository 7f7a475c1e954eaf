#include "format/delta_encode.h"

#include <array>
#include <cstring>

namespace vexor::format {

namespace {

constexpr std::size_t kBlock = 16;
constexpr std::size_t kInsertMax = 127;
constexpr std::size_t kCopyMax = 65536;
constexpr std::size_t kMatchEnough = 4096;   // no longer one is looked for
constexpr std::size_t kBucketBlocksMax = 64; // of which a match is looked for
constexpr std::uint32_t kFactor = 0x9E3779B1U;
constexpr std::uint32_t kScatter = 0x85EBCA6BU;

constexpr std::uint32_t factor_to_the_block() {
  std::uint32_t out = 1;
  for (std::size_t i = 0; i < kBlock; ++i) out *= kFactor;
  return out;
}
constexpr std::uint32_t kLeaves = factor_to_the_block();  // weight of the octet that falls out, one step on

std::uint32_t octet_at(const char* at) { return static_cast<unsigned char>(*at); }

std::uint32_t block_hash(const char* at) {
  std::uint32_t hash = 0;
  for (std::size_t i = 0; i < kBlock; ++i) hash = hash * kFactor + octet_at(at + i) + 1;
  return hash;
}
// From the hash of the block at `at` to that of the next.
std::uint32_t roll(std::uint32_t hash, const char* at) {
  return hash * kFactor + octet_at(at + kBlock) + 1 - (octet_at(at) + 1) * kLeaves;
}

std::size_t common_prefix(const char* left, const char* right, std::size_t max) {
  constexpr std::size_t kStride = 32;
  std::size_t size = 0;
  while (size + kStride <= max && std::memcmp(left + size, right + size, kStride) == 0) size += kStride;
  while (size < max && left[size] == right[size]) ++size;
  return size;
}

void put_size(std::string& out, std::size_t size) {
  for (; size > 0x7F; size >>= 7U) out.push_back(static_cast<char>(0x80U | (size & 0x7FU)));
  out.push_back(static_cast<char>(size));
}

void put_inserts(std::string& out, Bytes octets) {
  while (!octets.empty()) {
    const Bytes piece = octets.substr(0, kInsertMax);
    out.push_back(static_cast<char>(piece.size()));
    out.append(piece);
    octets.remove_prefix(piece.size());
  }
}

void put_copies(std::string& out, std::size_t offset, std::size_t size) {
  while (size > 0) {
    const std::size_t piece = std::min(size, kCopyMax);
    const std::size_t op = out.size();
    out.push_back(0);
    unsigned bits = 0x80;
    for (unsigned i = 0; i < 4; ++i) {
      const auto byte = static_cast<unsigned char>(offset >> (8 * i));
      if (byte == 0) continue;
      out.push_back(static_cast<char>(byte));
      bits |= 1U << i;
    }
    for (unsigned i = 0; piece != kCopyMax && i < 2; ++i) {
      const auto byte = static_cast<unsigned char>(piece >> (8 * i));
      if (byte == 0) continue;
      out.push_back(static_cast<char>(byte));
      bits |= 0x10U << i;
    }
    out[op] = static_cast<char>(bits);
    offset += piece;
    size -= piece;
  }
}

}  // namespace

DeltaIndex::DeltaIndex(Bytes base) : base_(base) {
  const std::size_t count = base.size() / kBlock;
  unsigned bits = 4;
  while (bits < 28 && (std::size_t{1} << bits) < count) ++bits;
  shift_ = 32 - bits;
  const std::size_t buckets = std::size_t{1} << bits;
  std::vector<Block> all;
  all.reserve(count);
  starts_.assign(buckets + 1, 0);
  std::uint32_t before = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t hash = block_hash(base.data() + i * kBlock);
    // Of a run of equal blocks the first is enough: a match goes on through all of them.
    if (i > 0 && hash == before) continue;
    before = hash;
    all.push_back({hash, static_cast<std::uint32_t>(i * kBlock)});
  }
  for (const Block& block : all) ++starts_[((block.hash * kScatter) >> shift_) + 1];
  for (std::size_t i = 1; i <= buckets; ++i) starts_[i] += starts_[i - 1];
  blocks_.resize(all.size());
  std::vector<std::uint32_t> next(starts_.begin(), starts_.end() - 1);
  for (const Block& block : all) blocks_[next[(block.hash * kScatter) >> shift_]++] = block;
}

DeltaIndex::Match DeltaIndex::find(std::uint32_t hash, Bytes rest) const {
  Match best;
  const std::size_t bucket = (hash * kScatter) >> shift_;
  const std::uint32_t first = starts_[bucket];
  const std::uint32_t end = starts_[bucket + 1];
  // Of an overfull bucket every so-manieth block is tried.
  const std::uint32_t stride = static_cast<std::uint32_t>((end - first) / kBucketBlocksMax) + 1;
  for (std::uint32_t at = first; at < end; at += stride) {
    if (blocks_[at].hash != hash) continue;
    const std::size_t offset = blocks_[at].offset;
    const std::size_t size = common_prefix(base_.data() + offset, rest.data(), std::min(base_.size() - offset, rest.size()));
    if (size <= best.size) continue;
    best = {offset, size};
    if (size >= kMatchEnough) break;
  }
  return best;
}

bool DeltaIndex::encode(Bytes object, std::size_t bytes_max, std::string& out) const {
  out.clear();
  put_size(out, base_.size());
  put_size(out, object.size());
  std::size_t pending = 0;  // octets from here on are still to be inserted
  std::size_t at = 0;
  std::uint32_t hash = object.size() >= kBlock ? block_hash(object.data()) : 0;
  while (at + kBlock <= object.size()) {
    Match match = find(hash, object.substr(at));
    if (match.size < kBlock) {
      if (at + kBlock < object.size()) hash = roll(hash, object.data() + at);
      ++at;
      if (out.size() + (at - pending) > bytes_max) return false;
      continue;
    }
    std::size_t begin = at;
    while (begin > pending && match.offset > 0 && base_[match.offset - 1] == object[begin - 1]) {
      --begin;
      --match.offset;
      ++match.size;
    }
    put_inserts(out, object.substr(pending, begin - pending));
    put_copies(out, match.offset, match.size);
    at = pending = begin + match.size;
    if (out.size() > bytes_max) return false;
    if (at + kBlock <= object.size()) hash = block_hash(object.data() + at);
  }
  put_inserts(out, object.substr(pending));
  return out.size() <= bytes_max;
}

}  // namespace vexor::format
