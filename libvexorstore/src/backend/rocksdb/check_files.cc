#include "backend/rocksdb/check_files.h"

#include <algorithm>
#include <charconv>

#include <rocksdb/sst_file_reader.h>

namespace vexor::sys {

namespace {

std::vector<rocksdb::LiveFileMetaData> live_files(rocksdb::DB& db) {
  std::vector<rocksdb::LiveFileMetaData> files;
  db.GetLiveFilesMetaData(&files);
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.file_number < b.file_number; });
  return files;
}

Family family_of(const std::string& name) {
  for (std::size_t i = 1; i < kFamilyCount; ++i) {
    if (family_name(static_cast<Family>(i)) == name) return static_cast<Family>(i);
  }
  return Family::kMeta;
}

bool is_live(rocksdb::DB& db, std::uint64_t number) {
  const auto files = live_files(db);
  return std::any_of(files.begin(), files.end(),
                     [&](const auto& file) { return file.file_number == number; });
}

rocksdb::Status check_file(rocksdb::DB& db, const rocksdb::LiveFileMetaData& file) {
  rocksdb::SstFileReader reader(db.GetOptions());
  const auto opened = reader.Open(file.directory + "/" + file.relative_filename);
  return opened.ok() ? reader.VerifyChecksum() : opened;
}

}  // namespace

Result<bool> check_files(rocksdb::DB& db, std::string& position, std::uint64_t& bytes,
                         std::vector<DamagedRows>& damaged) {
  std::uint64_t last = 0;
  std::from_chars(position.data(), position.data() + position.size(), last);
  const std::uint64_t bytes_max = bytes;
  bytes = 0;
  for (const rocksdb::LiveFileMetaData& file : live_files(db)) {
    if (file.file_number <= last) continue;
    if (bytes >= bytes_max) return true;
    const rocksdb::Status status = check_file(db, file);
    bytes += file.size;
    position = std::to_string(file.file_number);
    // One that a compaction took away meanwhile was read by that.
    if (status.ok() || !is_live(db, file.file_number)) continue;
    damaged.push_back({family_of(file.column_family_name), file.smallestkey, file.largestkey,
                       status.ToString()});
  }
  return false;
}

}  // namespace vexor::sys
