// StoreCore: what the rooms above the seam share: backend, committer, pools, snapshots.
#pragma once

#include <atomic>
#include <list>
#include <map>
#include <mutex>
#include <roaring/roaring.hh>
#include <set>
#include <shared_mutex>
#include <unordered_map>

#include "format/account_rows.h"
#include "format/pool_rows.h"
#include "format/state_rows.h"
#include "store/committer.h"
#include "store/extent_directory.h"
#include "store/in_flight.h"
#include "store/pool_uses.h"
#include "store/single_flight.h"
#include "vexorstore/maintenance.h"
#include "vexorstore/store.h"
#include "vexorstore/sys/random.h"

namespace vexor::pack {
class SharedPack;
}

namespace vexor::store {

using format::kNoObject;
using format::ObjectNumber;
using format::PoolId;
using format::RepositoryRow;
using SnapshotPtr = std::shared_ptr<const sys::StorageSnapshot>;
using SetPtr = std::shared_ptr<const Roaring>;

// Hands out number ranges of one pool. A range is invisible until its journal record commits.
class NumberAllocator {
 public:
  Result<ObjectNumber> reserve(StoreCore& core, PoolId pool, std::uint32_t count);
  // Another server gave out numbers meanwhile: look again.
  void reset();

 private:
  std::mutex mutex_;
  std::unordered_map<PoolId, std::uint64_t> next_;  // guarded by mutex_
};

// Composed reachable sets, least recently used ones dropped.
class SetCache {
 public:
  explicit SetCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  SetPtr find(const std::string& key);
  void insert(const std::string& key, SetPtr set);
  void clear();
  std::size_t bytes() {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  struct Entry {
    std::string key;
    SetPtr set;
    std::size_t bytes;
  };
  std::mutex mutex_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;                                                       // guarded by mutex_
  std::list<Entry> entries_;                                                    // guarded by mutex_; most recent first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;     // guarded by mutex_
};

// The latest of something immutable that is made from a repository's refs, by what names it; the least
// recently used are dropped. What is too large to be kept is found as long as somebody holds it.
template <class T>
class LatestCache {
 public:
  explicit LatestCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}
  // Null: none. `generation`: of the refs it was made from.
  std::shared_ptr<const T> find(const std::string& key, std::uint64_t& generation) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return find_held(key, generation);
    entries_.splice(entries_.begin(), entries_, found->second);
    generation = found->second->generation;
    return found->second->value;
  }
  // Replaces what is older.
  void insert(const std::string& key, std::uint64_t generation, std::shared_ptr<const T> value, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    std::uint64_t held = 0;
    if (find_held(key, held) != nullptr && held >= generation) return;
    held_.erase(key);
    bytes += key.size() + 200;
    if (const auto found = by_key_.find(key); found != by_key_.end()) {
      if (found->second->generation >= generation) return;
      bytes_ -= found->second->bytes;
      entries_.erase(found->second);
      by_key_.erase(found);
    }
    if (bytes > bytes_max_) {
      std::erase_if(held_, [](const auto& item) { return item.second.value.expired(); });
      held_[key] = {generation, value};
      return;
    }
    entries_.push_front({key, generation, std::move(value), bytes});
    by_key_.emplace(key, entries_.begin());
    bytes_ += bytes;
    while (bytes_ > bytes_max_) {
      bytes_ -= entries_.back().bytes;
      by_key_.erase(entries_.back().key);
      entries_.pop_back();
    }
  }
  std::size_t bytes() {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }

 private:
  struct Entry {
    std::string key;
    std::uint64_t generation;
    std::shared_ptr<const T> value;
    std::size_t bytes;
  };
  struct Held {
    std::uint64_t generation = 0;
    std::weak_ptr<const T> value;
  };
  // With the lock.
  std::shared_ptr<const T> find_held(const std::string& key, std::uint64_t& generation) const {
    const auto found = held_.find(key);
    if (found == held_.end()) return nullptr;
    generation = found->second.generation;
    return found->second.value.lock();
  }
  std::mutex mutex_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;                                                  // guarded by mutex_
  std::list<Entry> entries_;                                               // guarded by mutex_; most recent first
  std::unordered_map<std::string, typename std::list<Entry>::iterator> by_key_;  // guarded by mutex_
  std::unordered_map<std::string, Held> held_;                             // guarded by mutex_; not of by_key_
};
struct RefTable;

