#include "backend/rocksdb/compact_range.h"

#include <algorithm>

#include <rocksdb/metadata.h>

namespace vexor::sys {

namespace {

rocksdb::Slice slice(Bytes bytes) { return {bytes.data(), bytes.size()}; }

// A piece of the range: files that begin in it. A file that is larger than a piece is rewritten whole all the same.
struct Piece {
  std::string end;  // exclusive
  std::uint64_t bytes = 0;
  bool is_last = true;
};

Piece piece_from(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, const std::string& from, const std::string& end, std::uint64_t bytes_max) {
  rocksdb::ColumnFamilyMetaData meta;
  db.GetColumnFamilyMetaData(family, &meta);
  std::vector<std::pair<std::string, std::uint64_t>> files;  // first key and size
  for (const rocksdb::LevelMetaData& level : meta.levels) {
    for (const rocksdb::SstFileMetaData& file : level.files) {
      if (file.largestkey >= from && file.smallestkey < end) files.emplace_back(file.smallestkey, file.size);
    }
  }
  std::sort(files.begin(), files.end());
  Piece out{end, 0, true};
  for (const auto& [key, size] : files) {
    if (out.bytes >= bytes_max && key > from) {
      out.end = key;
      out.is_last = false;
      break;
    }
    out.bytes += size;
  }
  return out;
}

}  // namespace

Result<bool> compact_range(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* family, Bytes first, Bytes end, std::string& position,
                           std::uint64_t& bytes) {
  const std::string from = position.empty() ? std::string(first) : position;
  const std::uint64_t bytes_max = std::max<std::uint64_t>(bytes, 1);
  bytes = 0;
  if (from >= end) return false;
  const Piece piece = piece_from(db, family, from, std::string(end), bytes_max);
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;  // the store's own compactions go on beside it
  options.allow_write_stall = false;            // waits rather than hold up pushes
  options.max_subcompactions = 1;
  // The lowest files are rewritten too: they are where what was erased lies.
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  const rocksdb::Slice begin_key = slice(from);
  const rocksdb::Slice end_key = slice(piece.end);
  const rocksdb::Status status = db.CompactRange(options, family, &begin_key, &end_key);
  if (!status.ok()) return Error(status.IsCorruption() ? Errc::kCorrupt : Errc::kIo, "storage: " + status.ToString());
  bytes = piece.bytes;
  position = piece.end;
  return !piece.is_last;
}

}  // namespace vexor::sys
