// Past refs: the refs of a repository behind an earlier journal record, from its reflog rows. Costs two searches for
// each name that the repository ever had, however long the journal is.
#pragma once

#include <map>

#include "store/store_core.h"

namespace vexor::store {

struct PastRefs {
  std::map<std::string, format::RefRow> rows;  // by name; HEAD and symrefs included. Object numbers may be out of date.
  std::uint64_t generation = 0;                // sequence of the last change among them; 0: there was no repository yet
};
Result<PastRefs> read_past_refs(const RepositorySnapshot& repository, std::uint64_t sequence);

// What a change of a ref said: both rows as encoded, empty for "no such ref".
struct RefEvent {
  std::uint64_t sequence = 0;
  std::string old_row;
  std::string new_row;
};
// The last change of a ref; nullopt: there never was one.
Result<std::optional<RefEvent>> last_ref_event(const RepositorySnapshot& repository, Bytes name);

}  // namespace vexor::store
