// Commands over the history of repositories: undo, restore.
#pragma once

#include "admin/command_call.h"

namespace vexor::frontend {

// {"name", "at"?: a moment, "new_name"?}: without "at" the last deleted repository of that name.
Result<json::object> repo_restore(Call& call);
// {"repository", "ref"}
Result<json::object> ref_undo(Call& call);

}  // namespace vexor::frontend
