#include "format/purge_rows.h"

namespace vexor::format {

namespace {

constexpr std::uint8_t kVersion = 1;

void put_time(std::string& out, std::int64_t ms) { put_u64be(out, static_cast<std::uint64_t>(ms)); }

Result<std::int64_t> read_time(ByteReader& reader) {
  VEXOR_TRY(const std::uint64_t ms, reader.u64be());
  return static_cast<std::int64_t>(ms);
}

Result<std::string> read_text(ByteReader& reader) {
  VEXOR_TRY(const Bytes text, reader.bytes());
  return std::string(text);
}

Result<void> read_version(ByteReader& reader) {
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, "purge row: unknown version");
  return success();
}

}  // namespace

std::string encode_purge_row(const PurgeRow& row) {
  std::string out;
  put_u8(out, kVersion);
  put_u64be(out, row.request);
  put_u64be(out, row.repository);
  put_u64be(out, row.pool);
  put_time(out, row.deleted_ms);
  put_bytes(out, row.name);
  put_bytes(out, row.reason);
  put_u8(out, static_cast<std::uint8_t>(row.state));
  put_varint(out, row.requested_by);
  put_bytes(out, row.requested_name);
  put_time(out, row.requested_ms);
  put_time(out, row.expires_ms);
  put_varint(out, row.decided_by);
  put_bytes(out, row.decided_name);
  put_time(out, row.decided_ms);
  put_u8(out, row.keeps_objects ? 1 : 0);
  put_varint(out, row.erased_rows);
  return out;
}

Result<PurgeRow> decode_purge_row(Bytes value) {
  ByteReader reader(value);
  PurgeRow row;
  VEXOR_TRY(read_version(reader));
  VEXOR_TRY(row.request, reader.u64be());
  VEXOR_TRY(row.repository, reader.u64be());
  VEXOR_TRY(row.pool, reader.u64be());
  VEXOR_TRY(row.deleted_ms, read_time(reader));
  VEXOR_TRY(row.name, read_text(reader));
  VEXOR_TRY(row.reason, read_text(reader));
  VEXOR_TRY(const std::uint8_t state, reader.u8());
  if (state < 1 || state > static_cast<std::uint8_t>(PurgeState::kRefused)) return Error(Errc::kCorrupt, "purge row: state");
  row.state = static_cast<PurgeState>(state);
  VEXOR_TRY(row.requested_by, reader.varint());
  VEXOR_TRY(row.requested_name, read_text(reader));
  VEXOR_TRY(row.requested_ms, read_time(reader));
  VEXOR_TRY(row.expires_ms, read_time(reader));
  VEXOR_TRY(row.decided_by, reader.varint());
  VEXOR_TRY(row.decided_name, read_text(reader));
  VEXOR_TRY(row.decided_ms, read_time(reader));
  VEXOR_TRY(row.keeps_objects, reader.flag());
  VEXOR_TRY(row.erased_rows, reader.varint());
  VEXOR_TRY(reader.end());
  return row;
}

std::string encode_purge_report_row(const PurgeReportRow& row) {
  std::string out;
  put_u8(out, kVersion);
  put_time(out, row.began_ms);
  put_time(out, row.ended_ms);
  put_varint(out, row.journal_records);
  put_varint(out, row.compacted_bytes);
  return out;
}

Result<PurgeReportRow> decode_purge_report_row(Bytes value) {
  ByteReader reader(value);
  PurgeReportRow row;
  VEXOR_TRY(read_version(reader));
  VEXOR_TRY(row.began_ms, read_time(reader));
  VEXOR_TRY(row.ended_ms, read_time(reader));
  VEXOR_TRY(row.journal_records, reader.varint());
  VEXOR_TRY(row.compacted_bytes, reader.varint());
  VEXOR_TRY(reader.end());
  return row;
}

}  // namespace vexor::format
