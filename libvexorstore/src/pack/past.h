// The past of a repository: its refs as of an earlier journal record, over today's objects.
//
// What sessions and readers work on is a RepositorySnapshot whose refs are the earlier ones; everything else of the
// store, objects above all, is as of now. What is hidden now was hidden then.
#pragma once

#include "pack/reachability.h"
#include "store/past_refs.h"

namespace vexor::pack {

// Numbers of objects can change when one is swept and pushed again: finds them anew by id. Errors: kNotFound (an object
// is past the retention).
Result<void> renumber(const ObjectReader& reader, format::RefRow& row);

// What the objects reach together; proves that all of it is there. Errors: kNotFound (something is past the retention).
Result<SetPtr> reach_past(store::StoreCore& core, ObjectReader& reader, const std::vector<ObjectNumber>& tips);

// `now` with the refs of the moment, numbers renewed. Errors: kNotFound (no repository then, or past the retention).
Result<store::RepositorySnapshot> at_moment(const store::RepositorySnapshot& now, const ObjectReader& reader, std::uint64_t sequence);

// For serving: the same, its visible set in the store's cache. Errors: the same.
Result<store::RepositorySnapshot> open_past_snapshot(store::StoreCore& core, RepositoryId id, std::uint64_t sequence);

}  // namespace vexor::pack
