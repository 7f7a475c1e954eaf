#include "replication/host/copy_taker.h"

#include <cerrno>
#include <fcntl.h>
#include <set>
#include <system_error>
#include <unistd.h>

#include "replication/host/durable_files.h"
#include "replication/host/entry_codec.h"
#include "replication/host/store_log.h"
#include "replication/host/store_mark.h"
#include "replication/host/store_note.h"
#include "vexorstore/store_copy.h"

namespace vexor::replication {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kSpareBytes = 64U << 20U;  // left free: a checked copy is a little larger than what was sent

// What of a file is here; a multiple of a piece, or all of it.
std::uint64_t bytes_here(const fs::path& path, const CopyFile& file) {
  std::error_code failed;
  const std::uint64_t size = fs::file_size(path, failed);
  if (failed || size > file.bytes) return 0;
  return size == file.bytes ? size : size / kCopyPieceBytesMax * kCopyPieceBytesMax;
}

class OpenFile {
 public:
  explicit OpenFile(const fs::path& path) : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)) {}
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  Result<void> begin(std::uint64_t size) {
    if (fd_ < 0 || ::ftruncate(fd_, static_cast<off_t>(size)) != 0) return failed();
    return success();
  }
  Result<void> write(std::uint64_t at, Bytes piece) {
    while (!piece.empty()) {
      const ssize_t count = ::pwrite(fd_, piece.data(), piece.size(), static_cast<off_t>(at));
      if (count <= 0) return failed();
      at += static_cast<std::uint64_t>(count);
      piece.remove_prefix(static_cast<std::size_t>(count));
    }
    return success();
  }
  Result<void> sync() {
    if (::fsync(fd_) != 0) return failed();
    return success();
  }

 private:
  static Error failed() { return Error(Errc::kIo, "a file of a copy cannot be written: " + std::generic_category().message(errno)); }
  int fd_;
};

class Fetch {
 public:
  Fetch(CopyPeer& peer, const CopyOffer& offer, const CopyPlace& place) : peer_(peer), offer_(offer), place_(place) {}

  Result<void> run() {
    VEXOR_TRY(make_room());
    for (const CopyFile& file : offer_.files) {
      VEXOR_TRY(bring(file));
    }
    return sync_path(place_.scratch);
  }

 private:
  Result<void> make_room() {
    std::error_code failed;
    fs::create_directories(place_.scratch, failed);
    std::set<std::string> names;
    for (const CopyFile& file : offer_.files) {
      names.insert(file.name);
      progress_.total += file.bytes;
      progress_.bytes += bytes_here(place_.scratch / file.name, file);
    }
    for (const auto& entry : fs::directory_iterator(place_.scratch, failed)) {
      if (!names.contains(entry.path().filename().string())) fs::remove_all(entry.path(), failed);
    }
    if (failed) return Error(Errc::kIo, "cannot make the directory of a copy: " + failed.message());
    const std::uint64_t needed = progress_.total - progress_.bytes + kSpareBytes;
    VEXOR_TRY(const std::uint64_t free, free_bytes());
    if (free < needed) {
      return Error(Errc::kLimitExceeded, "a copy needs " + std::to_string(needed) + " bytes beside the store, and " + std::to_string(free) + " are free");
    }
    return success();
  }

  Result<std::uint64_t> free_bytes() const {
    if (place_.free_bytes) return place_.free_bytes();
    std::error_code failed;
    const fs::space_info space = fs::space(place_.scratch, failed);
    if (failed) return Error(Errc::kIo, "cannot tell how much space is free: " + failed.message());
    return static_cast<std::uint64_t>(space.available);
  }

  // What is here of an earlier try may be of another file of that name: then once more from its beginning.
  Result<void> bring(const CopyFile& file) {
    const fs::path path = place_.scratch / file.name;
    const std::uint64_t here = bytes_here(path, file);
    VEXOR_TRY(const bool same, bring_from(file, path, here));
    if (same) return success();
    if (here == 0) return Error(Errc::kProtocol, "a file of the copy is not what its digest says: " + file.name);
    progress_.bytes -= here;
    VEXOR_TRY(const bool now, bring_from(file, path, 0));
    if (!now) return Error(Errc::kProtocol, "a file of the copy is not what its digest says: " + file.name);
    return success();
  }

