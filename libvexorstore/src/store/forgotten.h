// Which objects of a pool the members of a replica set forgot, by record, and which of them this store has no bytes of any more.
// Spec: docs/format/forgotten.md, docs/adr/0024-forgetting-by-record.md.
//
// The index leads to no forgotten object. Whoever finds objects some other way than by the index or from refs (by reading extents) asks here.
#pragma once

#include "store/number_set.h"
#include "store/store_core.h"

namespace vexor::store {

constexpr std::uint32_t kForgottenPerRecordMax = 4096;  // objects
constexpr std::uint64_t kForgettingRecordsMax = UINT32_MAX;  // of a pool

// repositories, key 'f' pool. All 0: there is no row, as nothing was ever forgotten.
struct ForgettingRow {
  std::uint64_t records = 0;  // that forgot objects of the pool
  std::uint64_t objects = 0;  // that they forgot
  std::uint64_t end = 0;      // behind the highest of these
};
inline std::string forgetting_key(PoolId pool) { return "f" + format::pool_key(pool); }
std::string encode_forgetting_row(const ForgettingRow& row);
Result<ForgettingRow> decode_forgetting_row(Bytes value);

// repositories, key 'f' pool record: what one record forgot.
struct ForgottenRow {
  std::int64_t time_ms = 0;  // Unix time
  Roaring numbers;
};
inline std::string forgotten_key(PoolId pool, std::uint64_t record) { return "f" + format::number_key(pool, static_cast<ObjectNumber>(record)); }
std::string encode_forgotten_row(const ForgottenRow& row);
Result<ForgottenRow> decode_forgotten_row(Bytes value);

// meta, key 'f' pool: what this store did with the bytes.
struct DroppedRow {
  std::uint64_t records = 0;   // of which all is gone but for `kept`
  std::uint64_t rewrites = 0;  // of the pool, when `kept` was found
  std::uint64_t objects = 0;   // that have no bytes here any more
  Roaring kept;                // a stored delta leans on these
};
inline std::string dropped_key(PoolId pool) { return "f" + format::pool_key(pool); }
std::string encode_dropped_row(const DroppedRow& row);
Result<DroppedRow> decode_dropped_row(Bytes value);

// Errors of all that follow: kIo, kCorrupt.
Result<ForgettingRow> read_forgetting(const sys::StorageSnapshot& snapshot, PoolId pool);
Result<ForgottenRow> read_forgotten(const sys::StorageSnapshot& snapshot, PoolId pool, std::uint64_t record);
Result<DroppedRow> read_dropped(const sys::StorageSnapshot& snapshot, PoolId pool);
// What the records behind `after` forgot, up to the last one.
Result<Roaring> forgotten_since(const sys::StorageSnapshot& snapshot, PoolId pool, std::uint64_t after);
// All of it. Null: nothing. Kept in memory for the next one who asks.
Result<SetPtr> forgotten_numbers(StoreCore& core, const sys::StorageSnapshot& snapshot, PoolId pool);

// How often bitmaps of the pool were erased, by sweeps here and by records: sets that were composed before are of no use then.
Result<std::uint64_t> sweeps_of(const sys::StorageSnapshot& snapshot, PoolId pool);

// The change is void once a record forgets what `snapshot` showed: for whoever makes refs name objects of the pool.
Result<void> expect_nothing_forgotten_since(const sys::StorageSnapshot& snapshot, PoolId pool, Change& change);

}  // namespace vexor::store
