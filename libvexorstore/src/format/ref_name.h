// Ref names and patterns of them. Spec: git-check-ref-format.
#pragma once

#include "vexorstore/bytes.h"

namespace vexor::format {

// A full name ("HEAD" or one with a '/'), at most kRefNameBytesMax bytes.
bool is_valid_ref_name(Bytes name);
// A pattern is an exact name, a prefix ending in '/', or holds '*', which stands for any bytes.
bool ref_pattern_matches(Bytes pattern, Bytes name);

}  // namespace vexor::format
