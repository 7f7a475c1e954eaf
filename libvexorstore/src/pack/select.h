// What a fetch sends: from wants, haves, shallow boundaries and a filter to a set of objects.
#pragma once

#include "pack/reachability.h"

namespace vexor::pack {

struct Filter {
  enum class Kind : std::uint8_t { kNone, kBlobNone, kBlobLimit, kObjectType } kind = Kind::kNone;
  std::uint64_t blob_limit_bytes = 0;            // blobs of this size and larger are left out
  ObjectType object_type = ObjectType::kCommit;  // kObjectType: what stays
};
// Errors: kInvalidArgument (unknown or unsupported filter).
Result<Filter> parse_filter(std::string_view spec);

struct FetchRequest {
  std::vector<ObjectNumber> wants;
  std::vector<ObjectNumber> common;         // haves that the repository sees
  std::vector<ObjectNumber> client_shallow; // boundaries the client told, as far as they are known
  std::uint32_t depth = 0;                  // 0: no limit
  Filter filter;
  bool include_tag = false;
  bool thin_pack = false;
};

struct FetchSelection {
  Roaring send;
  SetPtr have;                          // for thin packs; null without
  std::vector<ObjectNumber> shallow;    // new boundaries
  std::vector<ObjectNumber> unshallow;  // boundaries that are none any more
};

Result<FetchSelection> select_objects(store::StoreCore& core, const store::RepositorySnapshot& repository,
                                      ObjectReader& reader, const FetchRequest& request);

}  // namespace vexor::pack
