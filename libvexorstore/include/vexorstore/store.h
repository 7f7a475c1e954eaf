// Store: the facade. Repositories, refs, objects and accounts over one storage backend.
//
// Threads: a Store may be used from any number of threads; it must outlive everything made from
// it. All methods block on storage. Spec: docs/architecture.md.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vexorstore/limits.h"
#include "vexorstore/object.h"
#include "vexorstore/receipt.h"
#include "vexorstore/sys/clock.h"
#include "vexorstore/sys/damage.h"
#include "vexorstore/sys/storage_backend.h"
#include "vexorstore/sys/worker_pool.h"

namespace vexor {

namespace store {
class StoreCore;
}

using RepositoryId = std::uint64_t;
using JournalSequence = std::uint64_t;

// Who asks; recorded in the journal and the reflog. account 0 is the operator.
struct Actor {
  std::uint64_t account = 0;
  std::string name = "operator";
};

// What maintenance may do and how far it goes. Docs: docs/operations/maintenance.md.
struct MaintenancePolicy {
  // How long an object stays after it was pushed and after the last ref that reached it moved away.
  std::uint64_t sweep_retention_seconds = 90ULL * 24 * 3600;
  // How long the objects of a deleted repository stay after its deletion; then they are as those of moved refs.
  std::uint64_t deleted_retention_seconds = 90ULL * 24 * 3600;
  // The primary of a replica set has what is past these retentions forgotten on all members; else members keep everything.
  bool forgets_in_set = false;
  // How long a member keeps the bytes of what was forgotten, for who restores from it.
  std::uint64_t forgotten_retention_seconds = 90ULL * 24 * 3600;
  // Re-delta takes up a pool when its objects became this much more since the last time (0: always).
  std::uint32_t redelta_growth_percent = 25;
  std::uint32_t redelta_window = 250;  // objects that each one is tried against
  std::uint32_t redelta_depth = 50;    // deltas upon deltas, at most 250
  std::uint64_t redelta_window_bytes = 256ULL << 20;  // contents and indexes of the window
  // A pool that was found whole is scrubbed again so long after (0: always).
  std::uint64_t scrub_interval_seconds = 7ULL * 24 * 3600;
  // A pool goes over into the cold form when nobody fetched from it or pushed to it for so long (0: always).
  std::uint64_t freeze_idle_seconds = 30ULL * 24 * 3600;
  // It is thawed after so many fetches from its cold form (0: whether it is used or not).
  std::uint64_t thaw_fetches = 1;
  // Freezing and thawing have files rewritten when what they replaced in a pool comes to so many octets.
  std::uint64_t compact_bytes_min = 16ULL << 20;
};

struct StoreOptions {
  Limits limits;
  MaintenancePolicy maintenance;
  // Where pushes larger than limits.spool_memory_bytes are kept until they are committed; files
  // there have no name and vanish with the process.
  std::filesystem::path scratch_directory = "/tmp";
  const sys::Clock* clock = nullptr;  // null: the system's
  // For large pushes; must outlive the store. Null: the thread that works for the push is the only one.
  sys::WorkerPool* workers = nullptr;
  // Gets what scrubbing finds; the backend's, so that both tell one place. Null: one of the store's own.
  std::shared_ptr<sys::DamageLog> damage;
};

struct RefProtection {
  std::string pattern;  // "refs/heads/main", "refs/heads/release/*"
  bool no_force = true;
  bool no_delete = true;
  std::vector<std::string> only_users;  // empty: whoever may write
};

struct RepositoryInfo {
  RepositoryId id = 0;
  std::string name;  // "owner/name"; for a deleted repository the name it had
  HashAlgorithm algorithm = HashAlgorithm::kSha1;
  std::string description;
  std::string default_branch;  // full ref name
  bool is_public = false;
  std::int64_t deleted_at_ms = 0;
  RepositoryId fork_of = 0;
  std::vector<RefProtection> protect;
  std::vector<std::string> hidden_refs;
  std::string check_policy;           // "MSG-ID=error|warn|ignore,..." over git's fsck message ids
  std::uint64_t pack_bytes_max = 0;    // tightens the store's limit; 0: that limit
  std::uint64_t object_bytes_max = 0;
  std::uint32_t refs_max = 0;
  std::vector<std::string> bundle_lines;  // "ID.KEY=VALUE", told by the bundle-uri command
  CopyPolicy copies = CopyPolicy::kCluster;  // means nothing in a store that is no member of a replica set
};

// Whether `hidden_refs` has the ref (a full name): clients are not to learn of it.
bool is_hidden_ref(const RepositoryInfo& info, const std::string& name);

struct CreateOptions {
  bool is_public = false;
  HashAlgorithm algorithm = HashAlgorithm::kSha1;
  std::string default_branch = "main";  // short name
  std::string description;
};

struct RefInfo {
  std::string name;
  ObjectId id;
  std::string symref_target;          // non-empty for a symref; `id` is then what it resolves to
  std::optional<ObjectId> peeled;
};

enum class Permission : std::uint8_t { kNone = 0, kRead = 1, kWrite = 2, kOwner = 3 };

struct AccountInfo {
  std::uint64_t id = 0;
  std::string name;
  bool disabled = false;
  std::uint64_t credentials_tag = 0;  // changes with the password; compare only tags that one Store gave
};

struct KeyInfo {
  std::string fingerprint;  // "SHA256:..."
  std::string type;
  std::string comment;
  std::uint64_t account = 0;
};

class Store {
 public:
  // Sweeps what pushes cut off by a crash left behind. Errors: kCorrupt, kIo.
  static Result<std::unique_ptr<Store>> open(std::unique_ptr<sys::StorageBackend> backend,
                                             StoreOptions options);
  ~Store();

