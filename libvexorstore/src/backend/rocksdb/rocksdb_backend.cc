// The seam on RocksDB. One column family a row family. Extents are stored as they are: their
// payloads are deflated already, and append-only keys let compaction move files.
#include <atomic>
#include <mutex>
#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/checkpoint.h>
#include <rocksdb/write_buffer_manager.h>
#include <set>
#include <utility>

#include "backend/rocksdb/check_files.h"
#include "backend/rocksdb/compact_range.h"
#include "backend/rocksdb/forget_files.h"
#include "backend/rocksdb/operator_log.h"
#include "vexorstore/sys/backends.h"
#include "vexorstore/sys/forgetting.h"

namespace vexor::sys {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kExtentsShare = 4;  // of the block cache: one part in so many

rocksdb::Slice slice(Bytes bytes) { return {bytes.data(), bytes.size()}; }
Bytes bytes_of(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

Error to_error(const rocksdb::Status& status) {
  const Errc code = status.IsCorruption() ? Errc::kCorrupt : Errc::kIo;
  return Error(code, "storage: " + status.ToString());
}

// Of a database that was there before: what tells that its files are not as they were written.
Error to_open_error(const rocksdb::Status& status) {
  const std::string text = status.ToString();  // RocksDB has no code for it
  if (text.starts_with("IO error: lock hold by ") || text.starts_with("IO error: While lock file: ")) return Error(Errc::kIo, "storage: the store is in use by another process: stop that first");
  const bool is_damaged = status.IsCorruption() || status.IsNotFound() || status.IsPathNotFound() || status.IsInvalidArgument() || status.IsNotSupported();
  return Error(is_damaged ? Errc::kCorrupt : Errc::kIo, "storage: " + text);
}

// Extents hold zlib streams and zstd frames already. What is large beside them, and read through the cache, takes the better
// form: an index row is an id that nothing can shorten and 14 octets that zstd makes two of, LZ4 three times as many.
rocksdb::CompressionType compression_of(Family family) {
  switch (family) {
    case Family::kExtents: return rocksdb::kNoCompression;
    case Family::kIndex:
    case Family::kGraph:
    case Family::kBitmaps: return rocksdb::kZSTD;
    default: return rocksdb::kLZ4Compression;
  }
}

rocksdb::ColumnFamilyOptions family_options(Family family, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  table.cache_index_and_filter_blocks = true;
  table.block_size = family == Family::kExtents ? 64 * 1024 : 4096;
  rocksdb::ColumnFamilyOptions out;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  out.write_buffer_size = 16U << 20U;
  out.max_write_buffer_number = 3;
  out.compression = compression_of(family);
  out.target_file_size_base = 64U << 20U;
  return out;
}

// Work in the background that meets damage: it is told, and the store goes on. Otherwise RocksDB would refuse all
// writes until it is opened again, for rows that nobody may have asked for; the files that could not be read stay
// as they are. No compaction of that family would get past them, and new files would pile up until writes stop: so
// there are none until the store is opened again, and reads look into more files meanwhile.
class BackgroundDamage final : public rocksdb::EventListener {
 public:
  explicit BackgroundDamage(std::shared_ptr<DamageLog> damage) : damage_(std::move(damage)) {}
  void OnBackgroundError(rocksdb::BackgroundErrorReason reason, rocksdb::Status* error) override {
    if (reason != rocksdb::BackgroundErrorReason::kCompaction || !error->IsCorruption()) return;
    if (damage_) damage_->note("compaction", error->ToString());
    *error = rocksdb::Status::OK();
  }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo& info) override {
    if (!info.status.IsCorruption()) return;
    const std::lock_guard lock(mutex_);
    stuck_.insert(info.cf_name);
    has_stuck_ = true;
  }
  // Families with such a compaction since the last call. Cheap when there are none.
  std::set<std::string> take_stuck() {
    if (!has_stuck_) return {};
    const std::lock_guard lock(mutex_);
    has_stuck_ = false;
    return std::exchange(stuck_, {});
  }

 private:
  std::shared_ptr<DamageLog> damage_;
  std::mutex mutex_;
  std::set<std::string> stuck_;  // guarded by mutex_
  std::atomic<bool> has_stuck_ = false;
};

class RocksdbCursor final : public Cursor {
 public:
  RocksdbCursor(rocksdb::Iterator* it, Family family, std::shared_ptr<DamageLog> damage) : it_(it), family_(family), damage_(std::move(damage)) {}
  bool valid() const override { return it_->Valid(); }
  void seek(Bytes key) override { it_->Seek(slice(key)); }
  void seek_for_prev(Bytes key) override { it_->SeekForPrev(slice(key)); }
  void next() override { it_->Next(); }
  Bytes key() const override { return bytes_of(it_->key()); }
  Bytes value() const override { return bytes_of(it_->value()); }
  Result<void> status() const override {
    const rocksdb::Status status = it_->status();
    if (status.ok()) return success();
    if (status.IsCorruption() && damage_) damage_->note(family_name(family_), status.ToString());
    return to_error(status);
  }

