// Object types, as numbered in pack entry headers (gitformat-pack, "Object types").
#pragma once

#include <optional>

#include "vexorstore/object_id.h"

namespace vexor {

enum class ObjectType : std::uint8_t { kCommit = 1, kTree = 2, kBlob = 3, kTag = 4 };

// "commit", "tree", "blob", "tag".
std::string_view object_type_name(ObjectType type);
std::optional<ObjectType> parse_object_type(std::string_view name);

}  // namespace vexor
