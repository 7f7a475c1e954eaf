#include "sim/machine.h"

namespace vexor::sim {
namespace {

void put(std::string& out, std::uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

std::uint64_t get(const std::string& bytes, std::size_t& at) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 8)
    value |= std::uint64_t{static_cast<std::uint8_t>(bytes[at++])} << shift;
  return value;
}

std::uint64_t mixed(std::uint64_t hash, std::uint64_t value) {
  hash = (hash ^ value) * 0xBF58476D1CE4E5B9ULL;
  return hash ^ hash >> 29;
}

}  // namespace

std::string encode(const Operation& operation) {
  std::string out;
  put(out, operation.id);
  put(out, operation.copies ? 1 + static_cast<std::uint64_t>(*operation.copies) : 0);
  for (const RefUpdate& update : operation.updates) {
    put(out, update.ref);
    put(out, update.old_value);
    put(out, update.new_value);
  }
  return out;
}

Operation decode(const std::string& bytes) {
  std::size_t at = 0;
  Operation operation;
  operation.id = get(bytes, at);
  if (const std::uint64_t copies = get(bytes, at); copies > 0) operation.copies = static_cast<replication::Copies>(copies - 1);
  while (at < bytes.size()) {
    RefUpdate update;
    update.ref = static_cast<std::uint8_t>(get(bytes, at));
    update.old_value = get(bytes, at);
    update.new_value = get(bytes, at);
    operation.updates.push_back(update);
  }
  return operation;
}

bool applicable(const Refs& refs, const Operation& operation) {
  for (const RefUpdate& update : operation.updates)
    if (refs[update.ref] != update.old_value) return false;
  return true;
}

void update_refs(Refs& refs, const Operation& operation) {
  for (const RefUpdate& update : operation.updates) refs[update.ref] = update.new_value;
}

replication::Entry make_entry(replication::Epoch epoch, const EntryId& previous,
                              const Operation& operation) {
  replication::Entry entry;
  entry.epoch = epoch;
  entry.id.sequence = previous.sequence + 1;
  entry.previous_hash = previous.hash;
  entry.bytes = std::make_shared<const std::string>(encode(operation));
  std::uint64_t hash = mixed(mixed(1, epoch), entry.id.sequence);
  for (const std::uint8_t octet : previous.hash) hash = mixed(hash, octet);
  std::size_t at = 0;
  while (at < entry.bytes->size()) hash = mixed(hash, get(*entry.bytes, at));
  for (std::size_t i = 0; i < 8; ++i) entry.id.hash[i] = static_cast<std::uint8_t>(hash >> 8 * i);
  return entry;
}

}  // namespace vexor::sim
