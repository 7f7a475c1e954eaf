// Sets of object numbers in rows. Spec: docs/format/bitmap.md.
#pragma once

#include <roaring/roaring.hh>

#include "base/bytes_io.h"

namespace vexor::store {

// Its length, and Roaring's portable form.
void put_set(std::string& out, const Roaring& set);
// Errors: kCorrupt.
Result<Roaring> read_set(ByteReader& reader);

}  // namespace vexor::store
