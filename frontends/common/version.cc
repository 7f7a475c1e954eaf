#include "common/version.h"

namespace vexor::frontend {

const char* version() { return VEXOR_VERSION; }

}  // namespace vexor::frontend
