// Random bytes and keyed tags, for frontends. Any thread.
#pragma once

#include <string>

#include "vexorstore/bytes.h"

namespace vexor::sys {

std::string random_bytes(std::size_t count);
// 32 bytes of BLAKE2b keyed with 16 to 64 bytes.
std::string keyed_tag(Bytes key, Bytes message);

}  // namespace vexor::sys
