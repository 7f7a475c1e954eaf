#include "vexorstore/drill.h"

#include <algorithm>
#include <map>

#include "format/pkt_line.h"
#include "vexorstore/history.h"
#include "vexorstore/maintenance.h"
#include "vexorstore/protocol/receive_pack.h"
#include "vexorstore/protocol/upload_pack.h"
#include "vexorstore/snapshot.h"

namespace vexor {

namespace {

using protocol::Session;
using protocol::Wants;

constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr int kMomentTries = 16;  // to meet one at which the repository existed
constexpr Bytes kNak = "0008NAK\n";

// SplitMix64: the same numbers for a seed on every machine. Spec: Steele, Lea and Flood, OOPSLA 2014.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t below(std::uint64_t end) {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
    return (z ^ (z >> 31U)) % end;
  }

 private:
  std::uint64_t state_;
};

using Refs = std::map<std::string, ObjectId>;

// Those that a clone shows, symrefs left out.
Result<Refs> shown_refs(Snapshot& snapshot) {
  Refs out;
  VEXOR_TRY(const auto refs, snapshot.refs());
  for (const RefInfo& ref : refs) {
    if (ref.symref_target.empty() && !is_hidden_ref(snapshot.repository(), ref.name)) out.emplace(ref.name, ref.id);
  }
  return out;
}

Result<std::vector<std::string>> shown_ids(Snapshot& snapshot) {
  std::vector<std::string> out;
  VEXOR_TRY(snapshot.each_object([&](const ObjectId& id, const ObjectHeader&) -> Result<void> {
    out.emplace_back(id.raw());
    return success();
  }));
  std::sort(out.begin(), out.end());
  return out;
}

// A fetch of version 0 without side band: all refs, answered by NAK and the pack.
std::string fetch_request(const Refs& refs) {
  std::string out;
  bool is_first = true;
  for (const auto& [name, id] : refs) {
    format::append_pkt_line(out, "want " + id.hex() + (is_first ? " ofs-delta no-progress\n" : "\n"));
    is_first = false;
  }
  format::append_flush(out);
  format::append_pkt_line(out, "done\n");
  return out;
}

std::string push_request(const Refs& refs, HashAlgorithm algorithm) {
  std::string out;
  bool is_first = true;
  const std::string tail = std::string(1, '\0') + " report-status object-format=" + std::string(hash_name(algorithm));
  for (const auto& [name, id] : refs) {
    format::append_pkt_line(out, ObjectId::null(algorithm).hex() + " " + id.hex() + " " + name + (is_first ? tail : std::string()));
    is_first = false;
  }
  format::append_flush(out);
  return out;
}

// One end of the pipe; what it says goes to `out`, until it wants input or is done.
void turn(Session& session, std::string& out, std::size_t bytes_max) {
  std::string room(kPieceBytes, '\0');
  while (out.size() < bytes_max && (session.wants() == Wants::kWork || session.wants() == Wants::kOutput)) {
    if (session.wants() == Wants::kWork) session.run_work();
    else out.append(room.data(), session.drain(std::span<char>(room)));
  }
}

void give(Session& session, Bytes bytes, std::string& said) {
  while (!bytes.empty() && session.wants() != Wants::kDone) {
    turn(session, said, SIZE_MAX);
    if (session.wants() == Wants::kInput) bytes.remove_prefix(session.feed(bytes));
  }
  turn(session, said, SIZE_MAX);
}

// Empty: the pack went over and all refs were taken. Else what is wrong.
std::string pump(Session& from, Session& to, const std::string& request, const std::string& commands) {
  std::string unused;
  give(from, request, unused);  // answers nothing before "done"
  std::string report;
  give(to, commands, report);
  std::string pending = std::move(unused);
  bool is_begun = false;
  for (;;) {
    turn(from, pending, kPieceBytes);
    if (!is_begun && pending.size() >= kNak.size()) {
      if (!Bytes(pending).starts_with(kNak)) return "the clone was refused: " + pending.substr(0, 200);
      pending.erase(0, kNak.size());
      is_begun = true;
    }
    if (is_begun) {
      give(to, pending, report);
      pending.clear();
    }
    if (from.wants() == Wants::kInput) from.end_of_input();
    if (from.wants() == Wants::kDone) break;
  }
  if (from.failure() != nullptr) return "the clone failed: " + from.failure()->message();
  to.end_of_input();
  turn(to, report, SIZE_MAX);
  if (report.find("unpack ok\n") == std::string::npos || report.find("ng ") != std::string::npos) return "the copy was refused: " + report.substr(0, 400);
  return {};
}

