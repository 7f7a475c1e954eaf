#include "admin/purge_commands.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "admin/command_call.h"
#include "admin/receipt_json.h"
#include "admin/time_text.h"
#include "common/log.h"

namespace vexor::frontend {

namespace {

std::string hex_text(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out.push_back(kDigits[static_cast<unsigned char>(c) >> 4U]);
    out.push_back(kDigits[static_cast<unsigned char>(c) & 15U]);
  }
  return out;
}

Result<Actor> person_of(Store& store, Arguments& args) {
  VEXOR_TRY(const std::string user, args.text("user"));
  VEXOR_TRY(const std::string password, args.text("password"));
  VEXOR_TRY(const auto account, store.check_password(user, password));
  if (!account) return Error(Errc::kRefused, "no such account, or not its password");
  return Actor{account->id, account->name};
}

Result<std::uint64_t> request_of(Arguments& args) {
  VEXOR_TRY(const auto request, args.number("request"));
  if (!request) return Error(Errc::kInvalidArgument, "'request' is missing");
  return *request;
}

std::vector<std::uint64_t> members_of(const PurgeCommandOptions& options) {
  std::vector<std::uint64_t> out;
  if (options.members) out = options.members();
  return out.empty() ? std::vector<std::uint64_t>{0} : out;
}

const PurgeReport* report_of(const PurgeInfo& info, std::uint64_t member) {
  const auto found = std::find_if(info.reports.begin(), info.reports.end(), [&](const PurgeReport& report) { return report.member == member && report.is_done(); });
  return found == info.reports.end() ? nullptr : &*found;
}

std::string done_text(const PurgeInfo& info, const std::vector<std::uint64_t>& members) {
  if (info.status != PurgeStatus::kApproved) return {};
  const auto done = std::count_if(members.begin(), members.end(), [&](std::uint64_t member) { return report_of(info, member) != nullptr; });
  return "done on " + std::to_string(done) + " of " + std::to_string(members.size());
}

json::object row_of(const PurgeInfo& info, const std::vector<std::uint64_t>& members) {
  const bool is_open = info.status == PurgeStatus::kOpen || info.status == PurgeStatus::kExpired;
  return json::object{{"request", info.request}, {"name", info.name}, {"status", purge_status_name(info.status)}, {"requested_by", info.requested_by},
                      {"requested", time_text(info.requested_ms)}, {"decided_by", info.decided_by}, {"decided", time_text(info.decided_ms)},
                      {"expires", is_open ? time_text(info.expires_ms) : std::string()}, {"servers", done_text(info, members)}, {"reason", info.reason}};
}

Result<json::object> answer_list(Store& store, const PurgeCommandOptions& options) {
  VEXOR_TRY(const auto purges, list_purges(store));
  const auto members = members_of(options);
  json::array rows;
  for (const PurgeInfo& info : purges) rows.push_back(row_of(info, members));
  return json::object{{"rows", std::move(rows)}};
}

json::array servers_of(const PurgeInfo& info, const std::vector<std::uint64_t>& members) {
  json::array out;
  for (const std::uint64_t member : members) {
    const PurgeReport* report = report_of(info, member);
    json::object server{{"member", member}, {"done", report != nullptr}};
    if (report != nullptr) {
      server["began"] = time_text(report->began_ms);
      server["ended"] = time_text(report->ended_ms);
      server["journal_records"] = report->journal_records;
      server["compacted_bytes"] = report->compacted_bytes;
    }
    out.push_back(std::move(server));
  }
  return out;
}

constexpr const char* kBeyond = "This does not tell of copies that the servers do not keep: clones, checkpoints, bundles and backups, and file systems or disks that keep old blocks.";

std::string text_of(const PurgeInfo& info, const std::vector<std::uint64_t>& members, const std::vector<PurgeRecord>& records) {
  std::string out = "Certificate of purge " + std::to_string(info.request) + "\n\nrepository    " + info.name + " (number " + std::to_string(info.repository) + ")\nreason        " + info.reason +
                    "\nasked for by  " + info.requested_by + ", " + time_text(info.requested_ms) + "\n";
  if (info.status != PurgeStatus::kApproved) return out + "status        " + std::string(purge_status_name(info.status)) + ": nothing was removed\n";
  out += "approved by   " + info.decided_by + ", " + time_text(info.decided_ms) + "\nrows erased   " + std::to_string(info.erased_rows) + ", counted by the primary\nobjects       " +
         (info.keeps_objects ? "KEPT: other repositories share them" : "erased with the repository") + "\nservers       " + done_text(info, members) + "\n\n";
  for (const std::uint64_t member : members) {
    const PurgeReport* report = report_of(info, member);
    const std::string who = member == 0 ? "this server" : "member " + std::to_string(member);
    if (report == nullptr) {
      out += who + ": HAS NOT REPORTED; the repository may still be in its files\n";
      continue;
    }
    out += who + ": from " + time_text(report->began_ms) + " to " + time_text(report->ended_ms) + "; " + std::to_string(report->journal_records) + " journal records emptied, " +
           std::to_string(report->compacted_bytes) + " bytes of files written anew; no row of the repository can be read\n";
  }
  out += "\njournal records of this purge:\n";
  for (const PurgeRecord& record : records) {
    out += "  " + std::to_string(record.sequence) + "  " + hex_text(record.hash) + "  " + time_text(record.time_ms) + "  " + record.operation + "  " + record.actor + "\n";
  }
  return out + "\n" + kBeyond + "\n";
}

Result<json::object> answer_certificate(Store& store, const PurgeCommandOptions& options, std::uint64_t request) {
  VEXOR_TRY(const PurgeInfo info, find_purge(store, request));
  VEXOR_TRY(const auto records, purge_records(store, request));
  auto members = members_of(options);
  // Who has left the set since did it all the same.
  for (const PurgeReport& report : info.reports) {
    if (std::find(members.begin(), members.end(), report.member) == members.end()) members.push_back(report.member);
  }
  json::array parts;
  for (const PurgeRecord& record : records) {
    parts.push_back(json::object{{"sequence", record.sequence}, {"hash", hex_text(record.hash)}, {"operation", record.operation}, {"actor", record.actor}, {"time", time_text(record.time_ms)}});
  }
  json::array servers = servers_of(info, members);
  const bool is_complete = info.status == PurgeStatus::kApproved && std::all_of(members.begin(), members.end(), [&](std::uint64_t member) { return report_of(info, member) != nullptr; });
  json::object certificate{{"request", info.request}, {"repository", info.name}, {"repository_number", info.repository}, {"reason", info.reason}, {"status", purge_status_name(info.status)},
                           {"requested_by", info.requested_by}, {"requested", time_text(info.requested_ms)},
                           {"decided_by", info.decided_by}, {"decided", time_text(info.decided_ms)},
                           {"erased_rows", info.erased_rows}, {"objects_kept", info.keeps_objects}, {"complete", is_complete},
                           {"servers", std::move(servers)}, {"records", std::move(parts)}, {"beyond", kBeyond}};
  json::object answer = message(text_of(info, members, records));
  answer["certificate"] = std::move(certificate);
  return answer;
}

Result<json::object> run_as_person(Store& store, const PurgePolicy& policy, const std::string& op, Arguments& args) {
  VEXOR_TRY(const Actor actor, person_of(store, args));
  Receipt receipt;
  if (op == "purge.request") {
    VEXOR_TRY(const std::string name, args.text("name"));
    VEXOR_TRY(const std::string reason, args.text("reason"));
    VEXOR_TRY(args.end());
    VEXOR_TRY(const PurgeInfo info, request_purge(store, policy, name, reason, actor, &receipt));
    json::object answer = message("purge " + std::to_string(info.request) + " of " + name + " is asked for; another person must approve it by " + time_text(info.expires_ms));
    answer["request"] = info.request;
    add_receipt(answer, receipt);
    return answer;
  }
  VEXOR_TRY(const std::uint64_t request, request_of(args));
  VEXOR_TRY(args.end());
  if (op == "purge.approve") {
    VEXOR_TRY(const PurgeInfo info, approve_purge(store, policy, request, actor, &receipt));
    json::object answer = message("purge " + std::to_string(request) + " of " + info.name + " is approved: " + std::to_string(info.erased_rows) +
                   " rows are erased, and every server empties its files; 'repo purge --certificate " + std::to_string(request) + "' tells which are done");
    add_receipt(answer, receipt);
    return answer;
  }
  VEXOR_TRY(const PurgeInfo info, close_purge(store, policy, request, actor, &receipt));
  json::object answer = message("purge " + std::to_string(request) + " of " + info.name + " is " + std::string(purge_status_name(info.status)));
  add_receipt(answer, receipt);
  return answer;
}

}  // namespace

Result<json::object> run_purge_command(Store& store, const PurgeCommandOptions& options, const json::object& request) {
  Arguments args(request);
  const std::string op(request.at("op").as_string());
  if (op == "purge.list") {
    VEXOR_TRY(args.end());
    return answer_list(store, options);
  }
  if (op == "purge.certificate") {
    VEXOR_TRY(const std::uint64_t number, request_of(args));
    VEXOR_TRY(args.end());
    return answer_certificate(store, options, number);
  }
  if (op != "purge.request" && op != "purge.approve" && op != "purge.close") return Error(Errc::kInvalidArgument, "unknown operation");
  auto done = run_as_person(store, options.policy, op, args);
  const json::value* user = request.if_contains("user");
  const std::string who = user != nullptr && user->is_string() ? std::string(user->get_string()).substr(0, 64) : std::string();
  log_event("purge", {{"op", op}, {"user", who}, {"ok", done.has_value()}, {"message", done.has_value() ? std::string(done.value().at("message").as_string()) : done.error().message()}});
  return done;
}

}  // namespace vexor::frontend
