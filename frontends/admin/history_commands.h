// Commands over the history of repositories: undo, restore, what the journal says.
#pragma once

#include "admin/command_call.h"

namespace vexor::frontend {

// {"name", "at"?: a moment, "new_name"?}: without "at" the last deleted repository of that name.
Result<json::object> repo_restore(Call& call);
// {"repository", "ref"}
Result<json::object> ref_undo(Call& call);
// {"after"?: sequence, "count"?}: records of the journal, the last ones without "after".
Result<json::object> journal(Call& call);

}  // namespace vexor::frontend
