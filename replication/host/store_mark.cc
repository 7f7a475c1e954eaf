#include "replication/host/store_mark.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>

#include "replication/host/durable_files.h"
#include "replication/host/entry_codec.h"
#include "vexorstore/store_copy.h"
#include "vexorstore/sys/random.h"

namespace vexor::replication {

namespace {

constexpr std::size_t kSlotBytes = 65;
constexpr std::size_t kSlotPlace = 512;
constexpr std::size_t kNameBytes = 17;
constexpr std::size_t kNamePlace = 2 * kSlotPlace;
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

// 0: none, or none that can be read.
StoreName decode_name(Bytes bytes) {
  if (bytes.size() < kNameBytes) return 0;
  const StoreName name = take(bytes, 1);
  return bytes.substr(0, kNameBytes) == encode_store_name(name) ? name : 0;
}

StoreName draw_name() {
  StoreName out = 0;
  while (out == 0) out = take(sys::random_bytes(sizeof out), 0);
  return out;
}

struct MarkFile {
  Slot slot;
  StoreName name = 0;
};

// nullopt: no file.
Result<std::optional<MarkFile>> read_file(const std::filesystem::path& store) {
  std::error_code failed;
  const auto file = store / StoreMark::kFileName;
  if (!std::filesystem::exists(file, failed)) return std::optional<MarkFile>();
  std::ifstream in(file, std::ios::binary);
  std::string bytes(kNamePlace + kNameBytes, '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  std::optional<Slot> best;
  for (const std::size_t at : {std::size_t{0}, kSlotPlace}) {
    const auto slot = at < bytes.size() ? decode_slot(Bytes(bytes).substr(at)) : std::nullopt;
    if (slot && (!best || slot->generation > best->generation)) best = slot;
  }
  if (!best) return Error(Errc::kCorrupt, "the mark of the store cannot be read");
  return std::optional(MarkFile{*best, bytes.size() > kNamePlace ? decode_name(Bytes(bytes).substr(kNamePlace)) : 0});
}

}  // namespace

std::string encode_store_name(StoreName name) {
  std::string out(1, '\1');
  put(out, name);
  out += digest_of(out).substr(0, kChecksumBytes);
  return out;
}

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
  VEXOR_TRY(const auto there, read_file(store));
  if (!there) return std::optional<Mark>();
  return std::optional<Mark>(there->slot.mark);
}

Result<std::unique_ptr<StoreMark>> StoreMark::open(const std::filesystem::path& store, const Mark& first, StoreName name) {
  VEXOR_TRY(auto there, read_file(store));
  if (name == 0) name = draw_name();
  if (!there) {
    std::string bytes = encode_mark_slot(1, first);
    bytes.resize(kSlotPlace, '\0');
    bytes += encode_mark_slot(2, first);
    bytes.resize(kNamePlace, '\0');
    bytes += encode_store_name(name);
    VEXOR_TRY(write_file_durably(store / kFileName, bytes));
    there = MarkFile{{2, first}, name};
  }
  const int fd = ::open((store / kFileName).c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return Error(Errc::kIo, "the mark of the store cannot be opened");
  std::unique_ptr<StoreMark> out(new StoreMark(fd, there->name, there->slot.generation, there->slot.mark));
  if (there->name == 0) {
    VEXOR_TRY(out->write_name(name));
  }
  return out;
}

Result<void> StoreMark::write_name(StoreName name) {
  const std::string slot = encode_store_name(name);
  const bool is_written = ::pwrite(fd_, slot.data(), slot.size(), kNamePlace) == static_cast<ssize_t>(slot.size()) && ::fdatasync(fd_) == 0;
  if (!is_written) return Error(Errc::kIo, "the name of the store cannot be written");
  name_ = name;
  return success();
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