  Result<bool> bring_from(const CopyFile& file, const fs::path& path, std::uint64_t from) {
    std::uint64_t at = from;
    std::string told;
    {
      OpenFile out(path);
      VEXOR_TRY(out.begin(from));
      VEXOR_TRY(told, peer_.read(offer_, file, from, [&](Bytes piece) -> Result<void> {
        const std::uint64_t whole = std::min<std::uint64_t>(kCopyPieceBytesMax, file.bytes - at);
        if (piece.empty() || piece.size() != whole) return Error(Errc::kProtocol, "a piece of a copy that is not as long as it must be");
        VEXOR_TRY(out.write(at, piece));
        at += piece.size();
        progress_.bytes += piece.size();
        if (place_.progress) place_.progress(progress_);
        return success();
      }));
      if (at != file.bytes) return Error(Errc::kProtocol, "a file of the copy ended early: " + file.name);
      VEXOR_TRY(out.sync());
    }
    VEXOR_TRY(const std::string is, file_digest(path));
    if (is == told) return true;
    progress_.bytes -= at - from;
    std::error_code ignored;
    fs::remove(path, ignored);
    return false;
  }

  CopyPeer& peer_;
  const CopyOffer& offer_;
  const CopyPlace& place_;
  CopyProgress progress_;
};

Result<void> sync_all(const fs::path& directory) {
  std::error_code failed;
  for (const auto& entry : fs::recursive_directory_iterator(directory, failed)) {
    VEXOR_TRY(sync_path(entry.path()));
  }
  if (failed) return Error(Errc::kIo, "cannot list a copy: " + failed.message());
  return sync_path(directory);
}

Error corrupt(const std::string& what) { return Error(Errc::kCorrupt, "the copy is not sound: " + what); }

}  // namespace

Result<void> fetch_copy(CopyPeer& peer, const CopyOffer& offer, const CopyPlace& place) {
  VEXOR_TRY(check_offer(offer));
  return Fetch(peer, offer, place).run();
}

Result<void> check_fetched(const CopyOffer& offer, const CopyPlace& place, const sys::RocksdbOptions& options) {
  sys::RocksdbOptions own = options;
  own.damage = std::make_shared<sys::DamageLog>();
  Mark mark;
  {
    VEXOR_TRY(const auto backend, sys::open_rocksdb_backend(place.scratch, own));
    auto checked = check_copy(*backend, offer.at.sequence);
    if (checked.has_error()) return corrupt(checked.error().message());
    const CheckedCopy& copy = checked.value();
    if (to_digest(copy.hash_at_told) != offer.at.hash || copy.hash_at_told.empty()) return corrupt("its journal is not the one that was told");
    VEXOR_TRY(const Epoch promise, decode_promise(copy.replication_state));
    if (promise != offer.epoch) return corrupt("its promise is not the epoch that was told");
    if (copy.last.epoch > offer.epoch) return corrupt("it has records of a later epoch");
    VEXOR_TRY(forget_place(*backend));
    if (own.damage->count() > 0) return corrupt(own.damage->latest().back());
    mark = {to_entry_id(copy.last), promise};
  }
  VEXOR_TRY(const auto made, StoreMark::open(place.scratch, mark));
  return sync_all(place.scratch);
}

Result<void> install_copy(const CopyPlace& place) {
  VEXOR_TRY(exchange_directories(place.scratch, place.store));
  std::error_code ignored;
  fs::remove_all(place.scratch, ignored);
  return success();
}

void tidy_up_copy(const CopyPlace& place) {
  std::error_code ignored;
  // The old store, after the exchange; or what a member that is well again does not need.
  const bool is_old_store = noted_damage(place.scratch).has_value();
  if (is_old_store || !noted_damage(place.store)) fs::remove_all(place.scratch, ignored);
}

}  // namespace vexor::replication
