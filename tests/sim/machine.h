// What the simulated servers replicate: a handful of refs, changed by conditional updates.
#pragma once

#include "replication/record.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace vexor::sim {

using replication::EntryId;
using replication::Sequence;
using OperationId = std::uint64_t;

constexpr std::size_t kRefs = 5;
using Refs = std::array<std::uint64_t, kRefs>;  // 0: does not exist

struct RefUpdate {
  std::uint8_t ref = 0;
  std::uint64_t old_value = 0;
  std::uint64_t new_value = 0;
};

// One push: all of it or nothing.
struct Operation {
  OperationId id = 0;
  std::vector<RefUpdate> updates;
  std::optional<replication::Copies> copies{};  // the policy of its repository; none: the record's
};

std::string encode(const Operation& operation);
Operation decode(const std::string& bytes);

bool applicable(const Refs& refs, const Operation& operation);
void update_refs(Refs& refs, const Operation& operation);

struct Machine {
  EntryId at;  // the last entry applied
  Refs refs{};
};

replication::Entry make_entry(replication::Epoch epoch, const EntryId& previous,
                              const Operation& operation);

}  // namespace vexor::sim
