#include "store/forgotten.h"

namespace vexor::store {

using sys::Family;

namespace {

constexpr std::uint8_t kVersion = 1;

Result<void> read_version(ByteReader& reader, const char* what) {
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kVersion) return Error(Errc::kCorrupt, std::string(what) + ": unknown version");
  return success();
}

}  // namespace

std::string encode_forgetting_row(const ForgettingRow& row) {
  std::string out;
  put_u8(out, kVersion);
  for (const std::uint64_t field : {row.records, row.objects, row.end}) put_varint(out, field);
  return out;
}

Result<ForgettingRow> decode_forgetting_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(read_version(reader, "forgetting row"));
  ForgettingRow row;
  for (std::uint64_t* field : {&row.records, &row.objects, &row.end}) {
    VEXOR_TRY(*field, reader.varint());
  }
  VEXOR_TRY(reader.end());
  const bool is_sound = row.records > 0 && row.records <= kForgettingRecordsMax && row.objects <= row.end && row.end <= std::uint64_t{kNoObject};
  if (!is_sound) return Error(Errc::kCorrupt, "forgetting row: a number out of range");
  return row;
}

std::string encode_forgotten_row(const ForgottenRow& row) {
  std::string out;
  put_u8(out, kVersion);
  put_u64be(out, static_cast<std::uint64_t>(row.time_ms));
  put_set(out, row.numbers);
  return out;
}

Result<ForgottenRow> decode_forgotten_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(read_version(reader, "forgotten row"));
  ForgottenRow row;
  VEXOR_TRY(const std::uint64_t time, reader.u64be());
  row.time_ms = static_cast<std::int64_t>(time);
  VEXOR_TRY(row.numbers, read_set(reader));
  VEXOR_TRY(reader.end());
  if (row.numbers.cardinality() > kForgottenPerRecordMax || row.numbers.contains(kNoObject)) return Error(Errc::kCorrupt, "forgotten row: its numbers");
  return row;
}

std::string encode_dropped_row(const DroppedRow& row) {
  std::string out;
  put_u8(out, kVersion);
  for (const std::uint64_t field : {row.records, row.rewrites, row.objects}) put_varint(out, field);
  put_set(out, row.kept);
  return out;
}

Result<DroppedRow> decode_dropped_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(read_version(reader, "dropped row"));
  DroppedRow row;
  for (std::uint64_t* field : {&row.records, &row.rewrites, &row.objects}) {
    VEXOR_TRY(*field, reader.varint());
  }
  VEXOR_TRY(row.kept, read_set(reader));
  VEXOR_TRY(reader.end());
  return row;
}

Result<ForgettingRow> read_forgetting(const sys::StorageSnapshot& snapshot, PoolId pool) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, forgetting_key(pool)));
  if (!row) return ForgettingRow();
  return decode_forgetting_row(row->bytes());
}

Result<ForgottenRow> read_forgotten(const sys::StorageSnapshot& snapshot, PoolId pool, std::uint64_t record) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, forgotten_key(pool, record)));
  if (!row) return Error(Errc::kCorrupt, "what record " + std::to_string(record) + " forgot of pool " + std::to_string(pool) + " is missing");
  return decode_forgotten_row(row->bytes());
}

Result<DroppedRow> read_dropped(const sys::StorageSnapshot& snapshot, PoolId pool) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kMeta, dropped_key(pool)));
  if (!row) return DroppedRow();
  return decode_dropped_row(row->bytes());
}

Result<Roaring> forgotten_since(const sys::StorageSnapshot& snapshot, PoolId pool, std::uint64_t after) {
  VEXOR_TRY(const ForgettingRow row, read_forgetting(snapshot, pool));
  Roaring out;
  for (std::uint64_t record = after + 1; record <= row.records; ++record) {
    VEXOR_TRY(const ForgottenRow one, read_forgotten(snapshot, pool, record));
    out |= one.numbers;
  }
  return out;
}

Result<SetPtr> forgotten_numbers(StoreCore& core, const sys::StorageSnapshot& snapshot, PoolId pool) {
  VEXOR_TRY(const ForgettingRow row, read_forgetting(snapshot, pool));
  if (row.records == 0) return SetPtr();
  const std::string key = format::pool_key(pool);
  std::uint64_t known = 0;
  const SetPtr before = core.forgotten.find(key, known);
  if (before && known == row.records) return before;
  const bool goes_on = before && known < row.records;
  VEXOR_TRY(Roaring more, forgotten_since(snapshot, pool, goes_on ? known : 0));
  if (goes_on) more |= *before;
  more.runOptimize();
  SetPtr out = std::make_shared<const Roaring>(std::move(more));
  core.forgotten.insert(key, row.records, out, out->getSizeInBytes(false));
  return out;
}

Result<std::uint64_t> sweeps_of(const sys::StorageSnapshot& snapshot, PoolId pool) {
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, read_pool_upkeep(snapshot, pool));
  VEXOR_TRY(const ForgettingRow row, read_forgetting(snapshot, pool));
  return upkeep.sweeps + row.records;
}

Result<void> expect_nothing_forgotten_since(const sys::StorageSnapshot& snapshot, PoolId pool, Change& change) {
  const std::string key = forgetting_key(pool);
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, key));
  change.preconditions.push_back({Family::kRepositories, key, row ? std::optional(std::string(row->bytes())) : std::nullopt});
  return success();
}

}  // namespace vexor::store