 private:
  std::unique_ptr<rocksdb::Iterator> it_;
  Family family_;
  std::shared_ptr<DamageLog> damage_;
};

// The open database, shared by the backend and its snapshots.
struct Database {
  rocksdb::DB* db = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> families;
  std::shared_ptr<DamageLog> damage;
  std::shared_ptr<BackgroundDamage> background;
  // To be called before writes, which callbacks of RocksDB must not wait for.
  void leave_stuck_compactions() const {
    for (const std::string& name : background->take_stuck()) {
      for (auto* handle : families) {
        if (handle->GetName() == name) db->SetOptions(handle, {{"disable_auto_compactions", "true"}}).PermitUncheckedError();
      }
    }
  }
  ~Database() {
    if (db == nullptr) return;
    for (auto* handle : families) db->DestroyColumnFamilyHandle(handle);
    db->Close();
    delete db;
  }
  rocksdb::ColumnFamilyHandle* operator[](Family family) const { return families[static_cast<std::size_t>(family)]; }
};

class RocksdbSnapshot final : public StorageSnapshot {
 public:
  explicit RocksdbSnapshot(std::shared_ptr<Database> database)
      : database_(std::move(database)), snapshot_(database_->db->GetSnapshot()) {
    read_.snapshot = snapshot_;
  }
  ~RocksdbSnapshot() override { database_->db->ReleaseSnapshot(snapshot_); }
  Result<std::optional<PinnedValue>> get(Family family, Bytes key) const override {
    auto pinned = std::make_shared<rocksdb::PinnableSlice>();
    const rocksdb::Status status = database_->db->Get(read_, (*database_)[family], slice(key), pinned.get());
    if (status.IsNotFound()) return std::optional<PinnedValue>();
    if (status.IsCorruption() && database_->damage) database_->damage->note(family_name(family), status.ToString());
    if (!status.ok()) return to_error(status);
    const Bytes bytes = bytes_of(*pinned);
    return std::optional<PinnedValue>(PinnedValue(bytes, std::move(pinned)));
  }
  std::unique_ptr<Cursor> cursor(Family family) const override {
    rocksdb::ReadOptions read = read_;
    if (family == Family::kExtents) read.fill_cache = false;
    return std::make_unique<RocksdbCursor>(database_->db->NewIterator(read, (*database_)[family]), family, database_->damage);
  }

 private:
  std::shared_ptr<Database> database_;
  const rocksdb::Snapshot* snapshot_;
  rocksdb::ReadOptions read_;
};

class RocksdbBulkWriter final : public BulkWriter {
 public:
  RocksdbBulkWriter(Family family, const rocksdb::Options& options, rocksdb::ColumnFamilyHandle* handle, fs::path path)
      : family_(family), writer_(rocksdb::EnvOptions(), options, handle), path_(std::move(path)) {}
  ~RocksdbBulkWriter() override {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  Result<void> put(Bytes key, Bytes value) override {
    if (is_finished_) return Error(Errc::kInvalidArgument, "a bulk row behind the end");
    if (rows_ == 0) {
      if (const auto status = writer_.Open(path_.string()); !status.ok()) return to_error(status);
    }
    if (const auto status = writer_.Put(slice(key), slice(value)); !status.ok()) {
      if (status.IsInvalidArgument()) return Error(Errc::kInvalidArgument, "bulk rows out of order");
      return to_error(status);
    }
    ++rows_;
    bytes_ += key.size() + value.size();
    return success();
  }
  Family family() const override { return family_; }
  std::uint64_t rows() const override { return rows_; }
  std::uint64_t bytes() const override { return bytes_; }
  Result<void> finish() override {
    if (rows_ == 0 || std::exchange(is_finished_, true)) return success();
    if (const auto status = writer_.Finish(); !status.ok()) return to_error(status);
    return success();
  }
  std::string path() const { return path_.string(); }

 private:
  Family family_;
  rocksdb::SstFileWriter writer_;
  fs::path path_;
  std::uint64_t rows_ = 0;
  std::uint64_t bytes_ = 0;
  bool is_finished_ = false;
};

class RocksdbBackend final : public StorageBackend, public Forgetting {
 public:
  RocksdbBackend(std::shared_ptr<Database> database, std::shared_ptr<rocksdb::Cache> cache, std::shared_ptr<rocksdb::Cache> extents_cache, fs::path bulk)
      : database_(std::move(database)), cache_(std::move(cache)), extents_cache_(std::move(extents_cache)), bulk_(std::move(bulk)) {}

