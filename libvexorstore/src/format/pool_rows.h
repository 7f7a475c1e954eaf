// Values of the families of a pool: index, graph, quarantine. Spec: docs/format/index.md, graph.md,
// quarantine.md.
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

}  // namespace vexor::format
