#include "replication/host/store_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "replication/host/durable_files.h"
#include "replication/host/entry_codec.h"
#include "vexorstore/store_copy.h"

namespace vexor::replication {

namespace {

constexpr std::size_t kSlotBytes = 65;
constexpr std::size_t kSlotPlace = 512;
constexpr std::size_t kChecksumBytes = 8;

void put(std::string& out, std::uint64_t number) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(number >> static_cast<unsigned>(shift)));
}

std::uint64_t take(Bytes bytes, std::size_t at) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < 8; ++i) out = out << 8U | static_cast<unsigned char>(bytes[at + i]);
  return out;
}

struct Slot {
  std::uint64_t generation;
  Mark mark;
};

std::optional<Slot> decode_slot(Bytes bytes) {
  if (bytes.size() < kSlotBytes || bytes[0] != 1) return std::nullopt;
  const Bytes told = bytes.substr(0, kSlotBytes - kChecksumBytes);
  if (digest_of(told).substr(0, kChecksumBytes) != std::string(bytes.substr(told.size(), kChecksumBytes))) return std::nullopt;
  Slot out;
  out.generation = take(bytes, 1);
  out.mark.last = {take(bytes, 9), to_digest(std::string(bytes.substr(17, 32)))};
  out.mark.promise = take(bytes, 49);
  return out;
}

// nullopt: no file.
Result<std::optional<Slot>> read_slots(const std::filesystem::path& store) {
  std::error_code failed;
  const auto file = store / StoreMark::kFileName;
  if (!std::filesystem::exists(file, failed)) return std::optional<Slot>();
  std::ifstream in(file, std::ios::binary);
  std::string bytes(2 * kSlotPlace, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  std::optional<Slot> best;
  for (const std::size_t at : {std::size_t{0}, kSlotPlace}) {
    const auto slot = at < bytes.size() ? decode_slot(Bytes(bytes).substr(at)) : std::nullopt;
    if (slot && (!best || slot->generation > best->generation)) best = slot;
  }
  if (!best) return Error(Errc::kCorrupt, "the mark of the store cannot be read");
  return best;
}

}  // namespace

std::string encode_mark_slot(std::uint64_t generation, const Mark& mark) {
  std::string out(1, '\1');
  put(out, generation);
  put(out, mark.last.sequence);
  out += to_hash(mark.last.hash);
  put(out, mark.promise);
  out += digest_of(out).substr(0, kChecksumBytes);
  return out;
}

Result<std::optional<Mark>> StoreMark::read(const std::filesystem::path& store) {
  VEXOR_TRY(const auto slot, read_slots(store));
  if (!slot) return std::optional<Mark>();
  return std::optional<Mark>(slot->mark);
}

Result<std::unique_ptr<StoreMark>> StoreMark::open(const std::filesystem::path& store, const Mark& first) {
  VEXOR_TRY(auto slot, read_slots(store));
  if (!slot) {
    std::string bytes = encode_mark_slot(1, first);
    bytes.resize(kSlotPlace, '\0');
    bytes += encode_mark_slot(2, first);
    bytes.resize(2 * kSlotPlace, '\0');
    VEXOR_TRY(write_file_durably(store / kFileName, bytes));
    slot = Slot{2, first};
  }
  const int fd = ::open((store / kFileName).c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return Error(Errc::kIo, "the mark of the store cannot be opened");
  return std::unique_ptr<StoreMark>(new StoreMark(fd, slot->generation, slot->mark));
}

StoreMark::~StoreMark() { ::close(fd_); }

Result<void> StoreMark::write(const Mark& mark) {
  const std::lock_guard lock(mutex_);
  last_ = mark;
  return write_slot();
}

Result<void> StoreMark::probe() {
  {
    const std::lock_guard lock(mutex_);
    VEXOR_TRY(write_slot());
  }
  return sync();
}

Result<void> StoreMark::write_slot() {
  const std::string slot = encode_mark_slot(++generation_, last_);
  const auto place = static_cast<off_t>(generation_ % 2 == 0 ? kSlotPlace : 0);
  if (::pwrite(fd_, slot.data(), slot.size(), place) != static_cast<ssize_t>(slot.size())) return Error(Errc::kIo, "the mark of the store cannot be written");
  dirty_ = true;
  return success();
}

Result<void> StoreMark::sync() {
  const std::lock_guard syncing(syncing_);
  {
    const std::lock_guard lock(mutex_);
    if (!dirty_) return success();
    dirty_ = false;
  }
  if (::fdatasync(fd_) != 0) return Error(Errc::kIo, "the mark of the store cannot be synced");
  return success();
}

}  // namespace vexor::replication
