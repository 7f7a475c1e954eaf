#include "pack/entry_reader.h"

#include "base/check.h"
#include "compress/zlib_stream.h"
#include "format/delta.h"

namespace vexor::pack {

namespace {
constexpr std::size_t kRoomBytesMax = 1U << 20U;  // kept from one entry to the next
}

Result<void> EntryReader::inflate(std::uint32_t entry, std::string& out) {
  const PushEntry& e = entries_[entry];
  if (e.entry_bytes > limits_.delta_object_bytes_max) {
    return Error(Errc::kLimitExceeded, "object too large to be held in memory");
  }
  if (out.capacity() > kRoomBytesMax) std::string().swap(out);
  VEXOR_TRY(const Bytes raw, spool_.read(e.spool_offset, static_cast<std::size_t>(e.payload_bytes), room_));
  auto done = compress::inflate_exact(raw, e.entry_bytes, out);
  if (room_.capacity() > kRoomBytesMax) std::string().swap(room_);
  return done;
}

Result<std::shared_ptr<const std::string>> EntryReader::read(std::uint32_t entry) {
  std::vector<std::uint32_t> chain;
  std::shared_ptr<const std::string> content = cache_.find(entry);
  std::uint32_t at = entry;
  while (!content) {
    const PushEntry& e = entries_[at];
    if (!e.is_delta) {
      std::string whole;
      VEXOR_TRY(inflate(at, whole));
      made_bytes_ += whole.size();
      content = std::make_shared<const std::string>(std::move(whole));
      cache_.insert(at, content);
      break;
    }
    chain.push_back(at);
    if (e.base_entry == kNoEntry) {
      VEXOR_CHECK(e.base_number != kNoObject);
      VEXOR_TRY(content, stored_.read(e.base_number));
      break;
    }
    at = e.base_entry;
    content = cache_.find(at);
  }
  std::string delta;
  while (!chain.empty()) {
    VEXOR_TRY(inflate(chain.back(), delta));
    std::string result;
    VEXOR_TRY(format::apply_delta(*content, delta, limits_.delta_object_bytes_max, result));
    made_bytes_ += result.size();
    content = std::make_shared<const std::string>(std::move(result));
    cache_.insert(chain.back(), content);
    chain.pop_back();
  }
  return content;
}

}  // namespace vexor::pack
