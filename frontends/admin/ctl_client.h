// How vexorctl reaches a store: a running server through its admin socket, or the data directory
// itself when no server has it open. One request at a time; all block.
#pragma once

#include <filesystem>
#include <memory>

#include "admin/commands.h"

namespace vexor::frontend {

// What became of a push of a bundle.
struct ImportOutcome {
  std::string refused;   // a line for each ref that was; empty: none
  json::object receipt;  // as of an answer, of those that were not; empty: none was told
};

class CtlClient {
 public:
  virtual ~CtlClient() = default;
  virtual Result<json::object> run(const json::object& request, const ProgressSink& progress) = 0;
  // Feeds `bundle` (its header has been read: `refs` are "ID NAME" lines) to the repository as one
  // push. Errors: that nothing of it was taken.
  virtual Result<ImportOutcome> import(const std::string& repository, const std::string& push_head, int pack, const ProgressSink& progress) = 0;
  virtual Result<void> export_bundle(const std::string& repository, int output) = 0;
};

Result<std::unique_ptr<CtlClient>> open_socket_client(const std::filesystem::path& socket);
// `may_create`: makes the store if there is none. What this process writes from now on is for its user only.
// Errors: kNotFound (there is none), kRefused (it is another user's), kUnavailable (another process has it open).
Result<std::unique_ptr<CtlClient>> open_offline_client(const std::filesystem::path& data, bool may_create);

}  // namespace vexor::frontend
