// "vexorctl archive drill": restores a sample of a store's repositories from a checkpoint of it, and compares.
#pragma once

#include "admin/ctl_client.h"
#include "vexorstore/drill.h"

namespace vexor::frontend {

struct DrillArguments {
  std::filesystem::path scratch;  // must not exist; takes the checkpoint and what is restored, and is removed at the end
  DrillOptions options;
};

// Has `client` write the checkpoint, so that a store in use and one at rest go the same way. Calls print(line) for each
// repository. Errors: kInvalidArgument (the scratch directory exists), those of the checkpoint, kIo, kCorrupt.
Result<DrillReport> archive_drill(CtlClient& client, const DrillArguments& args, const std::function<void(const std::string&)>& print);

}  // namespace vexor::frontend
