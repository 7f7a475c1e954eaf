#include "store/store_core.h"

#include <set>

#include "base/check.h"
#include "format/extent.h"
#include "store/forgotten.h"

namespace vexor::store {

using sys::Family;

namespace {

constexpr std::size_t kErasedAtOnce = 4U << 20U;

// Behind the last object of the pool's last extent.
Result<std::uint64_t> end_of_extents(const sys::StorageSnapshot& snapshot, PoolId pool) {
  const auto cursor = snapshot.cursor(Family::kExtents);
  cursor->seek_for_prev(format::extent_key(pool, kNoObject));
  VEXOR_TRY(cursor->status());
  if (!cursor->valid() || cursor->key().substr(0, 8) != format::pool_key(pool)) return 0;
  VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
  if (!format::has_extent_header(cursor->key())) return std::uint64_t{first} + 1;  // a later chunk of one object
  VEXOR_TRY(const std::uint64_t objects, format::extent_object_count(cursor->value()));
  return first + objects;
}

}  // namespace

// The highest number in use is that of the last shape, or of what is in quarantine. After a repair that was broken off
// there may be extents without shapes.
Result<std::uint64_t> end_of_numbers(const sys::StorageSnapshot& snapshot, PoolId pool) {
  std::uint64_t end = 0;
  const auto shapes = snapshot.cursor(Family::kShapes);
  shapes->seek_for_prev(format::number_key(pool, kNoObject));
  VEXOR_TRY(shapes->status());
  if (shapes->valid() && shapes->key().substr(0, 8) == format::pool_key(pool)) {
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(shapes->key()));
    end = first + shapes->value().size();
  }
  VEXOR_TRY(const std::uint64_t extents, end_of_extents(snapshot, pool));
  VEXOR_TRY(const ForgettingRow forgotten, read_forgetting(snapshot, pool));
  end = std::max({end, extents, forgotten.end});
  const std::string prefix = format::pool_key(pool);
  const auto quarantine = snapshot.cursor(Family::kQuarantine);
  for (quarantine->seek(prefix); quarantine->valid() && quarantine->key().starts_with(prefix); quarantine->next()) {
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(quarantine->key()));
    VEXOR_TRY(const format::QuarantineRow row, format::decode_quarantine_row(quarantine->value()));
    end = std::max(end, std::uint64_t{first} + row.object_count);
  }
  VEXOR_TRY(quarantine->status());
  return end;
}

Result<ObjectNumber> NumberAllocator::reserve(StoreCore& core, PoolId pool, std::uint32_t count) {
  const std::lock_guard lock(mutex_);
  auto found = next_.find(pool);
  if (found == next_.end()) {
    VEXOR_TRY(const auto snapshot, core.backend->snapshot());
    VEXOR_TRY(const std::uint64_t next, end_of_numbers(*snapshot, pool));
    found = next_.emplace(pool, next).first;
  }
  if (found->second + count > format::kObjectNumberMax) {
    return Error(Errc::kLimitExceeded, "the pool has used up its object numbers");
  }
  const auto first = static_cast<ObjectNumber>(found->second);
  found->second += count;
  return first;
}

void NumberAllocator::reset() {
  const std::lock_guard lock(mutex_);
  next_.clear();
}

SetPtr SetCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return found->second->set;
}

void SetCache::insert(const std::string& key, SetPtr set) {
  const std::size_t bytes = set->getSizeInBytes(false) + key.size() + 160;
  const std::lock_guard lock(mutex_);
  if (bytes > bytes_max_ / 4 || by_key_.contains(key)) return;
  entries_.push_front({key, std::move(set), bytes});
  by_key_.emplace(entries_.front().key, entries_.begin());
  bytes_ += bytes;
  while (bytes_ > bytes_max_) {
    bytes_ -= entries_.back().bytes;
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
}

void SetCache::clear() {
  const std::lock_guard lock(mutex_);
  by_key_.clear();
  entries_.clear();
  bytes_ = 0;
}

std::string TrailerCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = trailers_.find(key);
  return found == trailers_.end() ? std::string() : found->second;
}

