// Purges: a deleted repository leaves every file of every server, when two persons want it.
//
// One person asks (request_purge), another one approves (approve_purge): that record erases the rows. Each server then takes
// what was the repository's out of its journal and has its files written anew (PurgeWork), and tells so (report_purge).
// Docs: docs/operations/purge.md. Threads: any, but for PurgeWork. All block on storage.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "vexorstore/store.h"

namespace vexor {

constexpr std::size_t kPurgeReasonBytesMax = 1000;
constexpr std::size_t kOpenPurgesMax = 1000;  // requests that nobody has decided on

struct PurgePolicy {
  std::vector<std::string> persons;                     // accounts that may ask and approve; fewer than two: nobody can
  std::uint64_t request_seconds = 7ULL * 24 * 3600;     // then a request is void
};

enum class PurgeStatus : std::uint8_t { kOpen, kExpired, kWithdrawn, kRefused, kApproved };
std::string_view purge_status_name(PurgeStatus status);

// What a server did. Times: Unix, in milliseconds.
struct PurgeReport {
  std::uint64_t member = 0;  // number in the replica set; 0: a server of its own
  std::int64_t began_ms = 0;
  std::int64_t ended_ms = 0;
  std::uint64_t journal_records = 0;  // taken out
  std::uint64_t compacted_bytes = 0;  // of files that were written anew
  // Else the member has another store since, and is not rid of it.
  bool is_done() const { return ended_ms != 0; }
};

struct PurgeInfo {
  std::uint64_t request = 0;
  RepositoryId repository = 0;
  std::string name;    // that the repository had
  std::string reason;
  PurgeStatus status = PurgeStatus::kOpen;
  std::string requested_by;
  std::int64_t requested_ms = 0;
  std::int64_t expires_ms = 0;
  std::string decided_by;  // empty: nobody has
  std::int64_t decided_ms = 0;
  bool keeps_objects = false;     // approved: others share the objects, which stay
  std::uint64_t erased_rows = 0;  // approved: counted by the primary
  bool is_done_here = false;      // this store is rid of it
  std::vector<PurgeReport> reports;  // that the journal has, by member
};

// `actor`: an account, one of the persons. `receipt`: as of the methods of Store. The last deleted repository of that name. Errors: kNotFound (no
// deleted repository of that name), kRefused (not one of the persons), kInvalidArgument (no reason), kConflict (a request is open).
Result<PurgeInfo> request_purge(Store& store, const PurgePolicy& policy, const std::string& name, const std::string& reason, const Actor& actor, Receipt* receipt = nullptr);
// Erases the rows. Errors: kNotFound, kRefused (not one of the persons; his own request; expired), kConflict (decided already,
// or the repository is not deleted as it was).
Result<PurgeInfo> approve_purge(Store& store, const PurgePolicy& policy, std::uint64_t request, const Actor& actor, Receipt* receipt = nullptr);
// By who asked: withdrawn; by another person: refused. Errors: as above.
Result<PurgeInfo> close_purge(Store& store, const PurgePolicy& policy, std::uint64_t request, const Actor& actor, Receipt* receipt = nullptr);
Result<std::vector<PurgeInfo>> list_purges(Store& store);
// Errors: kNotFound.
Result<PurgeInfo> find_purge(Store& store, std::uint64_t request);

// A journal record that is part of a purge, for its certificate.
struct PurgeRecord {
  JournalSequence sequence = 0;
  std::string hash;       // BLAKE2b-256, raw
  std::string operation;  // "purge-request", "repository-purge", "purge-report"
  std::string actor;
  std::int64_t time_ms = 0;
};
// In order. Reads the whole journal.
Result<std::vector<PurgeRecord>> purge_records(Store& store, std::uint64_t request);

// Puts a server's report into the journal. Errors: kNotFound (no such approved request), kUnavailable (not the primary).
Result<void> report_purge(Store& store, std::uint64_t request, const PurgeReport& report);
// Of purges that this store is rid of and the journal has no such report of `member`, or that the journal has a report of
// and this store is not rid of.
Result<std::vector<std::pair<std::uint64_t, PurgeReport>>> unreported_purges(Store& store, std::uint64_t member);

// Removes what approved purges left in the files of this store. A crash in between costs beginning again.
class PurgeWork {
 public:
  enum class Step : std::uint8_t {
    kIdle,     // there is nothing to do
    kWorking,  // call again
    kWaiting,  // readers from before hold what is to go, or copies of the store lie about: call again in a while
  };
  // `copies`: directories where copies of the store are kept for a while; waits until they are gone or empty.
  static std::unique_ptr<PurgeWork> begin(Store& store, std::vector<std::filesystem::path> copies);
  virtual ~PurgeWork() = default;
  // About `bytes` of work. Errors: kIo, kCorrupt, kUnavailable (the store must be reopened).
  virtual Result<Step> work(std::uint64_t bytes) = 0;
};

}  // namespace vexor
