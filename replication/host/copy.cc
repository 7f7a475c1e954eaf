#include "replication/host/copy.h"

#include <algorithm>
#include <cctype>
#include <set>

namespace vexor::replication {

namespace {

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= kCopyNameBytesMax && name.front() != '.' && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-');
  });
}

}  // namespace

Result<void> check_offer(const CopyOffer& offer) {
  if (offer.files.empty() || offer.files.size() > kCopyFilesMax) return Error(Errc::kProtocol, "a copy of no or too many files");
  std::uint64_t bytes = 0;
  std::set<std::string> names;
  for (const CopyFile& file : offer.files) {
    if (!is_name(file.name)) return Error(Errc::kProtocol, "a copy with a file whose name is none");
    if (!names.insert(file.name).second) return Error(Errc::kProtocol, "a copy with two files of one name");
    if (file.bytes > kCopyBytesMax || bytes + file.bytes > kCopyBytesMax) return Error(Errc::kProtocol, "a copy that is too large");
    bytes += file.bytes;
  }
  return success();
}

}  // namespace vexor::replication
