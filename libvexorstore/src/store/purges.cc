// Requests of purges, their approval, and what is told of them.
#include "vexorstore/purge.h"

#include <algorithm>

#include "store/journal.h"
#include "store/purges.h"

namespace vexor {

using format::OperationKind;
using format::PurgeReportRow;
using format::PurgeRow;
using format::PurgeState;
using store::RepositoryRow;
using store::StoreCore;
using sys::Family;

namespace store {

Result<std::vector<PurgeRow>> read_purges(const sys::StorageSnapshot& snapshot) {
  std::vector<PurgeRow> out;
  const auto cursor = snapshot.cursor(Family::kRepositories);
  for (cursor->seek("p"); cursor->valid() && cursor->key()[0] == 'p'; cursor->next()) {
    VEXOR_TRY(PurgeRow row, format::decode_purge_row(cursor->value()));
    out.push_back(std::move(row));
  }
  VEXOR_TRY(cursor->status());
  return out;
}

Result<std::optional<PurgeReportRow>> read_purge_report(const sys::StorageSnapshot& snapshot, Family family, const std::string& key) {
  VEXOR_TRY(const auto row, snapshot.get(family, key));
  if (!row) return std::optional<PurgeReportRow>();
  VEXOR_TRY(const PurgeReportRow decoded, format::decode_purge_report_row(row->bytes()));
  return std::optional<PurgeReportRow>(decoded);
}

}  // namespace store

namespace {

std::string text_of(std::uint64_t request) { return "purge " + std::to_string(request); }

Result<PurgeRow> must_find(const sys::StorageSnapshot& snapshot, std::uint64_t request) {
  VEXOR_TRY(const auto row, snapshot.get(Family::kRepositories, format::purge_key(request)));
  if (!row) return Error(Errc::kNotFound, text_of(request) + ": no such request");
  return format::decode_purge_row(row->bytes());
}

Result<void> check_person(const PurgePolicy& policy, const Actor& actor) {
  if (policy.persons.size() < 2) return Error(Errc::kRefused, "purging takes two persons, and the configuration does not name two: purge.persons");
  const bool named = actor.account != 0 && std::find(policy.persons.begin(), policy.persons.end(), actor.name) != policy.persons.end();
  if (!named) return Error(Errc::kRefused, actor.name + " is not one of the persons who may purge");
  return success();
}

// Who asked must still be one of them when another approves.
Result<void> check_asker(Store& store, const PurgePolicy& policy, const PurgeRow& row) {
  VEXOR_TRY(const auto account, store.find_account(row.requested_name));
  const bool is_other = account && (account->disabled || account->id != row.requested_by);
  if (!is_other && std::find(policy.persons.begin(), policy.persons.end(), row.requested_name) != policy.persons.end()) return success();
  return Error(Errc::kRefused, row.requested_name + ", who asked for " + text_of(row.request) + ", may not purge any more");
}

Result<void> check_reason(const std::string& reason) {
  const bool has_control = std::any_of(reason.begin(), reason.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (reason.find_first_not_of(' ') == std::string::npos) return Error(Errc::kInvalidArgument, "a purge needs a reason");
  if (has_control) return Error(Errc::kInvalidArgument, "a reason is one line of text");
  if (reason.size() > kPurgeReasonBytesMax) return Error(Errc::kLimitExceeded, "a reason of " + std::to_string(reason.size()) + " bytes over " + std::to_string(kPurgeReasonBytesMax));
  return success();
}

PurgeStatus status_of(const PurgeRow& row, std::int64_t now_ms) {
  switch (row.state) {
    case PurgeState::kOpen: break;
    case PurgeState::kApproved: return PurgeStatus::kApproved;
    case PurgeState::kWithdrawn: return PurgeStatus::kWithdrawn;
    case PurgeState::kRefused: return PurgeStatus::kRefused;
  }
  return now_ms >= row.expires_ms ? PurgeStatus::kExpired : PurgeStatus::kOpen;
}

Result<void> check_open(const PurgeRow& row, std::int64_t now_ms) {
  const PurgeStatus status = status_of(row, now_ms);
  if (status == PurgeStatus::kOpen) return success();
  const std::string text = text_of(row.request) + " is " + std::string(purge_status_name(status));
  if (status == PurgeStatus::kExpired) return Error(Errc::kRefused, text + ": ask again");
  return Error(Errc::kConflict, text + " already");
}

PurgeReport report_of(std::uint64_t member, const PurgeReportRow& row) { return {member, row.began_ms, row.ended_ms, row.journal_records, row.compacted_bytes}; }
PurgeReportRow row_of(const PurgeReport& report) { return {report.began_ms, report.ended_ms, report.journal_records, report.compacted_bytes}; }

Result<std::vector<PurgeReport>> reports_of(const sys::StorageSnapshot& snapshot, std::uint64_t request) {
  std::vector<PurgeReport> out;
  const std::string prefix = "q" + format::pool_key(request);
  const auto cursor = snapshot.cursor(Family::kRepositories);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    ByteReader member(cursor->key().substr(prefix.size()));
    VEXOR_TRY(const std::uint64_t number, member.u64be());
    VEXOR_TRY(const PurgeReportRow row, format::decode_purge_report_row(cursor->value()));
    out.push_back(report_of(number, row));
  }
  VEXOR_TRY(cursor->status());
  return out;
}

Result<PurgeInfo> to_info(StoreCore& core, const sys::StorageSnapshot& snapshot, const PurgeRow& row) {
  PurgeInfo out{row.request, row.repository, row.name, row.reason, status_of(row, core.clock.wall_time_ms()), row.requested_name, row.requested_ms, row.expires_ms,
                row.decided_name, row.decided_ms, row.keeps_objects, row.erased_rows, false, {}};
  VEXOR_TRY(const auto done, store::read_purge_report(snapshot, Family::kMeta, format::purge_done_key(row.request)));
  out.is_done_here = done.has_value();
  VEXOR_TRY(out.reports, reports_of(snapshot, row.request));
  return out;
}

Result<PurgeInfo> submit_row(StoreCore& core, store::Change change, const PurgeRow& row, Receipt* receipt) {
  store::put_row(change, Family::kRepositories, format::purge_key(row.request), format::encode_purge_row(row));
  VEXOR_TRY(store::submit_named(core, std::move(change), text_of(row.request), receipt));
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  return to_info(core, *snapshot, row);
}

void expect_request(store::Change& change, const PurgeRow& row) {
  change.preconditions.push_back({Family::kRepositories, format::purge_key(row.request), format::encode_purge_row(row)});
}

Result<std::uint64_t> rows_in(const sys::StorageSnapshot& snapshot, const std::vector<format::RangeErasure>& erasures) {
  std::uint64_t out = 0;
  for (const format::RangeErasure& range : erasures) {
    const auto cursor = snapshot.cursor(range.family);
    for (cursor->seek(range.first); cursor->valid() && cursor->key() < Bytes(range.end); cursor->next()) ++out;
    VEXOR_TRY(cursor->status());
  }
  return out;
}

void decide(PurgeRow& row, PurgeState state, const Actor& actor, std::int64_t now_ms) {
  row.state = state;
  row.decided_by = actor.account;
  row.decided_name = actor.name;
  row.decided_ms = now_ms;
}

}  // namespace

std::string_view purge_status_name(PurgeStatus status) {
  switch (status) {
    case PurgeStatus::kOpen: return "open";
    case PurgeStatus::kExpired: return "expired";
    case PurgeStatus::kWithdrawn: return "withdrawn";
    case PurgeStatus::kRefused: return "refused";
    case PurgeStatus::kApproved: return "approved";
  }
  return "unknown";
}

Result<PurgeInfo> request_purge(Store& store, const PurgePolicy& policy, const std::string& name, const std::string& reason, const Actor& actor, Receipt* receipt) {
  StoreCore& core = store.core();
  VEXOR_TRY(check_person(policy, actor));
  VEXOR_TRY(check_reason(reason));
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  VEXOR_TRY(const RepositoryRow repository, store::find_deleted(*snapshot, name));
  const std::int64_t now_ms = core.clock.wall_time_ms();
  VEXOR_TRY(const auto purges, store::read_purges(*snapshot));
  std::size_t open = 0;
  for (const PurgeRow& other : purges) {
    if (status_of(other, now_ms) != PurgeStatus::kOpen) continue;
    if (other.repository == repository.number) return Error(Errc::kConflict, name + ": " + text_of(other.request) + " is open already");
    if (++open >= kOpenPurgesMax) return Error(Errc::kLimitExceeded, std::to_string(open) + " purges are open");
  }
  PurgeRow row;
  row.request = core.next_id();
  row.repository = repository.number;
  row.pool = repository.pool;
  row.deleted_ms = repository.deleted_at_ms;
  row.name = name;
  row.reason = reason;
  row.requested_by = actor.account;
  row.requested_name = actor.name;
  row.requested_ms = now_ms;
  row.expires_ms = now_ms + static_cast<std::int64_t>(policy.request_seconds) * 1000;
  store::Change change = store::begin_change(OperationKind::kPurgeRequest, actor, 0, text_of(row.request) + " of " + name + " asked for: " + reason);
  store::expect_row(change, repository);
  change.preconditions.push_back({Family::kRepositories, format::purge_key(row.request), std::nullopt});
  store::put_row(change, Family::kRepositories, "i", format::pool_key(row.request + 1));
  return submit_row(core, std::move(change), row, receipt);
}

Result<PurgeInfo> approve_purge(Store& store, const PurgePolicy& policy, std::uint64_t request, const Actor& actor, Receipt* receipt) {
  StoreCore& core = store.core();
  VEXOR_TRY(check_person(policy, actor));
  VEXOR_TRY(const auto first_look, core.backend->snapshot());
  VEXOR_TRY(const PurgeRow asked, must_find(*first_look, request));
  // Nobody makes a fork, or restores one, between the look at who uses the pool and the commit.
  const store::PoolGate::Pass pass(core.gate(asked.pool), true);
  if (!core.committer->wait_applied()) {  // also one whose outcome nobody knew in time
    return Error(Errc::kUnavailable, text_of(request) + ": changes that came before are not committed yet, and one of them may need the objects; try again");
  }
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  VEXOR_TRY(PurgeRow row, must_find(*snapshot, request));
  const std::int64_t now_ms = core.clock.wall_time_ms();
  VEXOR_TRY(check_open(row, now_ms));
  if (row.requested_by == actor.account) return Error(Errc::kRefused, text_of(request) + " was asked for by " + actor.name + ": another person must approve it");
  VEXOR_TRY(check_asker(store, policy, row));
  VEXOR_TRY(const auto stored, snapshot->get(Family::kRepositories, "r" + format::pool_key(row.repository)));
  if (!stored) return Error(Errc::kConflict, row.name + " is gone already");
  VEXOR_TRY(const RepositoryRow repository, format::decode_repository_row(stored->bytes()));
  if (repository.deleted_at_ms == 0 || repository.deleted_at_ms != row.deleted_ms) return Error(Errc::kConflict, row.name + " was restored since it was asked to be purged");
  store::Change change = store::begin_change(OperationKind::kRepositoryPurge, actor, row.repository, text_of(request) + " of " + row.name + " approved");
  expect_request(change, row);
  VEXOR_TRY(row.keeps_objects, store::is_pool_shared(*snapshot, repository));
  store::erase_repository(change, repository, row.keeps_objects);
  VEXOR_TRY(row.erased_rows, rows_in(*snapshot, change.record.erasures));
  decide(row, PurgeState::kApproved, actor, now_ms);
  // The records that raised the counter may be purged ones: no number is given out again.
  store::put_row(change, Family::kRepositories, "i", format::pool_key(row.request + 1));
  return submit_row(core, std::move(change), row, receipt);
}

Result<PurgeInfo> close_purge(Store& store, const PurgePolicy& policy, std::uint64_t request, const Actor& actor, Receipt* receipt) {
  StoreCore& core = store.core();
  VEXOR_TRY(check_person(policy, actor));
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  VEXOR_TRY(PurgeRow row, must_find(*snapshot, request));
  const std::int64_t now_ms = core.clock.wall_time_ms();
  VEXOR_TRY(check_open(row, now_ms));
  const bool is_own = row.requested_by == actor.account;
  store::Change change = store::begin_change(OperationKind::kPurgeRequest, actor, 0, text_of(request) + " of " + row.name + (is_own ? " withdrawn" : " refused"));
  expect_request(change, row);
  decide(row, is_own ? PurgeState::kWithdrawn : PurgeState::kRefused, actor, now_ms);
  return submit_row(core, std::move(change), row, receipt);
}

Result<std::vector<PurgeInfo>> list_purges(Store& store) {
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  VEXOR_TRY(const auto rows, store::read_purges(*snapshot));
  std::vector<PurgeInfo> out;
  for (const PurgeRow& row : rows) {
    VEXOR_TRY(PurgeInfo info, to_info(store.core(), *snapshot, row));
    out.push_back(std::move(info));
  }
  return out;
}

Result<PurgeInfo> find_purge(Store& store, std::uint64_t request) {
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  VEXOR_TRY(const PurgeRow row, must_find(*snapshot, request));
  return to_info(store.core(), *snapshot, row);
}

Result<std::vector<PurgeRecord>> purge_records(Store& store, std::uint64_t request) {
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  VEXOR_TRY(const std::uint64_t last, store::applied_sequence(*snapshot));
  const std::string own = format::purge_key(request);
  const std::string reports = "q" + format::pool_key(request);
  std::vector<PurgeRecord> out;
  const auto cursor = snapshot->cursor(Family::kJournal);
  for (cursor->seek(format::journal_key(0)); cursor->valid() && cursor->key() <= Bytes(format::journal_key(last)); cursor->next()) {
    VEXOR_TRY(const format::JournalRecord record, format::decode_journal_record(cursor->value()));
    const bool is_part = std::any_of(record.changes.begin(), record.changes.end(), [&](const format::RowChange& change) {
      return change.family == Family::kRepositories && (change.key == own || change.key.starts_with(reports));
    });
    if (is_part) out.push_back({record.sequence, store::record_hash(record, cursor->value()), std::string(format::operation_name(record.kind)), record.actor_name, record.time_ms});
  }
  VEXOR_TRY(cursor->status());
  return out;
}

Result<void> report_purge(Store& store, std::uint64_t request, const PurgeReport& report) {
  StoreCore& core = store.core();
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  VEXOR_TRY(const PurgeRow row, must_find(*snapshot, request));
  if (row.state != PurgeState::kApproved) return Error(Errc::kNotFound, text_of(request) + " is not approved");
  const std::string key = format::purge_report_key(request, report.member);
  const std::string value = format::encode_purge_report_row(row_of(report));
  // A member that is behind says the same until it sees its own report.
  VEXOR_TRY(const auto told, snapshot->get(Family::kRepositories, key));
  if (told && told->bytes() == value) return success();
  const std::string what = report.is_done() ? " done by member " : " to be done again by member ";
  store::Change change = store::begin_change(OperationKind::kPurgeReport, Actor{}, 0, text_of(request) + " of " + row.name + what + std::to_string(report.member));
  expect_request(change, row);
  store::put_row(change, Family::kRepositories, key, value);
  VEXOR_TRY(store::submit_named(core, std::move(change), text_of(request)));
  return success();
}

Result<std::vector<std::pair<std::uint64_t, PurgeReport>>> unreported_purges(Store& store, std::uint64_t member) {
  VEXOR_TRY(const auto snapshot, store.core().backend->snapshot());
  VEXOR_TRY(const auto rows, store::read_purges(*snapshot));
  std::vector<std::pair<std::uint64_t, PurgeReport>> out;
  for (const PurgeRow& row : rows) {
    VEXOR_TRY(const auto done, store::read_purge_report(*snapshot, Family::kMeta, format::purge_done_key(row.request)));
    VEXOR_TRY(const auto told, store::read_purge_report(*snapshot, Family::kRepositories, format::purge_report_key(row.request, member)));
    if (!done) {  // another store stands in the place of the one that it was told of
      if (told && told->ended_ms != 0) out.emplace_back(row.request, report_of(member, {}));
      continue;
    }
    if (told && told->ended_ms == done->ended_ms) continue;
    out.emplace_back(row.request, report_of(member, *done));
  }
  return out;
}

}  // namespace vexor
