// Object filters of partial clones: which of the objects to send are left out.
// Spec: git's rev-list "--filter=<filter-spec>", docs/protocol/README.md "Filters".
#pragma once

#include "pack/reachability.h"

namespace vexor::pack {

struct FilterTerm {
  enum class Kind : std::uint8_t { kBlobNone, kBlobLimit, kTreeDepth, kObjectType, kSparse } kind = Kind::kBlobNone;
  std::uint64_t number = 0;  // kBlobLimit: blobs of this many bytes and more go; kTreeDepth: depths from this on go
  ObjectType object_type = ObjectType::kCommit;  // kObjectType: what stays
  std::string blob;          // kSparse: the blob with the patterns, an id or REF:PATH
};

// An object stays when every term keeps it. No terms: everything stays.
using Filter = std::vector<FilterTerm>;

// Errors: kInvalidArgument (unknown filter, bad number), kLimitExceeded (too many combined).
Result<Filter> parse_filter(std::string_view spec, const Limits& limits);

// Removes from `send` what `filter` leaves out. `wants`: objects asked for by name always stay.
// Errors: kInvalidArgument (a sparse blob that is not visible), kLimitExceeded.
Result<void> apply_filter(const store::RepositorySnapshot& repository, ObjectReader& reader, ObjectSource& source,
                          const Roaring& visible, const Filter& filter, const std::vector<ObjectNumber>& wants,
                          Roaring& send);

}  // namespace vexor::pack