  // `receipt` of what changes something, if not null, is set once that is committed: its journal record, and on how many servers it is.

  // Names: OWNER/NAME of letters, digits, '.', '_' and '-', no leading '.' or '-', at most 100
  // characters each, NAME without ".git". Errors: kInvalidArgument, kConflict (name taken).
  Result<RepositoryInfo> create_repository(const std::string& name, const CreateOptions& options,
                                           const Actor& actor, Receipt* receipt = nullptr);
  // Shares the source's storage and none of its later objects; its copies are the cluster's. O(refs of the source).
  Result<RepositoryInfo> fork_repository(const std::string& source, const std::string& name,
                                         const Actor& actor, Receipt* receipt = nullptr);
  Result<void> rename_repository(const std::string& name, const std::string& new_name,
                                 const Actor& actor, Receipt* receipt = nullptr);
  // Frees the name; the repository can be restored until it is purged, or its objects are past the retention.
  Result<void> delete_repository(const std::string& name, const Actor& actor, Receipt* receipt = nullptr);
  // Brings back the most recently deleted repository of that name. kConflict: the name is taken. kNotFound: also when
  // objects are past the retention.
  Result<RepositoryInfo> restore_repository(const std::string& name, const Actor& actor, Receipt* receipt = nullptr);
  // Removes the most recently deleted repository of that name for good: its refs, their history, and,
  // when no other repository shares its storage, its objects at once. Errors: kNotFound.
  Result<void> purge_repository(const std::string& name, const Actor& actor, Receipt* receipt = nullptr);
  Result<std::optional<RepositoryInfo>> find_repository(const std::string& name) const;
  Result<std::vector<RepositoryInfo>> list_repositories(bool deleted = false) const;
  // Changes description, visibility, protection, hidden refs, check policy, limits, bundles, copies and
  // default branch.
  Result<void> update_repository(const RepositoryInfo& info, const Actor& actor, Receipt* receipt = nullptr);

  // Ref names in byte order. Hidden refs are included.
  Result<std::vector<RefInfo>> list_refs(RepositoryId repository) const;
  // An object that a ref of this repository reaches, whole in memory; `type` may be null. Errors:
  // kNotFound (also for objects that only another repository of the pool reaches), kLimitExceeded
  // (over limits.delta_object_bytes_max).
  Result<std::string> read_object(RepositoryId repository, const ObjectId& id,
                                  ObjectType* type) const;

  Result<AccountInfo> create_account(const std::string& name, Bytes password, const Actor& actor, Receipt* receipt = nullptr);
  Result<void> set_password(const std::string& name, Bytes password, const Actor& actor, Receipt* receipt = nullptr);
  Result<void> set_disabled(const std::string& name, bool disabled, const Actor& actor, Receipt* receipt = nullptr);
  Result<std::optional<AccountInfo>> find_account(const std::string& name) const;
  Result<std::vector<AccountInfo>> list_accounts() const;
  // False for an unknown or disabled account or a wrong password; takes the same time for each.
  Result<std::optional<AccountInfo>> check_password(const std::string& name, Bytes password) const;
  Result<KeyInfo> add_key(const std::string& account, const std::string& key_line,
                          const Actor& actor, Receipt* receipt = nullptr);
  Result<void> remove_key(const std::string& fingerprint, const Actor& actor, Receipt* receipt = nullptr);
  Result<std::vector<KeyInfo>> list_keys(const std::string& account) const;
  Result<std::optional<AccountInfo>> find_key(Bytes key_blob) const;
  Result<void> grant(const std::string& repository, const std::string& account,
                     Permission permission, const Actor& actor, Receipt* receipt = nullptr);
  // account 0 = anonymous. Public repositories give kRead to everybody.
  Result<Permission> permission_of(const RepositoryInfo& repository, std::uint64_t account) const;

  JournalSequence last_sequence() const;
  const MaintenancePolicy& maintenance_policy() const;
  // Writes a complete copy of the store to a new directory, while it is in use.
  Result<void> checkpoint(const std::filesystem::path& directory);

  // For the sessions of protocol/*.h.
  store::StoreCore& core() { return *core_; }

 private:
  explicit Store(std::unique_ptr<store::StoreCore> core);
  std::unique_ptr<store::StoreCore> core_;
};

}  // namespace vexor
