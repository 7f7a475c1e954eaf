// The note in the directory of a store that must not take part any more (docs/protocol/replication.md, S1).
// Spec: docs/format/mark.md. Threads: any; block on storage.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "vexorstore/result.h"

namespace vexor::replication {

// Durable. Errors: kIo.
Result<void> note_damage(const std::filesystem::path& store, const std::string& reason);
// The reason; nullopt: the store may take part, as far as this goes.
std::optional<std::string> noted_damage(const std::filesystem::path& store);

}  // namespace vexor::replication
