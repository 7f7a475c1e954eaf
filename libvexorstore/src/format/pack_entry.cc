#include "format/pack_entry.h"

#include "base/bytes_io.h"

namespace vexor::format {

Result<PackHeader> decode_pack_header(Bytes twelve) {
  ByteReader reader(twelve);
  if (twelve.size() != 12 || twelve.substr(0, 4) != "PACK") return Error(Errc::kProtocol, "pack: no PACK signature");
  PackHeader header;
  VEXOR_TRY(reader.take(4));
  VEXOR_TRY(header.version, reader.u32be());
  VEXOR_TRY(header.object_count, reader.u32be());
  if (header.version != 2 && header.version != 3) return Error(Errc::kProtocol, "pack: version is not 2 or 3");
  return header;
}

void append_pack_header(std::string& out, std::uint32_t object_count) {
  out.append("PACK");
  put_u32be(out, 2);
  put_u32be(out, object_count);
}

Result<std::optional<PackEntryHeader>> decode_pack_entry_header(Bytes input, HashAlgorithm algorithm) {
  using Out = std::optional<PackEntryHeader>;
  if (input.empty()) return Out();
  PackEntryHeader header;
  std::size_t at = 0;
  std::uint64_t byte = octet(input, at++);
  const unsigned kind = (byte >> 4) & 7U;
  if (kind == 0 || kind == 5) return Error(Errc::kProtocol, "pack: unknown entry type");
  header.kind = static_cast<PackEntryKind>(kind);
  header.inflated_bytes = byte & 15U;
  for (unsigned shift = 4; (byte & 0x80U) != 0; shift += 7) {
    if (shift > 60) return Error(Errc::kProtocol, "pack: entry size over 64 bits");
    if (at == input.size()) return Out();
    byte = octet(input, at++);
    const std::uint64_t bits = byte & 0x7FU;
    if (shift == 60 && bits > 15) return Error(Errc::kProtocol, "pack: entry size over 64 bits");
    header.inflated_bytes |= bits << shift;
  }
  if (header.kind == PackEntryKind::kOfsDelta) {
    if (at == input.size()) return Out();
    byte = octet(input, at++);
    std::uint64_t distance = byte & 0x7FU;
    while ((byte & 0x80U) != 0) {
      if (at == input.size()) return Out();
      if (distance >= (1ULL << 56U)) return Error(Errc::kProtocol, "pack: base distance over 63 bits");
      byte = octet(input, at++);
      distance = ((distance + 1) << 7U) | (byte & 0x7FU);
    }
    if (distance == 0) return Error(Errc::kProtocol, "pack: base distance 0");
    header.base_distance = distance;
  } else if (header.kind == PackEntryKind::kRefDelta) {
    if (input.size() - at < hash_bytes(algorithm)) return Out();
    header.base_id = ObjectId::from_raw(algorithm, input.substr(at, hash_bytes(algorithm)));
    at += hash_bytes(algorithm);
  }
  header.header_bytes = at;
  return Out(std::move(header));
}

void append_pack_entry_header(std::string& out, PackEntryKind kind, std::uint64_t inflated_bytes) {
  std::uint64_t rest = inflated_bytes >> 4U;
  put_u8(out, static_cast<std::uint8_t>((rest != 0 ? 0x80U : 0U) | (static_cast<unsigned>(kind) << 4U) | (inflated_bytes & 15U)));
  while (rest != 0) {
    put_u8(out, static_cast<std::uint8_t>((rest > 0x7FU ? 0x80U : 0U) | (rest & 0x7FU)));
    rest >>= 7U;
  }
}

void append_ofs_distance(std::string& out, std::uint64_t distance) {
  char room[10];
  std::size_t at = sizeof room;
  room[--at] = static_cast<char>(distance & 0x7FU);
  while ((distance >>= 7U) != 0) {
    --distance;
    room[--at] = static_cast<char>(0x80U | (distance & 0x7FU));
  }
  out.append(room + at, sizeof room - at);
}

}  // namespace vexor::format
