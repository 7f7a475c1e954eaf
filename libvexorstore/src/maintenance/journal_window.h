// JournalWindow: what the youngest part of the journal did to pools: which numbers pushes gave, and which
// objects refs named. Read once for all pools of a pass, and further on as records come.
#pragma once

#include <unordered_map>

#include "store/store_core.h"

namespace vexor::maintenance {

struct PoolEvents {
  std::vector<std::pair<format::ObjectNumber, std::uint32_t>> ranges;  // first, count
  std::vector<format::ObjectNumber> named;  // by refs, before and after each change; some more than once
};

class JournalWindow {
 public:
  // `since_ms`: records of this wall time and older ones stay out, but for those that come after begin().
  Result<void> begin(const sys::StorageSnapshot& snapshot, std::int64_t since_ms);
  bool has_begun() const { return has_begun_; }
  // Reads the records up to the last one of the snapshot.
  Result<void> advance(const sys::StorageSnapshot& snapshot);
  // Grows only.
  const PoolEvents& events(format::PoolId pool) { return pools_[pool]; }

 private:
  struct Home {
    format::PoolId pool = 0;
    HashAlgorithm algorithm = HashAlgorithm::kSha1;
  };
  Result<void> add(const sys::StorageSnapshot& snapshot, const format::JournalRecord& record);
  Result<void> name_all_refs(const sys::StorageSnapshot& snapshot, format::RepositoryNumber repository, const Home& home);
  Result<std::optional<Home>> home_of(const sys::StorageSnapshot& snapshot, format::RepositoryNumber repository);

  bool has_begun_ = false;
  std::uint64_t last_ = 0;  // sequence of the last record that was read
  std::unordered_map<format::PoolId, PoolEvents> pools_;
  std::unordered_map<format::RepositoryNumber, Home> homes_;
};

}  // namespace vexor::maintenance
