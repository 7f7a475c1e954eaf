#include "admin/cluster_commands.h"

#include <algorithm>
#include <boost/json.hpp>

#include "admin/loss_report.h"
#include "daemon/replica_options.h"
#include "replication/limits.h"
#include "replication/transport/etcd_coordinator.h"
#include "replication/transport/record_json.h"

namespace vexor::frontend {

using replication::ChangeAnswer;
using replication::Copies;
using replication::EtcdOptions;
using replication::Member;
using replication::Record;
using replication::Role;
using replication::VersionedRecord;

namespace {

Result<EtcdOptions> etcd_of(const ClusterArguments& args) {
  if (args.etcd.empty()) return Error(Errc::kInvalidArgument, "give --etcd HOST:PORT,...");
  ReplicaSettings settings;
  settings.etcd = args.etcd;
  settings.etcd_key = args.etcd_key;
  settings.etcd_ca_file = args.etcd_ca_file;
  settings.etcd_certificate_file = args.etcd_certificate_file;
  settings.etcd_key_file = args.etcd_key_file;
  EtcdOptions out = etcd_of(settings);
  out.call_ms_max = 3000;
  VEXOR_TRY(check_etcd(out));
  return out;
}

Result<Member> parse_member(const std::string& text) {
  const auto invalid = [&] { return Error(Errc::kInvalidArgument, "a member is ID=HOST:PORT or ID=HOST:PORT,off-site, and this is none: " + text); };
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals > 18) return invalid();
  Member out;
  for (const char c : text.substr(0, equals)) {
    if (c < '0' || c > '9') return invalid();
    out.id = out.id * 10 + static_cast<replication::NodeId>(c - '0');
  }
  out.address = text.substr(equals + 1);
  constexpr std::string_view kOffSite = ",off-site";
  if (out.address.ends_with(kOffSite)) {
    out.role = Role::kOffsite;
    out.address.resize(out.address.size() - kOffSite.size());
  }
  if (out.id == 0 || out.address.find(':') == std::string::npos || out.address.find(',') != std::string::npos) return invalid();
  return out;
}

Result<VersionedRecord> must_read(const ClusterArguments& args) {
  VEXOR_TRY(const EtcdOptions etcd, etcd_of(args));
  VEXOR_TRY(auto record, replication::read_record(etcd));
  if (!record) return Error(Errc::kNotFound, "there is no replica set yet: vexorctl cluster init");
  return std::move(*record);
}

Result<std::string> change(const ClusterArguments& args, std::uint64_t expected, const Record& record, const std::string& done) {
  if (!record.sound()) return Error(Errc::kInvalidArgument, "no member could read the record that this would make; nothing was changed");
  VEXOR_TRY(const EtcdOptions etcd, etcd_of(args));
  VEXOR_TRY(const ChangeAnswer answer, replication::change_record(etcd, expected, record));
  if (answer == ChangeAnswer::kConflict && expected == 0) {
    return Error(Errc::kConflict, "there is a record already (cluster status): change it with join, remove, promote; for a new set give --etcd-key KEY, here and as replication.etcd_key");
  }
  if (answer == ChangeAnswer::kConflict) return Error(Errc::kConflict, "the record was changed meanwhile: look at it and try again");
  if (answer == ChangeAnswer::kUnknown) return Error(Errc::kUnavailable, "etcd does not answer: the change may have happened; look with cluster status");
  return done;
}

Copies copies_of(const std::string& name) { return name == "all" ? Copies::kAll : name == "local" ? Copies::kLocal : Copies::kTwo; }

Result<replication::NodeId> promoted_member(const Record& record, const ClusterArguments& args) {
  if (!args.off_site) {
    if (args.node == 0) return Error(Errc::kInvalidArgument, "which member? Give its ID, or --off-site");
    if (record.find(args.node) == nullptr) return Error(Errc::kInvalidArgument, "no such member");
    return args.node;
  }
  const auto is_off_site = [](const Member& member) { return member.role == Role::kOffsite; };
  const auto count = std::count_if(record.members.begin(), record.members.end(), is_off_site);
  if (count != 1) return Error(Errc::kInvalidArgument, "the set has " + std::to_string(count) + " off-site members: give the ID of the one");
  return std::find_if(record.members.begin(), record.members.end(), is_off_site)->id;
}

}  // namespace

