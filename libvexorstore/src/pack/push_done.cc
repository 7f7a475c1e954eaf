#include "pack/push_done.h"

#include <unordered_map>

#include "store/journal.h"

namespace vexor::pack {

namespace {

constexpr std::uint64_t kRecordsOfUnknownPushMax = 200'000;  // some minutes at full load

// `encoded`: empty, or a row of a ref.
Result<bool> names_object(HashAlgorithm algorithm, const std::string& encoded, const ObjectId& id) {
  if (encoded.empty()) return id.is_null();
  VEXOR_TRY(const format::RefRow row, format::decode_ref_row(algorithm, encoded));
  return row.symref_target.empty() && row.id == id;
}

}  // namespace

Result<DoneUpdates> find_done_updates(store::StoreCore& core, const store::RepositoryRow& repository, const Actor& actor, std::uint64_t after,
                                      const std::vector<RefCommand>& commands) {
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  VEXOR_TRY(const std::uint64_t last, store::applied_sequence(*snapshot));
  if (last > after && last - after > kRecordsOfUnknownPushMax) {
    return Error(Errc::kIndeterminate, "too many changes since to tell whether this push was stored; fetch to see");
  }
  std::unordered_map<std::string, const RefCommand*> by_name;
  for (const RefCommand& command : commands) by_name.emplace(command.name, &command);
  DoneUpdates out;
  for (std::uint64_t sequence = after + 1; sequence <= last; ++sequence) {
    VEXOR_TRY(const format::JournalRecord record, store::read_journal_record(*snapshot, sequence));
    if (record.kind != format::OperationKind::kRefTransaction || record.repository != repository.number || record.actor != actor.account) continue;
    for (const format::RefChange& change : record.refs) {
      const auto found = by_name.find(change.name);
      if (found == by_name.end()) continue;
      VEXOR_TRY(const bool same_old, names_object(repository.algorithm, change.old_row, found->second->old_id));
      VEXOR_TRY(const bool same_new, names_object(repository.algorithm, change.new_row, found->second->new_id));
      if (same_old && same_new) out.add(change.name, sequence);
    }
  }
  return out;
}

}  // namespace vexor::pack
