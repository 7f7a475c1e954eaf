// What a fetch sends: from wants, haves, shallow boundaries and a filter to a set of objects.
#pragma once

#include "pack/filter.h"

namespace vexor::pack {

// How deep a shallow fetch goes. Spec: gitprotocol-v2 "fetch", the deepen arguments.
struct Deepen {
  std::uint32_t depth = 0;               // commits per line of descent, or more of them if `relative`; 0: no limit
  bool relative = false;                 // count from the client's boundaries, not from the wants
  std::optional<std::int64_t> since;     // only commits of this time (Unix seconds) and younger
  std::vector<ObjectNumber> not_commits; // nothing that these reach
  bool any() const { return depth > 0 || since || !not_commits.empty(); }
};
constexpr std::uint32_t kInfiniteDepth = 0x7FFFFFFF;  // what "git fetch --unshallow" asks for

struct FetchRequest {
  std::vector<ObjectNumber> wants;
  std::vector<ObjectNumber> common;         // haves that the repository sees
  std::vector<ObjectNumber> client_shallow; // boundaries the client told, as far as they are known
  Deepen deepen;
  Filter filter;
  bool include_tag = false;
  bool thin_pack = false;
};

// Where the history that a client gets ends.
struct Boundaries {
  std::vector<ObjectNumber> shallow;    // new boundaries
  std::vector<ObjectNumber> unshallow;  // boundaries that are none any more
  Roaring cut;                          // commits whose parents are left out: the client's after this fetch
};

struct FetchSelection {
  Roaring send;
  SetPtr have;  // for thin packs; null without
  Boundaries boundaries;
};

// Errors: kInvalidArgument (no commits are left), kLimitExceeded.
Result<Boundaries> find_boundaries(store::StoreCore& core, const store::RepositorySnapshot& repository,
                                   ObjectReader& reader, const FetchRequest& request);
// What `tips` reach together; kept in the store's cache.
Result<SetPtr> set_of_tips(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader,
                           std::vector<ObjectNumber> tips);
Result<FetchSelection> select_objects(store::StoreCore& core, const store::RepositorySnapshot& repository,
                                      ObjectReader& reader, const FetchRequest& request);

}  // namespace vexor::pack
