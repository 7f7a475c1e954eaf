#include "backend/rocksdb/forget_files.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>
#include <set>
#include <unistd.h>

namespace vexor::sys {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFillerKeyBytes = 1U << 20U;
constexpr unsigned kLooksMax = 20;
constexpr useconds_t kLookMicroseconds = 50'000;
constexpr unsigned kFillersMax = 16;  // each is in the manifest twice, as first and as last key of its file

Error to_error(const rocksdb::Status& status) { return Error(Errc::kIo, "storage: " + status.ToString()); }

struct Files {
  std::set<std::uint64_t> tables;
  std::set<std::uint64_t> logs;
  std::set<std::uint64_t> manifests;
};

std::uint64_t number_in(std::string_view text) {
  std::uint64_t out = 0;
  std::from_chars(text.data(), text.data() + text.size(), out);
  return out;
}

Result<Files> files_of(const fs::path& directory) {
  Files out;
  std::error_code failed;
  for (fs::directory_iterator at(directory, failed), end; !failed && at != end; at.increment(failed)) {
    const std::string name = at->path().filename().string();
    if (name.ends_with(".sst")) out.tables.insert(number_in(name));
    if (name.ends_with(".log")) out.logs.insert(number_in(name));
    if (name.starts_with("MANIFEST-")) out.manifests.insert(number_in(std::string_view(name).substr(9)));
  }
  if (failed) return Error(Errc::kIo, "storage: the directory cannot be listed");
  return out;
}

// The manifest in use. Errors: kIo.
Result<std::uint64_t> manifest_of(rocksdb::DB& db) {
  std::vector<std::string> files;
  std::uint64_t bytes = 0;
  if (const auto status = db.GetLiveFiles(files, &bytes, false); !status.ok()) return to_error(status);
  for (const std::string& file : files) {
    const std::size_t at = file.find("MANIFEST-");
    if (at != std::string::npos) return number_in(std::string_view(file).substr(at + 9));
  }
  return Error(Errc::kIo, "storage: no manifest is in use");
}

std::string log_name(std::uint64_t number) {
  std::string name = std::to_string(number);
  name.insert(0, 6 - std::min<std::size_t>(6, name.size()), '0');
  return name + ".log";
}

// One without a record is gone on with.
bool is_empty_log(const fs::path& directory, std::uint64_t number) {
  std::error_code gone;
  const auto bytes = fs::file_size(directory / log_name(number), gone);
  return gone || bytes == 0;
}

bool has_none(const std::set<std::uint64_t>& now, const std::set<std::uint64_t>& old) {
  return std::none_of(old.begin(), old.end(), [&](std::uint64_t number) { return now.contains(number); });
}

// RocksDB removes files beside whoever caused it.
Result<bool> wait_until_gone(const fs::path& directory, const std::function<bool(const Files&)>& are_gone) {
  for (unsigned i = 0; i < kLooksMax; ++i) {
    VEXOR_TRY(const Files now, files_of(directory));
    if (are_gone(now)) return true;
    ::usleep(kLookMicroseconds);
  }
  return false;
}

// There is no call for it: the manifest is filled up with the keys of files until RocksDB begins another.
Result<void> begin_manifest(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* filler, std::uint64_t old) {
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  for (unsigned i = 0; i < kFillersMax; ++i) {
    VEXOR_TRY(const std::uint64_t now, manifest_of(db));
    if (now != old) return success();
    const std::string key(kFillerKeyBytes, static_cast<char>('a' + i));
    if (const auto status = db.Put(unlogged, filler, key, rocksdb::Slice()); !status.ok()) return to_error(status);
    if (const auto status = db.Flush({}, filler); !status.ok()) return to_error(status);
  }
  return Error(Errc::kIo, "storage: the manifest is not begun anew");
}

Result<void> remove_fillers(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* filler) {
  rocksdb::WriteOptions unlogged;
  unlogged.disableWAL = true;
  if (const auto status = db.DeleteRange(unlogged, filler, "a", "z"); !status.ok()) return to_error(status);
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  if (const auto status = db.CompactRange(options, filler, nullptr, nullptr); !status.ok()) return to_error(status);
  return success();
}

// Tables on the disk from before that belong to no version of the store: a cursor reads them, or they wait to be removed.
// Later ones that belong to none yet are being written.
bool has_loose_tables(rocksdb::DB& db, const std::set<std::uint64_t>& before, const std::set<std::uint64_t>& now) {
  std::set<std::uint64_t> tables;
  std::set_intersection(before.begin(), before.end(), now.begin(), now.end(), std::inserter(tables, tables.end()));
  std::vector<rocksdb::LiveFileMetaData> live;
  db.GetLiveFilesMetaData(&live);
  std::set<std::uint64_t> used;
  for (const rocksdb::LiveFileMetaData& file : live) used.insert(file.file_number);
  return !std::includes(used.begin(), used.end(), tables.begin(), tables.end());
}

}  // namespace

Result<bool> forget_files(rocksdb::DB& db, const std::vector<rocksdb::ColumnFamilyHandle*>& families, rocksdb::ColumnFamilyHandle* filler,
                          const fs::path& directory, std::uint64_t& moment) {
  if (moment == 0) moment = db.GetLatestSequenceNumber();
  std::uint64_t oldest = 0;
  db.GetIntProperty(rocksdb::DB::Properties::kOldestSnapshotSequence, &oldest);
  if (oldest != 0 && oldest < moment) return false;
  VEXOR_TRY(Files before, files_of(directory));
  for (auto at = before.logs.begin(); at != before.logs.end();) at = is_empty_log(directory, *at) ? before.logs.erase(at) : std::next(at);
  rocksdb::FlushOptions flush;
  flush.allow_write_stall = false;
  if (const auto status = db.Flush(flush, families); !status.ok()) return to_error(status);
  VEXOR_TRY(const bool gone, wait_until_gone(directory, [&](const Files& now) { return !has_loose_tables(db, before.tables, now.tables) && has_none(now.logs, before.logs); }));
  if (!gone) return false;
  VEXOR_TRY(const std::uint64_t manifest, manifest_of(db));
  VEXOR_TRY(begin_manifest(db, filler, manifest));
  VEXOR_TRY(remove_fillers(db, filler));
  return wait_until_gone(directory, [&](const Files& now) { return has_none(now.manifests, before.manifests); });
}

}  // namespace vexor::sys
