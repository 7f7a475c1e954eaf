#include "admin/history_commands.h"

#include "admin/time_text.h"
#include "vexorstore/history.h"

namespace vexor::frontend {

namespace {
constexpr std::size_t kJournalEntriesMax = 1000;  // of one answer
}  // namespace

Result<json::object> repo_restore(Call& call) {
  VEXOR_TRY(const std::string name, call.args.text("name"));
  VEXOR_TRY(const auto at, call.args.optional_text("at"));
  VEXOR_TRY(const auto new_name, call.args.optional_text("new_name"));
  VEXOR_TRY(call.args.end());
  if (!at) {
    if (new_name) return Error(Errc::kInvalidArgument, "restoring under another name needs a moment: --at");
    VEXOR_TRY(call.store.restore_repository(name, call.actor, &call.receipt));
    return message("restored " + name);
  }
  VEXOR_TRY(const Moment moment, find_moment(call.store, *at));
  VEXOR_TRY(const RestoreOutcome done, restore_repository_at(call.store, name, moment.sequence, new_name.value_or(""), call.actor));
  call.receipt = done.receipt;
  const std::string as_of = " as of journal sequence " + std::to_string(moment.sequence);
  json::object answer = message(done.sequence == 0 ? name + " has all refs" + as_of + " already"
                                                   : "restored " + name + (new_name ? " as " + *new_name : "") + as_of + ": " + std::to_string(done.changed_refs) + " refs changed");
  answer["as_of"] = moment.sequence;
  answer["as_of_time_ms"] = moment.time_ms;
  answer["sequence"] = done.sequence;
  answer["changed_refs"] = done.changed_refs;
  return answer;
}

Result<json::object> ref_undo(Call& call) {
  VEXOR_TRY(const std::string repository, call.args.text("repository"));
  VEXOR_TRY(const std::string ref, call.args.text("ref"));
  VEXOR_TRY(call.args.end());
  const std::string name = full_ref_name(ref);
  VEXOR_TRY(const UndoOutcome done, undo_ref(call.store, repository, name, call.actor));
  call.receipt = done.receipt;
  json::object answer = message(done.to.is_null() ? name + " is what it was" : name + " is " + done.to.hex() + " again");
  answer["from"] = done.from.hex();
  answer["to"] = done.to.hex();
  answer["sequence"] = done.sequence;
  return answer;
}

Result<json::object> journal(Call& call) {
  VEXOR_TRY(const auto after, call.args.number("after"));
  VEXOR_TRY(const auto count, call.args.number("count"));
  VEXOR_TRY(call.args.end());
  const std::size_t wanted = std::min<std::size_t>(count.value_or(kJournalEntriesMax), kJournalEntriesMax);
  const JournalSequence last = call.store.last_sequence();
  VEXOR_TRY(const auto entries, read_journal(call.store, after.value_or(last - std::min<JournalSequence>(last, wanted)), wanted));
  json::array rows;
  for (const JournalEntry& entry : entries) {
    json::array refs;
    for (const auto& ref : entry.refs) refs.emplace_back(ref.name + " " + ref.old_id.hex() + " " + ref.new_id.hex());
    if (entry.ref_count > entry.refs.size() && !entry.refs.empty()) refs.emplace_back("and " + std::to_string(entry.ref_count - entry.refs.size()) + " more");
    rows.push_back(json::object{{"sequence", entry.sequence}, {"time", time_text(entry.time_ms)}, {"time_ms", entry.time_ms}, {"user", entry.actor.empty() ? "(operator)" : entry.actor},
                                {"operation", entry.operation}, {"repository", entry.repository}, {"subject", entry.subject},
                                {"new_objects", entry.new_objects}, {"refs", std::move(refs)}});
  }
  return json::object{{"rows", std::move(rows)}};
}

}  // namespace vexor::frontend
