// JournalCheck: compares objects and refs with what the journal says they are. Members of a replica set have the same
// journal (its hashes are compared with each entry that comes), so a member that lacks what another one has, or has a ref
// elsewhere, differs from its own journal. Spec: docs/protocol/replication.md, "Comparison"; docs/adr/0020-state-against-the-journal.md.
#pragma once

#include <map>
#include <set>

#include "crypto/digest.h"
#include "format/journal_record.h"
#include "maintenance/pool_task.h"

namespace vexor::maintenance {

// In steps; holds no snapshot between them. Threads: one. Memory: one record, kRangesMax ranges, kMissingMax numbers, the forgotten numbers of the pools of a window.
class JournalCheck {
 public:
  // `where`: the family that differs.
  using Found = std::function<void(sys::Family where, const std::string& what)>;
  // Records from `next` up to `last`, as far as they are applied.
  JournalCheck(sys::StorageBackend& backend, std::uint64_t next, std::uint64_t last, Found found)
      : backend_(backend), next_(std::max<std::uint64_t>(next, 1)), last_(last), window_(next_), found_(std::move(found)) {}

  // True: over. Errors: kIo, kUnavailable; what is missing or malformed is told to `found`.
  Result<bool> step(Budget& budget);
  // Records below this one were compared, with their objects.
  std::uint64_t compared() const { return window_; }

 private:
  struct Range {
    std::uint64_t sequence = 0;  // of its record
    format::RepositoryNumber repository = 0;
    PoolId pool = 0;
    ObjectNumber first = 0;
    std::uint64_t end = 0;
    std::string digest;
  };
  struct View;  // of the store, for one step

  Result<void> read_record(View& view, Budget& budget);
  Result<std::optional<HashAlgorithm>> algorithm_of(View& view, const Range& range);
  bool report_missing(const View& view);
  Result<void> check_refs(View& view, Budget& budget);
  Result<void> check_ref(View& view, const format::RefChange& change);
  Result<void> check_objects(View& view, Budget& budget);
  Result<const Roaring*> forgotten_of(View& view, PoolId pool, bool again);
  Result<std::uint64_t> end_of_forgotten(View& view, const Range& range);
  Result<void> pass_over_forgotten(View& view, const Range& range);
  Result<void> finish_range(View& view, const Range& range);
  Result<bool> go_to(View& view, const Range& range, Budget& budget);
  Result<void> objects_differ(View& view, const Range& range, const std::string& what, bool may_be_swept);
  void end_range() {
    ++at_;
    digest_.reset();
  }

  sys::StorageBackend& backend_;
  std::uint64_t next_;    // record to read
  std::uint64_t last_;
  std::uint64_t window_;  // the first record whose objects are still to be compared
  Found found_;
  std::string hash_;      // of the record before `next_`; empty: not known
  std::optional<format::JournalRecord> record_;  // whose refs are looked at
  std::size_t ref_ = 0;   // of them, the next one
  std::vector<Range> ranges_;  // of the records read, in order of pools and numbers once they are looked at
  std::uint64_t objects_ = 0;  // in these ranges
  std::map<PoolId, HashAlgorithm> algorithms_;  // of pools, for this window
  std::set<format::RepositoryNumber> missing_;  // repositories of records that have no row: a purge is to come
  std::map<PoolId, Roaring> forgotten_;  // by records (docs/format/forgotten.md), for this window
  bool is_partial_ = false;  // objects of the range at hand were forgotten, and their bytes are gone
  bool looks_for_purges_ = false;  // behind the records that are compared
  bool reads_objects_ = false;
  std::size_t at_ = 0;    // in `ranges_`
  std::uint64_t number_ = 0;  // of that range, the next object
  std::optional<Blake2b> digest_;  // of the range so far
};

}  // namespace vexor::maintenance
