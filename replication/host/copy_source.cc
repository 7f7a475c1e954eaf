#include "replication/host/copy_source.h"

#include <algorithm>
#include <fstream>

#include "vexorstore/store_copy.h"
#include "vexorstore/sys/random.h"

namespace vexor::replication {

namespace fs = std::filesystem;

CopySource::CopySource(Store& store, fs::path directory) : store_(store), directory_(std::move(directory)) {
  std::uint64_t drawn = 0;  // an id of another process must not name a checkpoint of this one
  for (const char octet : sys::random_bytes(8)) drawn = drawn << 8U | static_cast<unsigned char>(octet);
  last_id_ = drawn;
  remove();
}

CopySource::~CopySource() { remove(); }

void CopySource::remove() {
  open_.reset();
  std::error_code ignored;
  if (!directory_.empty()) fs::remove_all(directory_, ignored);
}

Result<CopyOffer> CopySource::open(NodeId member, const EntryId& at, Epoch epoch, Millis now) {
  const std::lock_guard lock(mutex_);
  if (directory_.empty()) return Error(Errc::kUnavailable, "this member gives no copies");
  if (open_ && open_->member != member) return Error(Errc::kUnavailable, "another member takes a copy");
  remove();
  VEXOR_TRY(store_.checkpoint(directory_));
  Open made{member, {++last_id_, epoch, at, {}}, now};
  std::error_code failed;
  for (const auto& file : fs::directory_iterator(directory_, failed)) {
    made.offer.files.push_back({file.path().filename().string(), file.file_size(failed)});
  }
  if (failed) return Error(Errc::kIo, "cannot list a checkpoint: " + failed.message());
  std::sort(made.offer.files.begin(), made.offer.files.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  VEXOR_TRY(check_offer(made.offer));
  open_ = made;
  return made.offer;
}

Result<std::string> CopySource::read(NodeId member, std::uint64_t id, const std::string& name, std::uint64_t offset, Millis now) {
  const std::lock_guard lock(mutex_);
  if (!open_ || open_->member != member || open_->offer.id != id) return Error(Errc::kNotFound, "no such copy");
  const auto& files = open_->offer.files;
  const auto found = std::find_if(files.begin(), files.end(), [&](const CopyFile& file) { return file.name == name; });
  if (found == files.end()) return Error(Errc::kNotFound, "no such file of the copy");
  open_->read_at = now;
  if (offset >= found->bytes) return std::string();
  std::string piece(std::min<std::uint64_t>(kCopyPieceBytesMax, found->bytes - offset), '\0');
  std::ifstream in(directory_ / name, std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset));
  in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
  if (!in) return Error(Errc::kIo, "a file of a checkpoint cannot be read");
  return piece;
}

void CopySource::close(NodeId member, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  if (open_ && open_->member == member && open_->offer.id == id) remove();
}

bool CopySource::has_expired(Millis now) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  return lock && open_ && now - open_->read_at > kCopyIdleMs;
}

void CopySource::expire(Millis now) {
  const std::lock_guard lock(mutex_);
  if (open_ && now - open_->read_at > kCopyIdleMs) remove();
}

}  // namespace vexor::replication
