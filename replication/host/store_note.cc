#include "replication/host/store_note.h"

#include <fstream>

#include "replication/host/durable_files.h"

namespace vexor::replication {

namespace {

constexpr const char* kFileName = "vexor-damaged";

}  // namespace

Result<void> note_damage(const std::filesystem::path& store, const std::string& reason) {
  std::error_code failed;
  std::filesystem::create_directories(store, failed);
  return write_file_durably(store / kFileName, reason + "\n");
}

std::optional<std::string> noted_damage(const std::filesystem::path& store) {
  std::error_code ignored;
  if (!std::filesystem::exists(store / kFileName, ignored)) return std::nullopt;
  std::ifstream in(store / kFileName);
  std::string line;
  std::getline(in, line);
  return line;
}

}  // namespace vexor::replication