void TrailerCache::insert(const std::string& key, const std::string& trailer) {
  const std::lock_guard lock(mutex_);
  if (!trailers_.emplace(key, trailer).second) return;
  order_.push_back(key);
  if (order_.size() <= kEntriesMax) return;
  trailers_.erase(order_.front());
  order_.pop_front();
}

bool MaintenanceSlot::try_take() {
  const std::lock_guard lock(mutex_);
  if (status_.is_running) return false;
  status_.is_running = true;
  return true;
}

void MaintenanceSlot::release() {
  const std::lock_guard lock(mutex_);
  status_.is_running = false;
}

MaintenanceStatus MaintenanceSlot::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

void MaintenanceSlot::update(const std::function<void(MaintenanceStatus&)>& change) {
  const std::lock_guard lock(mutex_);
  change(status_);
}

Result<format::PoolUpkeepRow> read_pool_upkeep(const sys::StorageSnapshot& snapshot, PoolId pool) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kMeta, format::pool_upkeep_key(pool)));
  if (!row) return format::PoolUpkeepRow();
  return format::decode_pool_upkeep_row(row->bytes());
}

std::uint64_t StoreCore::next_id() {
  const std::lock_guard lock(ids_mutex_);
  return next_id_++;
}

PoolGate& StoreCore::gate(PoolId pool) {
  const std::lock_guard lock(gates_mutex_);
  std::unique_ptr<PoolGate>& gate = gates_[pool];
  if (!gate) gate = std::make_unique<PoolGate>();
  return *gate;
}

namespace {

// The number in the last key of `family` that is `letter` and a number; 0 if there is none.
Result<std::uint64_t> last_id(const sys::StorageSnapshot& snapshot, Family family, char letter) {
  const auto cursor = snapshot.cursor(family);
  cursor->seek_for_prev(std::string(1, letter) + std::string(8, '\xff'));
  VEXOR_TRY(cursor->status());
  if (!cursor->valid() || cursor->key()[0] != letter) return std::uint64_t{0};
  ByteReader key(cursor->key().substr(1));
  return key.u64be();
}

}  // namespace

Result<void> StoreCore::load_ids(const sys::StorageSnapshot& snapshot) {
  // Stores that older versions wrote may have a row 'i' that lags: ids in use count too.
  VEXOR_TRY(const std::uint64_t repository, last_id(snapshot, Family::kRepositories, 'r'));
  VEXOR_TRY(const std::uint64_t account, last_id(snapshot, Family::kAccounts, 'a'));
  std::uint64_t next = std::max(repository, account) + 1;
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, "i"));
  if (row) {
    ByteReader reader(row->bytes());
    VEXOR_TRY(const std::uint64_t written, reader.u64be());
    next = std::max(next, written);
  }
  raise_ids(next);
  return success();
}

void StoreCore::raise_ids(std::uint64_t next) {
  const std::lock_guard lock(ids_mutex_);
  next_id_ = std::max(next_id_, next);
}

Result<void> erase_range_of_objects(const sys::StorageSnapshot& snapshot, PoolId pool, HashAlgorithm algorithm,
                                    ObjectNumber first, std::uint32_t count, sys::Batch& batch, sys::StorageBackend* in_pieces) {
  const auto end = static_cast<ObjectNumber>(first + count);
  const auto cursor = snapshot.cursor(Family::kExtents);
  for (cursor->seek(format::extent_key(pool, first)); cursor->valid(); cursor->next()) {
    if (cursor->key() >= Bytes(format::extent_key(pool, end))) break;
    if (!format::has_extent_header(cursor->key())) continue;
    VEXOR_TRY(ObjectNumber number, format::number_of_key(cursor->key()));
    VEXOR_TRY(const auto header, format::decode_extent_header(number, algorithm, cursor->value()));
    for (const format::ExtentObject& object : header.objects) {
      if (object.is_absent) return Error(Errc::kCorrupt, "an extent in quarantine lacks objects");
      const std::string key = format::index_key(pool, object.id);
      VEXOR_TRY(const auto row, snapshot.get(Family::kIndex, key));
      if (row && row->bytes() == Bytes(format::encode_index_row(number))) batch.erase(Family::kIndex, key);
      ++number;
    }
    if (in_pieces != nullptr && batch.bytes() > kErasedAtOnce) {
      VEXOR_TRY(in_pieces->commit(batch, sys::Durability::kBuffered));
      batch = sys::Batch();
    }
  }
  VEXOR_TRY(cursor->status());
  erase_rows_of_range(pool, first, count, batch);
  return success();
}

