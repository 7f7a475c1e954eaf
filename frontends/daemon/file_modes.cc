#include "daemon/file_modes.h"

#include <sys/stat.h>
#include <vector>

namespace vexor::frontend {

namespace fs = std::filesystem;

namespace {
constexpr fs::perms kPassage = fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec;
}  // namespace

void close_new_files() { ::umask(S_IRWXG | S_IRWXO); }

Result<void> make_data_directory(const ServerConfig& config) {
  std::error_code failed;
  const fs::path directory = fs::absolute(config.data, failed).lexically_normal();
  std::vector<fs::path> made;
  for (fs::path above = directory.parent_path(); !failed && above != above.parent_path() && !fs::exists(above, failed); above = above.parent_path()) made.push_back(above);
  if (!failed) fs::create_directories(directory / "tmp", failed);
  if (failed) return Error(Errc::kIo, "cannot make the data directory: " + failed.message());
  fs::permissions(directory, config.admin.shell_uid ? kPassage : fs::perms::owner_all, failed);
  if (!config.admin.shell_uid) return success();
  for (const fs::path& above : made) fs::permissions(above, kPassage, failed);
  return success();
}

void close_data(const ServerConfig& config) {
  for (const char* closed : {"store", "tmp", "copy-in", "copy-out"}) {
    std::error_code ignored;  // it may not be there
    fs::permissions(fs::path(config.data) / closed, fs::perms::owner_all, ignored);
  }
}

}  // namespace vexor::frontend
