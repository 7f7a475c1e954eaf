#include "format/pool_rows.h"

namespace vexor::format {
namespace {

constexpr std::uint8_t kGraphVersion = 1;
constexpr std::uint8_t kGraphVersionAdditions = 2;
constexpr std::uint8_t kUpkeepVersion = 1;
constexpr std::uint8_t kUpkeepVersionFrozen = 2;  // of pools

}  // namespace

std::string encode_index_row(ObjectNumber number) {
  std::string out;
  put_u32be(out, number);
  return out;
}

Result<ObjectNumber> decode_index_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const ObjectNumber number, reader.u32be());
  VEXOR_TRY(reader.end());
  return number;
}

std::string encode_graph_row(const GraphRow& row) {
  std::string out;
  put_u8(out, row.additions ? kGraphVersionAdditions : kGraphVersion);
  put_u32be(out, row.tree);
  put_varint(out, row.generation);
  put_u64be(out, static_cast<std::uint64_t>(row.commit_time));
  put_varint(out, row.parents.size());
  for (const ObjectNumber parent : row.parents) put_u32be(out, parent);
  if (!row.additions) return out;
  put_varint(out, row.additions->size());
  std::uint64_t least = 0;  // of the next
  for (const ObjectNumber number : *row.additions) {
    put_varint(out, number - least);
    least = std::uint64_t{number} + 1;
  }
  return out;
}

Result<GraphRow> decode_graph_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kGraphVersion && version != kGraphVersionAdditions) return Error(Errc::kCorrupt, "graph row: unknown version");
  GraphRow row;
  VEXOR_TRY(row.tree, reader.u32be());
  VEXOR_TRY(row.generation, reader.varint());
  VEXOR_TRY(const std::uint64_t time, reader.u64be());
  row.commit_time = static_cast<std::int64_t>(time);
  VEXOR_TRY(const std::uint64_t count, reader.varint());
  if (count > reader.remaining() / 4) return Error(Errc::kCorrupt, "graph row: parents");
  for (std::uint64_t i = 0; i < count; ++i) {
    VEXOR_TRY(const ObjectNumber parent, reader.u32be());
    row.parents.push_back(parent);
  }
  if (version == kGraphVersionAdditions) {
    VEXOR_TRY(const std::uint64_t additions, reader.varint());
    if (additions > reader.remaining()) return Error(Errc::kCorrupt, "graph row: additions");
    row.additions.emplace();
    row.additions->reserve(additions);
    std::uint64_t least = 0;
    for (std::uint64_t i = 0; i < additions; ++i) {
      VEXOR_TRY(const std::uint64_t gap, reader.varint());
      if (gap > kObjectNumberMax || least + gap > kObjectNumberMax) return Error(Errc::kCorrupt, "graph row: an addition out of range");
      least += gap;
      row.additions->push_back(static_cast<ObjectNumber>(least));
      ++least;
    }
  }
  VEXOR_TRY(reader.end());
  return row;
}

std::string encode_quarantine_row(const QuarantineRow& row) {
  std::string out;
  put_u8(out, static_cast<std::uint8_t>(row.algorithm));
  put_u32be(out, row.object_count);
  return out;
}

Result<QuarantineRow> decode_quarantine_row(Bytes value) {
  ByteReader reader(value);
  QuarantineRow row;
  VEXOR_TRY(const std::uint8_t algorithm, reader.u8());
  if (algorithm != 1 && algorithm != 2) return Error(Errc::kCorrupt, "quarantine row: algorithm");
  row.algorithm = static_cast<HashAlgorithm>(algorithm);
  VEXOR_TRY(row.object_count, reader.u32be());
  VEXOR_TRY(reader.end());
  return row;
}

std::string encode_pool_upkeep_row(const PoolUpkeepRow& row) {
  std::string out;
  const bool is_frozen = row.frozen_to != 0 || row.cold_extents != 0 || row.cold_bytes != 0 || row.stale_bytes != 0;
  put_u8(out, is_frozen ? kUpkeepVersionFrozen : kUpkeepVersion);
  for (const std::uint64_t field : {row.rewrites, row.sweeps, row.merged_to, row.swept_objects, row.redelta_objects}) put_varint(out, field);
  if (!is_frozen) return out;
  for (const std::uint64_t field : {row.frozen_to, row.cold_extents, row.cold_bytes, row.stale_bytes}) put_varint(out, field);
  return out;
}

Result<PoolUpkeepRow> decode_pool_upkeep_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kUpkeepVersion && version != kUpkeepVersionFrozen) return Error(Errc::kCorrupt, "upkeep row: unknown version");
  PoolUpkeepRow row;
  for (std::uint64_t* field : {&row.rewrites, &row.sweeps, &row.merged_to, &row.swept_objects, &row.redelta_objects}) {
    VEXOR_TRY(*field, reader.varint());
  }
  if (version == kUpkeepVersionFrozen) {
    for (std::uint64_t* field : {&row.frozen_to, &row.cold_extents, &row.cold_bytes, &row.stale_bytes}) {
      VEXOR_TRY(*field, reader.varint());
    }
    if (row.frozen_to == 0 && row.cold_extents == 0 && row.cold_bytes == 0 && row.stale_bytes == 0) {
      return Error(Errc::kCorrupt, "upkeep row: a version that it does not need");
    }
  }
  VEXOR_TRY(reader.end());
  return row;
}

std::string encode_upkeep_cursor_row(PoolId pool) {
  std::string out;
  put_u8(out, kUpkeepVersion);
  put_u64be(out, pool);
  return out;
}

Result<PoolId> decode_upkeep_cursor_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kUpkeepVersion) return Error(Errc::kCorrupt, "upkeep cursor: unknown version");
  VEXOR_TRY(const PoolId pool, reader.u64be());
  VEXOR_TRY(reader.end());
  return pool;
}

std::string encode_scrub_row(const ScrubRow& row) {
  std::string out;
  put_u8(out, kUpkeepVersion);
  for (const std::uint64_t field : {row.verified_ms, row.verified_sequence, row.round_ms, row.round_sequence, row.next, row.damaged}) put_varint(out, field);
  return out;
}

Result<ScrubRow> decode_scrub_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kUpkeepVersion) return Error(Errc::kCorrupt, "scrub row: unknown version");
  ScrubRow row;
  for (std::uint64_t* field : {&row.verified_ms, &row.verified_sequence, &row.round_ms, &row.round_sequence, &row.next, &row.damaged}) {
    VEXOR_TRY(*field, reader.varint());
  }
  VEXOR_TRY(reader.end());
  return row;
}

}  // namespace vexor::format