void erase_rows_of_range(PoolId pool, ObjectNumber first, std::uint32_t count, sys::Batch& batch) {
  const auto end = static_cast<ObjectNumber>(first + count);
  batch.erase_range(Family::kExtents, format::extent_key(pool, first), format::extent_key(pool, end));
  for (const Family family : {Family::kGraph, Family::kBitmaps, Family::kShapes}) {
    batch.erase_range(family, format::number_key(pool, first), format::number_key(pool, end));
  }
  batch.erase(Family::kQuarantine, format::number_key(pool, first));
}

Result<void> StoreCore::sweep_quarantine(const std::set<std::string>& unindexed) {
  // Before the snapshot, which may show a range in quarantine that is applied right behind it: that must count as one with a record.
  const std::uint64_t applied = committer->last_sequence();
  const std::uint64_t last = committer->last_position().sequence;
  VEXOR_TRY(const auto snapshot, backend->snapshot());
  std::set<std::string> appended;
  for (std::uint64_t sequence = applied + 1; sequence <= last; ++sequence) {
    VEXOR_TRY(const auto row, snapshot->get(Family::kJournal, format::journal_key(sequence)));
    if (!row) return Error(Errc::kCorrupt, "journal record " + std::to_string(sequence) + " is missing");
    VEXOR_TRY(const format::JournalRecord record, format::decode_journal_record(row->bytes()));
    if (record.object_count > 0) appended.insert(format::number_key(record.pool, record.first_object));
  }
  const auto cursor = snapshot->cursor(Family::kQuarantine);
  for (cursor->seek({}); cursor->valid(); cursor->next()) {
    if (appended.contains(std::string(cursor->key()))) continue;
    ByteReader key(cursor->key());
    VEXOR_TRY(const std::uint64_t pool, key.u64be());
    VEXOR_TRY(const ObjectNumber first, key.u32be());
    VEXOR_TRY(const format::QuarantineRow row, format::decode_quarantine_row(cursor->value()));
    sys::Batch batch;
    if (unindexed.contains(std::string(cursor->key()))) {
      erase_rows_of_range(pool, first, row.object_count, batch);
    } else {
      VEXOR_TRY(erase_range_of_objects(*snapshot, pool, row.algorithm, first, row.object_count, batch, backend.get()));
    }
    VEXOR_TRY(backend->commit(batch, sys::Durability::kSynced));
  }
  return cursor->status();
}

Result<std::optional<RepositoryRow>> find_repository_row(const sys::StorageSnapshot& snapshot,
                                                         const std::string& name) {
  VEXOR_TRY(const auto id, snapshot.get(Family::kRepositories, "n" + name));
  if (!id) return std::optional<RepositoryRow>();
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, "r" + std::string(id->bytes())));
  if (!row) return Error(Errc::kCorrupt, "a repository name without its row");
  VEXOR_TRY(RepositoryRow decoded, format::decode_repository_row(row->bytes()));
  return std::optional<RepositoryRow>(std::move(decoded));
}