// An object deflated anew, for clients that lack the base of its stored delta.
struct FreshPayload {
  std::uint64_t object_bytes = 0;
  std::string payload;
};

// Trailers of packs that were written whole, by what makes their bytes; the oldest are dropped.
class TrailerCache {
 public:
  // Empty: not known.
  std::string find(const std::string& key);
  void insert(const std::string& key, const std::string& trailer);

 private:
  static constexpr std::size_t kEntriesMax = 4096;
  std::mutex mutex_;
  std::unordered_map<std::string, std::string> trailers_;  // guarded by mutex_
  std::deque<std::string> order_;                          // guarded by mutex_
};

// Lets the pushes to one pool run side by side, and one that others keep overtaking run alone, as does
// each step of a sweep. Whoever makes refs of the pool name objects holds a pass from before the snapshot
// that it reads until its commit.
class PoolGate {
 public:
  class Pass {
   public:
    Pass(PoolGate& gate, bool alone) : gate_(gate), alone_(alone) {
      // Whoever waits to run alone holds the turnstile, so that no stream of others keeps it waiting.
      const std::lock_guard turnstile(gate.turnstile_);
      if (alone_) gate_.gate_.lock();
      else gate_.gate_.lock_shared();
    }
    ~Pass() {
      if (alone_) gate_.gate_.unlock();
      else gate_.gate_.unlock_shared();
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;

   private:
    friend class PoolGate;
    struct Locked {};
    Pass(PoolGate& gate, Locked) : gate_(gate), alone_(true) {}
    PoolGate& gate_;
    bool alone_;
  };
  // Alone, or null at once if anybody is inside: for those who can come again.
  std::unique_ptr<Pass> try_alone() {
    if (!gate_.try_lock()) return nullptr;
    return std::unique_ptr<Pass>(new Pass(*this, Pass::Locked{}));
  }

 private:
  std::mutex turnstile_;
  std::shared_mutex gate_;
};

// One maintenance at a time in a store, so never two on one pool. What it says of itself.
class MaintenanceSlot {
 public:
  bool try_take();
  void release();
  MaintenanceStatus status() const;
  void update(const std::function<void(MaintenanceStatus&)>& change);

 private:
  mutable std::mutex mutex_;
  MaintenanceStatus status_;  // guarded by mutex_
};

constexpr std::size_t kForgettingRowsMax = 100'000;   // of bitmaps and of the graph, in one record that forgets
constexpr std::size_t kRecallObjectsMax = 1U << 24U;  // forgotten ones of a pool that have bytes here: 12 octets each

class StoreCore {
 public:
  StoreCore(std::unique_ptr<sys::StorageBackend> backend_in, StoreOptions options_in)
      : backend(std::move(backend_in)), options(std::move(options_in)),
        clock(options.clock != nullptr ? *options.clock : sys::system_clock()), credentials_key(sys::random_bytes(32)),
        damage(options.damage ? options.damage : std::make_shared<sys::DamageLog>()),
        pool_uses(clock.monotonic_time_ms()) {}

  std::unique_ptr<sys::StorageBackend> backend;
  StoreOptions options;
  const sys::Clock& clock;
  sys::WorkerPool& workers() const { return options.workers != nullptr ? *options.workers : sys::inline_worker_pool(); }
  const std::string credentials_key;  // of AccountInfo::credentials_tag; random, never written anywhere
  const std::shared_ptr<sys::DamageLog> damage;
  std::unique_ptr<Committer> committer;
  NumberAllocator numbers;
  SetCache sets{256U << 20U};
  SingleFlight set_flights;  // of `sets` and `visible_sets`
  TrailerCache trailers;
  InFlight<pack::SharedPack> packs;
  std::atomic<std::uint64_t> shared_pack_bytes{0};  // that those hold for their readers
  ExtentDirectory extents;
  LatestCache<FreshPayload> fresh_payloads{32U << 20U};  // by pool and number; generation: rewrites of the pool
  LatestCache<RefTable> ref_tables{256U << 20U};
  SingleFlight table_flights;  // of `ref_tables`
  LatestCache<Roaring> visible_sets{128U << 20U};
  LatestCache<Roaring> forgotten{64U << 20U};  // by pool; generation: records that forgot (store/forgotten.h)
  MaintenanceSlot maintenance;
  std::atomic<bool> is_recalling{false};  // one at a time (vexorstore/recall.h)
  // Tests have less.
  std::size_t forgetting_rows_max = kForgettingRowsMax;
  std::size_t recall_objects_max = kRecallObjectsMax;
  PoolUses pool_uses;

