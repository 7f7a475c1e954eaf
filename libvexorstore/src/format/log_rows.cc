#include "format/log_rows.h"

#include <algorithm>

namespace vexor::format {

namespace {
constexpr std::uint8_t kVersion = 1;
}  // namespace

bool travels_with_log(sys::Family family) {
  using sys::Family;
  return family == Family::kExtents || family == Family::kGraph || family == Family::kBitmaps || family == Family::kShapes;
}

std::string encode_log_rows(HashAlgorithm algorithm, const sys::Batch& batch) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>(algorithm));
  const auto travels = [](const sys::Batch::Op& op) { return op.kind == sys::Batch::Kind::kPut && travels_with_log(op.family); };
  put_varint(out, static_cast<std::uint64_t>(std::count_if(batch.ops().begin(), batch.ops().end(), travels)));
  for (const sys::Batch::Op& op : batch.ops()) {
    if (!travels(op)) continue;
    put_u8(out, static_cast<std::uint8_t>(op.family));
    put_bytes(out, op.key);
    put_bytes(out, op.value);
  }
  return out;
}

Result<LogRows> decode_log_rows(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, "log rows: unknown version");
  VEXOR_TRY(const std::uint8_t algorithm, reader.u8());
  if (algorithm != 1 && algorithm != 2) return Error(Errc::kCorrupt, "log rows: unknown hash algorithm");
  LogRows out;
  out.algorithm = static_cast<HashAlgorithm>(algorithm);
  VEXOR_TRY(const std::uint64_t count, reader.varint());
  for (std::uint64_t i = 0; i < count; ++i) {
    VEXOR_TRY(const std::uint8_t number, reader.u8());
    const auto family = static_cast<sys::Family>(number);
    if (!travels_with_log(family)) return Error(Errc::kCorrupt, "log rows: a family that does not travel");
    VEXOR_TRY(const Bytes key, reader.bytes());
    VEXOR_TRY(const Bytes row, reader.bytes());
    out.rows.put(family, key, row);
  }
  VEXOR_TRY(reader.end());
  return out;
}

std::string encode_applied_row(std::uint64_t sequence) {
  std::string out;
  put_u8(out, kVersion);
  put_u64be(out, sequence);
  return out;
}

Result<std::uint64_t> decode_applied_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, "applied row: unknown version");
  VEXOR_TRY(const std::uint64_t sequence, reader.u64be());
  VEXOR_TRY(reader.end());
  return sequence;
}

Result<ObjectNumber> number_of_late_key(Bytes key) {
  if (key.empty()) return Error(Errc::kCorrupt, "late row: its key");
  return number_of_key(key.substr(1));
}

std::string encode_late_row(const LateRow& row) {
  std::string out;
  put_u8(out, kVersion);
  put_varint(out, row.sequence);
  put_varint(out, row.object_count);
  return out;
}

Result<LateRow> decode_late_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, "late row: unknown version");
  LateRow row;
  VEXOR_TRY(row.sequence, reader.varint());
  VEXOR_TRY(const std::uint64_t count, reader.varint());
  if (row.sequence == 0 || count == 0 || count > kObjectNumberMax) return Error(Errc::kCorrupt, "late row: a number out of range");
  row.object_count = static_cast<std::uint32_t>(count);
  VEXOR_TRY(reader.end());
  return row;
}

std::string encode_late_rows_row() {
  std::string out;
  put_u8(out, kVersion);
  return out;
}

}  // namespace vexor::format