Result<std::string> cluster_init(const ClusterArguments& args) {
  Record record;
  for (const std::string& text : args.members) {
    VEXOR_TRY(Member member, parse_member(text));
    if (record.find(member.id) != nullptr) return Error(Errc::kInvalidArgument, "two members of one number: " + text);
    record.members.push_back(std::move(member));
  }
  if (record.members.size() > replication::kMembersMax) {
    return Error(Errc::kInvalidArgument, "a replica set has at most " + std::to_string(replication::kMembersMax) + " members, and these are " + std::to_string(record.members.size()));
  }
  if (record.members.empty() || record.members.front().role != Role::kStandby) {
    return Error(Errc::kInvalidArgument, "the first member is the primary, and so cannot be off-site");
  }
  record.primary = record.members.front().id;
  record.in_sync = {record.primary};
  record.copies = copies_of(args.copies);
  record.epoch = args.epoch;
  return change(args, 0, record, "made a replica set of " + std::to_string(record.members.size()) + " members; member " + std::to_string(record.primary) + " begins as primary");
}

Result<std::string> cluster_status(const ClusterArguments& args) {
  VEXOR_TRY(const VersionedRecord now, must_read(args));
  if (args.json) {
    boost::json::object out{{"version", now.version}};
    const boost::json::value record = boost::json::parse(replication::to_json(now.record));
    for (const auto& field : record.as_object()) out[field.key()] = field.value();
    return boost::json::serialize(out);
  }
  return "version " + std::to_string(now.version) + ": " + replication::to_json(now.record);
}

Result<std::string> cluster_join(const ClusterArguments& args) {
  VEXOR_TRY(const VersionedRecord now, must_read(args));
  if (args.members.size() != 1) return Error(Errc::kInvalidArgument, "one member at a time");
  VEXOR_TRY(const Member member, parse_member(args.members.front()));
  const auto next = replication::with_member(now.record, member);
  if (!next) return Error(Errc::kInvalidArgument, "that member is there already, or the set is full");
  return change(args, now.version, *next, "member " + std::to_string(member.id) + " joins; it counts when it has caught up");
}

Result<std::string> cluster_remove(const ClusterArguments& args) {
  VEXOR_TRY(const VersionedRecord now, must_read(args));
  const auto next = replication::without_member(now.record, args.node);
  if (!next) return Error(Errc::kInvalidArgument, "no such member, or it is the primary: hand over first");
  return change(args, now.version, *next, "member " + std::to_string(args.node) + " is removed");
}

Result<std::string> cluster_handover(const ClusterArguments& args) {
  VEXOR_TRY(const VersionedRecord now, must_read(args));
  if (args.node == now.record.primary) return Error(Errc::kInvalidArgument, "member " + std::to_string(args.node) + " leads already");
  const auto next = replication::with_handover(now.record, args.node);
  if (!next) return Error(Errc::kInvalidArgument, "that member cannot take over now: it must be a standby and in sync");
  return change(args, now.version, *next, "asked the primary to hand over to member " + std::to_string(args.node));
}

Result<std::string> cluster_copies(const ClusterArguments& args) {
  VEXOR_TRY(const VersionedRecord now, must_read(args));
  Record to = now.record;
  to.copies = copies_of(args.copies);
  return change(args, now.version, to, "a push is acknowledged with copies = " + args.copies);
}

Result<std::string> cluster_promote(const ClusterArguments& args) {
  VEXOR_TRY(const VersionedRecord now, must_read(args));
  VEXOR_TRY(const replication::NodeId node, promoted_member(now.record, args));
  const std::string who = "member " + std::to_string(node);
  if (args.monitor.empty() && !args.no_report) {
    return Error(Errc::kInvalidArgument, "give --health HOST:PORT of the monitor of " + who + ", which tells what may be lost; or, if it cannot be asked, --no-report");
  }
  std::string report;
  if (!args.monitor.empty()) {
    VEXOR_TRY(report, loss_report(args.monitor, node));
    report += "\n";
  }
  if (!args.accept_loss) {
    return Error(Errc::kInvalidArgument, report + "what only the present primary and its standby have will be lost: stop them for good, then say --accept-loss");
  }
  // Of no process: the member finds itself named, and leads when the promises that it gave have run out (T1, P2).
  auto next = replication::promoted(now.record, node, 0);
  if (!next) return Error(Errc::kInvalidArgument, who + " cannot be promoted");
  if (!args.copies.empty()) next->copies = copies_of(args.copies);
  return change(args, now.version, *next, report + who + " is to lead, alone in the in-sync set; others join it when they have what it has");
}

}  // namespace vexor::frontend
