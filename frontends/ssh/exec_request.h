// The command of an SSH exec request: git-upload-pack 'OWNER/NAME.git' and the like.
#pragma once

#include <optional>

#include "common/service.h"

namespace vexor::frontend {

// nullopt: not a Git command that is served here. The path may be quoted as sh would, may begin
// with '/' and may end in ".git".
std::optional<GitRequest> parse_exec_request(std::string_view command);

}  // namespace vexor::frontend
