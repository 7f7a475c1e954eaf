// Checks of .gitmodules: what a client that checks out submodules would run or write by its word.
// Spec: git's fsck-msgids (gitmodulesName, gitmodulesUrl, gitmodulesPath, gitmodulesUpdate), git-config.
#pragma once

#include <optional>
#include <string>

#include "vexorstore/bytes.h"

namespace vexor::format {

struct GitmodulesFinding {
  std::string_view id;  // of git's message
  std::string detail;
};

// Whether a tree entry of this name is taken for .gitmodules on some file system.
bool is_dot_gitmodules(Bytes name);
// The first finding, if any. A file that does not parse is taken as far as it does: git stops there too.
std::optional<GitmodulesFinding> check_gitmodules(Bytes content);

}  // namespace vexor::format