  Result<std::shared_ptr<const StorageSnapshot>> snapshot() override {
    return std::shared_ptr<const StorageSnapshot>(std::make_shared<RocksdbSnapshot>(database_));
  }
  Result<void> commit(const Batch& batch, Durability durability) override {
    database_->leave_stuck_compactions();
    rocksdb::WriteBatch out;
    for (const Batch::Op& op : batch.ops()) {
      auto* family = (*database_)[op.family];
      rocksdb::Status status;
      switch (op.kind) {
        case Batch::Kind::kPut: status = out.Put(family, op.key, op.value); break;
        case Batch::Kind::kErase: status = out.Delete(family, op.key); break;
        case Batch::Kind::kEraseRange: status = out.DeleteRange(family, op.key, op.value); break;
      }
      if (!status.ok()) return to_error(status);
    }
    rocksdb::WriteOptions options;
    options.sync = durability == Durability::kSynced;
    const rocksdb::Status status = database_->db->Write(options, &out);
    if (status.IsCorruption() && database_->damage) database_->damage->note("write", status.ToString());
    if (!status.ok()) return Error(Errc::kIndeterminate, "storage: " + status.ToString());
    return success();
  }
  Result<std::unique_ptr<BulkWriter>> bulk_writer(Family family) override {
    auto* handle = (*database_)[family];
    const rocksdb::Options options(database_->db->GetDBOptions(), rocksdb::ColumnFamilyOptions(database_->db->GetOptions(handle)));
    const fs::path path = bulk_ / (std::to_string(next_file_.fetch_add(1)) + ".sst");
    return std::unique_ptr<BulkWriter>(std::make_unique<RocksdbBulkWriter>(family, options, handle, path));
  }
  Result<void> ingest(std::vector<std::unique_ptr<BulkWriter>> writers) override {
    database_->leave_stuck_compactions();
    std::vector<rocksdb::IngestExternalFileArg> args;
    for (const auto& writer : writers) {
      auto* own = dynamic_cast<RocksdbBulkWriter*>(writer.get());
      if (own == nullptr) return Error(Errc::kInvalidArgument, "bulk writer of another backend");
      if (own->rows() == 0) continue;
      rocksdb::IngestExternalFileArg arg;
      arg.column_family = (*database_)[own->family()];
      VEXOR_TRY(own->finish());
      arg.external_files.push_back(own->path());
      arg.options.move_files = true;
      args.push_back(std::move(arg));
    }
    if (args.empty()) return success();
    if (const auto status = database_->db->IngestExternalFiles(args); !status.ok()) return to_error(status);
    return success();
  }
  Result<void> checkpoint(const fs::path& directory) override {
    rocksdb::Checkpoint* raw = nullptr;
    if (const auto status = rocksdb::Checkpoint::Create(database_->db, &raw); !status.ok()) return to_error(status);
    const std::unique_ptr<rocksdb::Checkpoint> maker(raw);
    if (const auto status = maker->CreateCheckpoint(directory.string()); !status.ok()) return to_error(status);
    return success();
  }
  Result<bool> check_some(std::string& position, std::uint64_t& bytes, std::vector<DamagedRows>& damaged) override {
    return check_files(*database_->db, position, bytes, damaged);
  }
  Result<bool> compact(Family family, Bytes first, Bytes end, std::string& position, std::uint64_t& bytes) override {
    auto done = compact_range(*database_->db, (*database_)[family], first, end, position, bytes);
    if (done.has_error() && done.error().code() == Errc::kCorrupt && database_->damage) {
      database_->damage->note("compaction", done.error().message());
    }
    if (done.has_error() || done.value()) return done;
    // The log holds what the range's new rows were written with until all families have theirs in files.
    rocksdb::FlushOptions flush;
    flush.allow_write_stall = false;
    if (const auto status = database_->db->Flush(flush, database_->families); !status.ok()) return to_error(status);
    return false;
  }
  // `audit` has no rows (docs/format/meta.md).
  Result<bool> forget(std::uint64_t& moment) override {
    return forget_files(*database_->db, database_->families, (*database_)[Family::kAudit], bulk_.parent_path(), moment);
  }
  Capabilities capabilities() const override { return {true, 1U << 30U, 8}; }
  std::uint64_t approximate_bytes(Family family) override {
    std::uint64_t files = 0;
    std::uint64_t memory = 0;
    auto* handle = (*database_)[family];
    database_->db->GetIntProperty(handle, rocksdb::DB::Properties::kTotalSstFilesSize, &files);
    database_->db->GetIntProperty(handle, rocksdb::DB::Properties::kCurSizeAllMemTables, &memory);
    return files + memory;
  }
  MemoryUse memory_use() override {
    MemoryUse out;
    out.cached_blocks = cache_->GetUsage() + extents_cache_->GetUsage();
    for (auto* handle : database_->families) {
      std::uint64_t rows = 0;
      std::uint64_t readers = 0;
      database_->db->GetIntProperty(handle, rocksdb::DB::Properties::kSizeAllMemTables, &rows);
      database_->db->GetIntProperty(handle, rocksdb::DB::Properties::kEstimateTableReadersMem, &readers);
      out.unwritten_rows += rows;
      out.open_files += readers;
    }
    return out;
  }