  // Ids of repositories, pools and accounts: the next journal sequence at creation would do, but
  // two creations may wait in one group; so they come from one counter.
  std::uint64_t next_id();
  // Lives as long as the store.
  PoolGate& gate(PoolId pool);
  Result<void> load_ids(const sys::StorageSnapshot& snapshot);
  // No id below `next` is given out from now on.
  void raise_ids(std::uint64_t next);
  // Deletes the rows of number ranges that no commit took over. Ranges of records that are appended and
  // not applied stay. `unindexed`: keys of ranges of which no index row was let in: these need not be read.
  Result<void> sweep_quarantine(const std::set<std::string>& unindexed = {});

 private:
  std::mutex ids_mutex_;
  std::uint64_t next_id_ = 1;
  std::mutex gates_mutex_;
  std::unordered_map<PoolId, std::unique_ptr<PoolGate>> gates_;  // guarded by gates_mutex_
};

// Behind the highest number of the pool that is in use, or in quarantine. Errors: kIo, kCorrupt.
Result<std::uint64_t> end_of_numbers(const sys::StorageSnapshot& snapshot, PoolId pool);

// Erases the index rows that name objects of the range, the range itself, and its quarantine row. `in_pieces`: where most of
// the index rows may go before, if nobody minds when it is broken off in between.
Result<void> erase_range_of_objects(const sys::StorageSnapshot& snapshot, PoolId pool, HashAlgorithm algorithm,
                                    ObjectNumber first, std::uint32_t count, sys::Batch& batch, sys::StorageBackend* in_pieces = nullptr);

// The same for rows that no index row names.
void erase_rows_of_range(PoolId pool, ObjectNumber first, std::uint32_t count, sys::Batch& batch);

// One repository as of one moment: what sessions and readers work on.
struct RepositorySnapshot {
  SnapshotPtr snapshot;
  RepositoryRow row;
  std::uint64_t ref_generation = 0;
  std::string past_key;  // not empty: the refs are earlier ones (pack/past.h), which caches keep apart by this
};

Result<std::optional<RepositoryRow>> find_repository_row(const sys::StorageSnapshot& snapshot,
                                                         const std::string& name);
Result<RepositorySnapshot> open_repository_snapshot(StoreCore& core, RepositoryId id);
// The store's limits, tightened by what the repository's row says.
Limits limits_of(const Limits& store, const RepositoryRow& row);
RepositoryInfo to_info(const sys::StorageSnapshot& snapshot, const RepositoryRow& row);

struct NamedRef {
  std::string name;
  format::RefRow row;
  std::string encoded;
};
// All refs (HEAD and symrefs included), by name, starting with `prefix`.
Result<std::vector<NamedRef>> read_refs(const RepositorySnapshot& repository, Bytes prefix = {});
Result<std::optional<NamedRef>> read_ref(const RepositorySnapshot& repository, Bytes name);
// The first of NAME, refs/NAME, refs/tags/NAME, refs/heads/NAME that exists and is no symref; a
// symref's target for those that are. Spec: gitrevisions, "<refname>".
Result<std::optional<NamedRef>> find_ref_by_short_name(const RepositorySnapshot& repository, const std::string& name);
bool is_hidden(const RepositoryRow& row, Bytes ref_name);
AccountInfo to_info(const StoreCore& core, const format::AccountRow& row);
Result<std::optional<format::AccountRow>> find_account_row(const sys::StorageSnapshot& snapshot, std::uint64_t id);
// What maintenance noted of a pool; all 0 if it never came there.
Result<format::PoolUpkeepRow> read_pool_upkeep(const sys::StorageSnapshot& snapshot, PoolId pool);

}  // namespace vexor::store
