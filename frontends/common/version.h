// The version of this build, as CMakeLists.txt has it.
#pragma once

namespace vexor::frontend {

const char* version();

}  // namespace vexor::frontend
