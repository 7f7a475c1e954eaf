// Values of the families of a pool: index, graph, quarantine, and what maintenance notes of it. Spec:
// docs/format/index.md, graph.md, quarantine.md, meta.md.
#pragma once

#include <optional>
#include <vector>

#include "format/keys.h"

namespace vexor::format {

std::string encode_index_row(ObjectNumber number);
Result<ObjectNumber> decode_index_row(Bytes value);

struct GraphRow {
  ObjectNumber tree = kNoObject;
  std::vector<ObjectNumber> parents;
  std::uint64_t generation = 1;  // 1 + the largest of the parents'
  std::int64_t commit_time = 0;
  // What the commit's tree reaches and its first parent's has not at the same path, ascending; the commit
  // itself is not among them. Nullopt: not known, read the trees.
  std::optional<std::vector<ObjectNumber>> additions;
};
std::string encode_graph_row(const GraphRow& row);
Result<GraphRow> decode_graph_row(Bytes value);

struct QuarantineRow {
  HashAlgorithm algorithm = HashAlgorithm::kSha1;
  std::uint32_t object_count = 0;
};
std::string encode_quarantine_row(const QuarantineRow& row);
Result<QuarantineRow> decode_quarantine_row(Bytes value);

// meta, key 'p' pool: what maintenance did to a pool.
struct PoolUpkeepRow {
  std::uint64_t rewrites = 0;         // batches that changed payloads or erased objects
  std::uint64_t sweeps = 0;           // sweeps that found something: each began by erasing bitmaps
  std::uint64_t merged_to = 0;        // extents that begin below this number need no merge
  std::uint64_t swept_objects = 0;    // numbers that have a shape and were swept
  std::uint64_t redelta_objects = 0;  // objects that the last whole re-delta looked at
  // Version 2.
  std::uint64_t frozen_to = 0;     // extents that begin below this number need no freezing
  std::uint64_t cold_extents = 0;  // rows in the cold form, and their octets
  std::uint64_t cold_bytes = 0;
  std::uint64_t stale_bytes = 0;   // of extents replaced by freezing, thawing and re-delta since their family was last compacted there
};
std::string encode_pool_upkeep_row(const PoolUpkeepRow& row);
Result<PoolUpkeepRow> decode_pool_upkeep_row(Bytes value);
inline std::string pool_upkeep_key(PoolId pool) { return "p" + pool_key(pool); }

// meta, key 'c': the pool that maintenance of the whole store goes on with.
std::string encode_upkeep_cursor_row(PoolId pool);
Result<PoolId> decode_upkeep_cursor_row(Bytes value);
inline std::string upkeep_cursor_key() { return "c"; }

// meta, key 'd' pool: what scrubbing found. Times: Unix, in milliseconds; 0: never.
struct ScrubRow {
  std::uint64_t verified_ms = 0;
  std::uint64_t verified_sequence = 0;
  std::uint64_t round_ms = 0;        // when the round at hand began; 0: none is
  std::uint64_t round_sequence = 0;  // applied when it began
  std::uint64_t next = 0;            // objects below this number were read in it; pool 0: journal records
  std::uint64_t damaged = 0;         // found in it, or in the last one
};
std::string encode_scrub_row(const ScrubRow& row);
Result<ScrubRow> decode_scrub_row(Bytes value);
inline std::string scrub_key(PoolId pool) { return "d" + pool_key(pool); }

}  // namespace vexor::format