class Drill {
 public:
  Drill(Store& source, Store& target, const DrillOptions& options) : source_(source), target_(target), options_(options), dice_(options.seed) {}

  Result<DrillReport> run(const std::function<void(const DrillItem&)>& tell) {
    VEXOR_TRY(std::vector<RepositoryInfo> all, source_.list_repositories());
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[dice_.below(i)]);
    all.resize(std::min(all.size(), options_.repositories));
    DrillReport report;
    for (std::size_t i = 0; i < all.size(); ++i) {
      VEXOR_TRY(const DrillItem item, restore(all[i], "drill/" + std::to_string(i + 1)));
      ++(item.outcome == DrillOutcome::kWhole ? report.whole : item.outcome == DrillOutcome::kDamaged ? report.damaged : report.past_retention);
      tell(item);
    }
    return report;
  }

 private:
  // 0: now.
  Result<JournalSequence> choose_moment(RepositoryId id) {
    if (dice_.below(100) >= options_.past_percent || source_.last_sequence() == 0) return JournalSequence{0};
    JournalSequence out = 0;
    for (int i = 0; i < kMomentTries; ++i) {
      const JournalSequence tried = 1 + dice_.below(source_.last_sequence());
      VEXOR_TRY(const bool is_there, existed_at(source_, id, tried));
      if (is_there && out == 0) out = tried;  // all tries are made: what comes next in the sample does not depend on it
    }
    return out;
  }

  Result<DrillItem> restore(const RepositoryInfo& from, const std::string& name) {
    DrillItem item;
    item.name = from.name;
    VEXOR_TRY(item.as_of, choose_moment(from.id));
    auto snapshot = item.as_of == 0 ? open_snapshot(source_, from.id) : open_snapshot_at(source_, from.id, item.as_of);
    if (snapshot.has_error() && item.as_of != 0 && snapshot.error().code() == Errc::kNotFound) {
      item.outcome = DrillOutcome::kPastRetention;
      return item;
    }
    CreateOptions options;
    options.algorithm = from.algorithm;
    VEXOR_TRY(RepositoryInfo to, target_.create_repository(name, options, {}));
    to.check_policy = from.check_policy;  // what was let in then is let in now
    VEXOR_TRY(target_.update_repository(to, {}));
    const auto problem = snapshot.has_error() ? Result<std::string>(std::move(snapshot).error()) : copy(from, *snapshot.value(), to, item);
    if (problem.has_error()) item.problem = problem.error().message();
    else item.problem = problem.value();
    if (!item.problem.empty()) item.outcome = DrillOutcome::kDamaged;
    return item;
  }

  // What is wrong; empty: nothing.
  Result<std::string> copy(const RepositoryInfo& from, Snapshot& snapshot, const RepositoryInfo& to, DrillItem& item) {
    VEXOR_TRY(const Refs refs, shown_refs(snapshot));
    item.refs = refs.size();
    if (refs.empty()) return std::string();
    protocol::UploadPackOptions read;
    read.stateless = true;
    read.as_of = item.as_of;
    VEXOR_TRY(const auto upload, protocol::make_upload_pack(source_, from, read));
    protocol::ReceivePackOptions write;
    write.stateless = true;
    VEXOR_TRY(const auto receive, protocol::make_receive_pack(target_, to, write));
    if (std::string refused = pump(*upload, *receive, fetch_request(refs), push_request(refs, from.algorithm)); !refused.empty()) return refused;
    VEXOR_TRY(const auto copied, open_snapshot(target_, to.id));
    VEXOR_TRY(const Refs copied_refs, shown_refs(*copied));
    if (copied_refs != refs) return std::string("the refs are others");
    VEXOR_TRY(const auto ids, shown_ids(snapshot));
    VEXOR_TRY(const auto copied_ids, shown_ids(*copied));
    if (copied_ids != ids) return "the objects are others: " + std::to_string(ids.size()) + ", and " + std::to_string(copied_ids.size()) + " came out";
    VEXOR_TRY(const VerifyReport verified, verify_repository(target_, to.id));
    item.objects = verified.objects;
    item.bytes = verified.bytes;
    return verified.problem_count == 0 ? std::string() : verified.problems.front();
  }

  Store& source_;
  Store& target_;
  const DrillOptions& options_;
  Dice dice_;
};

}  // namespace

Result<DrillReport> drill(Store& source, Store& target, const DrillOptions& options, const std::function<void(const DrillItem&)>& tell) {
  return Drill(source, target, options).run(tell);
}

}  // namespace vexor