 private:
  std::shared_ptr<Database> database_;
  std::shared_ptr<rocksdb::Cache> cache_;
  std::shared_ptr<rocksdb::Cache> extents_cache_;
  fs::path bulk_;
  std::atomic<std::uint64_t> next_file_{1};
};

}  // namespace

Result<std::unique_ptr<StorageBackend>> open_rocksdb_backend(const fs::path& directory, const RocksdbOptions& options) {
  std::error_code failed;
  fs::create_directories(directory, failed);
  const fs::path bulk = directory / "bulk";
  if (failed) return Error(Errc::kIo, "storage: cannot make the data directory: " + failed.message());

  // Extents are large and many: with a share of their own they drive out no rows of others.
  const std::size_t extents_bytes = options.block_cache_bytes / kExtentsShare;
  const auto extents_cache = rocksdb::NewLRUCache(extents_bytes);
  const auto cache = rocksdb::NewLRUCache(options.block_cache_bytes - extents_bytes);
  rocksdb::DBOptions db_options;
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  db_options.max_background_jobs = options.background_jobs;
  db_options.max_open_files = options.open_files_max;
  db_options.max_manifest_file_size = kManifestBytesMax;
  db_options.info_log = std::make_shared<OperatorLog>(directory);
  db_options.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes);
  db_options.max_total_wal_size = 256U << 20U;
  // A closed log that is missing or shorter than it was synced is damage. The end of the last one cannot be told from a torn
  // write here: docs/protocol/replication.md, S8.
  db_options.track_and_verify_wals_in_manifest = true;
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    const auto family = static_cast<Family>(i);
    const std::string name = i == 0 ? rocksdb::kDefaultColumnFamilyName : std::string(family_name(family));
    descriptors.emplace_back(name, family_options(family, family == Family::kExtents ? extents_cache : cache));
  }
  auto database = std::make_shared<Database>();
  database->background = std::make_shared<BackgroundDamage>(options.damage);
  db_options.listeners.push_back(database->background);
  database->damage = options.damage;
  const bool is_new = !fs::exists(directory / "CURRENT", failed);
  const auto status = rocksdb::DB::Open(db_options, directory.string(), descriptors, &database->families, &database->db);
  if (!status.ok()) {
    database->db = nullptr;
    return is_new ? to_error(status) : to_open_error(status);
  }
  // Not before: another process may have the store open.
  fs::remove_all(bulk, failed);  // files of pushes that a crash cut off
  fs::create_directories(bulk, failed);
  if (failed) return Error(Errc::kIo, "storage: cannot make a directory: " + failed.message());
  return std::unique_ptr<StorageBackend>(std::make_unique<RocksdbBackend>(std::move(database), cache, extents_cache, bulk));
}

}  // namespace vexor::sys