Result<RepositorySnapshot> open_repository_snapshot(StoreCore& core, RepositoryId id) {
  RepositorySnapshot out;
  VEXOR_TRY(out.snapshot, core.backend->snapshot());
  VEXOR_TRY(const auto row, out.snapshot->get(Family::kRepositories, "r" + format::pool_key(id)));
  if (!row) return Error(Errc::kNotFound, "no such repository");
  VEXOR_TRY(out.row, format::decode_repository_row(row->bytes()));
  VEXOR_TRY(const auto generation, out.snapshot->get(Family::kRepositories, "g" + format::pool_key(id)));
  if (generation) {
    ByteReader reader(generation->bytes());
    VEXOR_TRY(out.ref_generation, reader.u64be());
  }
  return out;
}

Limits limits_of(const Limits& store, const RepositoryRow& row) {
  Limits out = store;
  if (row.pack_bytes_max != 0) out.pack_bytes_max = std::min(out.pack_bytes_max, row.pack_bytes_max);
  if (row.object_bytes_max != 0) out.object_bytes_max = std::min(out.object_bytes_max, row.object_bytes_max);
  if (row.refs_max != 0) out.refs_per_repository_max = std::min(out.refs_per_repository_max, row.refs_max);
  return out;
}

RepositoryInfo to_info(const sys::StorageSnapshot& snapshot, const RepositoryRow& row) {
  RepositoryInfo info;
  info.id = row.number;
  info.name = row.deleted_at_ms != 0 ? row.deleted_name : row.name;
  info.algorithm = row.algorithm;
  info.description = row.description;
  info.is_public = row.is_public;
  info.deleted_at_ms = row.deleted_at_ms;
  info.fork_of = row.fork_of;
  for (const format::ProtectRule& rule : row.protect) {
    info.protect.push_back({rule.pattern, rule.no_force, rule.no_delete, rule.only_users});
  }
  info.hidden_refs = row.hidden;
  info.check_policy = row.check_policy;
  info.pack_bytes_max = row.pack_bytes_max;
  info.object_bytes_max = row.object_bytes_max;
  info.refs_max = row.refs_max;
  info.bundle_lines = row.bundles;
  info.copies = row.copies;
  const auto head = snapshot.get(Family::kRefs, format::ref_key(row.number, "HEAD"));
  if (head.has_value() && head.value()) {
    const auto decoded = format::decode_ref_row(row.algorithm, head.value()->bytes());
    if (decoded.has_value()) info.default_branch = decoded.value().symref_target;
  }
  return info;
}

Result<std::vector<NamedRef>> read_refs(const RepositorySnapshot& repository, Bytes prefix) {
  std::vector<NamedRef> out;
  const std::string start = format::ref_key(repository.row.number, prefix);
  const auto cursor = repository.snapshot->cursor(Family::kRefs);
  for (cursor->seek(start); cursor->valid() && cursor->key().starts_with(start); cursor->next()) {
    VEXOR_TRY(format::RefRow row, format::decode_ref_row(repository.row.algorithm, cursor->value()));
    out.push_back({std::string(cursor->key().substr(8)), std::move(row), std::string(cursor->value())});
  }
  VEXOR_TRY(cursor->status());
  return out;
}

Result<std::optional<NamedRef>> read_ref(const RepositorySnapshot& repository, Bytes name) {
  VEXOR_TRY(const auto row, repository.snapshot->get(Family::kRefs, format::ref_key(repository.row.number, name)));
  if (!row) return std::optional<NamedRef>();
  VEXOR_TRY(format::RefRow decoded, format::decode_ref_row(repository.row.algorithm, row->bytes()));
  return std::optional<NamedRef>(NamedRef{std::string(name), std::move(decoded), std::string(row->bytes())});
}

Result<std::optional<NamedRef>> find_ref_by_short_name(const RepositorySnapshot& repository, const std::string& name) {
  for (const char* prefix : {"", "refs/", "refs/tags/", "refs/heads/"}) {
    VEXOR_TRY(auto ref, read_ref(repository, prefix + name));
    if (ref && !ref->row.symref_target.empty()) {
      const std::string target = ref->row.symref_target;
      VEXOR_TRY(ref, read_ref(repository, target));
    }
    if (ref) return ref;
  }
  return std::optional<NamedRef>();
}

}  // namespace vexor::store
