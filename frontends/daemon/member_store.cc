#include "daemon/member_store.h"

#include <thread>

#include "common/log.h"
#include "daemon/replica_options.h"
#include "replication/host/copy_taker.h"
#include "replication/host/entry_codec.h"
#include "replication/host/store_log.h"
#include "replication/host/store_note.h"
#include "vexorstore/replica_log.h"
#include "vexorstore/store_copy.h"

namespace vexor::frontend {

namespace fs = std::filesystem;
using replication::CopyOffer;
using replication::CopyPlace;
using replication::Epoch;
using replication::GrpcTransport;
using replication::Mark;
using replication::StoreMark;
using replication::VersionedRecord;

namespace {

constexpr std::chrono::milliseconds kRetry{500};
constexpr std::chrono::seconds kRetryOpened{10};
constexpr const char* kAcceptLossFile = "vexor-accept-loss";  // made by an operator (docs/operations/replication.md)

CopyPlace place_of(const ServerConfig& config) {
  CopyPlace out;
  out.store = fs::path(config.data) / "store";
  out.scratch = fs::path(config.data) / "copy-in";
  return out;
}

std::string at(std::uint64_t sequence) { return "journal record " + std::to_string(sequence); }

// S8. The reason why the store is not what it was; empty: it is.
Result<std::string> lost_since(const Mark& mark, const ReplicaLog& log) {
  VEXOR_TRY(const std::string state, log.load_state());
  VEXOR_TRY(const Epoch promise, replication::decode_promise(state));
  if (log.last().sequence < mark.last.sequence) return "the journal ends with " + at(log.last().sequence) + ", and held " + at(mark.last.sequence);
  VEXOR_TRY(const LogPosition there, log.position(mark.last.sequence));
  const bool by_hash = mark.last.hash != replication::Digest{};  // that of a single server has none
  if (by_hash && replication::to_entry_id(there) != mark.last) return at(mark.last.sequence) + " is another than it was";
  if (promise < mark.promise) return "the promise of epoch " + std::to_string(mark.promise) + " is lost";
  return std::string();
}

VersionedRecord wait_for_record(const ReplicaSettings& settings) {
  for (bool told = false;; told = true) {
    auto record = replication::read_record(etcd_of(settings));
    if (record.has_value() && record.value()) return *record.value();
    if (!told) log_event("replica_waits", {{"for", "the record of the replica set in etcd"}});
    std::this_thread::sleep_for(kRetry);  // etcd may start after this server; until then nobody may be answered (S9)
  }
}

struct Admission {
  std::string refused;      // why it must be replaced
  Epoch promise = 0;        // to be made first, where its own is below
  replication::StoreName name = 0;  // 0: its own, or one that is drawn (N1)
};

// S9. Before the store joins.
Result<Admission> admit_newcomer(const ReplicaSettings& settings, const Store& store) {
  const VersionedRecord now = wait_for_record(settings);
  const replication::Record& record = now.record;
  const bool begins = record.epoch == 0 && record.primary == settings.node;
  if (begins) return Admission();
  if (store.last_sequence() > 0) {
    return Error(Errc::kInvalidArgument, "the store holds repositories and is no member of the replica set yet: only the first primary begins with content; empty the data directory to take a copy");
  }
  if (record.is_in_sync(settings.node)) return Admission{"the store is empty, and the replica set counts on it"};
  return Admission{"", record.epoch};
}

// S9. A member's store without its mark, as a checkpoint that was put in its place: nobody can tell what it lacks of what the member has
// acknowledged. It takes part if the set does not count on it, or is made anew from it, or the operator says that it is to: then he vouches that it
// is the store that the record names. In either case it promises the record's epoch: it may have given promises that the store here does not know of,
// and a newcomer that ended before it had made its own looks just like it.
Result<Admission> admit_unmarked(const ReplicaSettings& settings, const fs::path& directory) {
  const replication::Record record = wait_for_record(settings).record;
  const replication::InSync* entry = record.find_in_sync(settings.node);
  std::error_code failed;
  if (fs::remove(directory / kAcceptLossFile, failed)) return Admission{"", record.epoch, entry == nullptr ? 0 : entry->store};
  const bool is_anew = record.primary == settings.node && record.primary_incarnation == 0 && record.in_sync.size() == 1;
  if (entry == nullptr || is_anew) return Admission{"", record.epoch};
  return Admission{"the store has lost its mark, and the replica set counts on what it held"};
}

// Why the member must not take part; empty: it may, and has its mark.
Result<std::string> admit(const ServerConfig& config, OpenStore& opened) {
  const fs::path directory = place_of(config).store;
  VEXOR_TRY(const bool member, was_member(*opened.store));
  auto mark = StoreMark::read(directory);
  if (mark.has_error()) return mark.error().message();
  // Of a member lost_since() tells: what is applied may be nothing while the journal is whole.
  if (!member && mark.value() && mark.value()->last.sequence > 0) return std::string("the journal is lost");
  Admission admission;
  if (!member) {
    VEXOR_TRY(admission, admit_newcomer(config.replication, *opened.store));
  } else if (!mark.value()) {
    VEXOR_TRY(admission, admit_unmarked(config.replication, directory));
  }
  if (!admission.refused.empty()) return admission.refused;
  VEXOR_TRY(const auto log, join_replica_set(*opened.store));
  if (mark.value()) {
    VEXOR_TRY(const std::string why, lost_since(*mark.value(), *log));
    if (!why.empty()) return why;
  }
  VEXOR_TRY(const std::string state, log->load_state());
  VEXOR_TRY(Epoch promise, replication::decode_promise(state));
  if (admission.promise > promise) {
    promise = admission.promise;
    VEXOR_TRY(log->save_state(replication::encode_promise(promise)));
  }
  VEXOR_TRY(opened.mark, StoreMark::open(directory, {replication::to_entry_id(log->last()), promise}, admission.name));
  return std::string();
}

// A single server: nobody has what is missing.
Result<void> check_single(const ServerConfig& config, OpenStore& opened) {
  const fs::path directory = place_of(config).store;
  VEXOR_TRY(const auto mark, StoreMark::read(directory));
  const JournalSequence last = opened.store->last_sequence();
  if (mark && last < mark->last.sequence) {
    return Error(Errc::kCorrupt, "the journal ends with " + at(last) + ", and held " + at(mark->last.sequence) + " before: the end of the log is lost. Restore a checkpoint, or, to go on " +
                                     "without what is missing, remove the file vexor-mark of the store");
  }
  VEXOR_TRY(opened.mark, StoreMark::open(directory, {{last, {}}, 0}));
  return success();
}

Result<OpenStore> needs_copy(const ServerConfig& config, OpenStore opened, const std::string& reason) {
  opened.mark.reset();
  opened.store.reset();
  opened.needs_copy = reason;
  VEXOR_TRY(give_up_store(config, reason));
  return opened;
}

class Replacement {
 public:
  Replacement(const ServerConfig& config, const std::function<void(const std::string&)>& tell) : config_(config), tell_(tell), place_(place_of(config)) {
    place_.progress = [this](const replication::CopyProgress& now) {
      tell_("taking a copy: " + std::to_string(now.bytes >> 20U) + " of " + std::to_string(now.total >> 20U) + " MiB");
    };
  }

  // True: done. Errors: to be tried again.
  Result<bool> attempt() {
    has_opened_ = false;
    if (!transport_) {
      VEXOR_TRY(const auto options, transport_of(config_.replication));
      VEXOR_TRY(transport_, GrpcTransport::start(options));
    }
    VEXOR_TRY(const auto before, record());
    if (before.primary == config_.replication.node) return Error(Errc::kUnavailable, "this member is the primary in the record, and no standby took over yet");
    const auto peer = transport_->copy_peer(before.primary);
    if (!peer) return Error(Errc::kUnavailable, "the primary is not among this member's peers");
    VEXOR_TRY(const CopyOffer offer, peer->open(before.epoch));
    has_opened_ = true;
    auto fetched = must_be_out(offer);  // S2
    if (fetched.has_value()) fetched = replication::fetch_copy(*peer, offer, place_);
    peer->close(offer);  // another attempt takes up what is here
    VEXOR_TRY(std::move(fetched));
    tell_("checking the copy");
    if (auto sound = replication::check_fetched(offer, place_, config_.rocksdb); sound.has_error()) {
      std::error_code ignored;
      fs::remove_all(place_.scratch, ignored);
      return std::move(sound).error();
    }
    VEXOR_TRY(must_be_out(offer));  // S6
    VEXOR_TRY(replication::install_copy(place_));
    log_event("copy_taken", {{"from", before.primary}, {"epoch", offer.epoch}, {"sequence", offer.at.sequence}});
    return true;
  }
  // The primary made a checkpoint for the last attempt.
  bool has_opened() const { return has_opened_; }

 private:
  Result<replication::Record> record() {
    VEXOR_TRY(auto now, replication::read_record(etcd_of(config_.replication)));
    if (!now) return Error(Errc::kUnavailable, "there is no record of the replica set");
    if (now->record.find(config_.replication.node) == nullptr) return Error(Errc::kUnavailable, "this server is no member of the replica set");
    return now->record;
  }
  Result<void> must_be_out(const CopyOffer& offer) {
    VEXOR_TRY(const auto now, record());
    if (now.is_in_sync(config_.replication.node) || now.primary == config_.replication.node) return Error(Errc::kUnavailable, "the replica set still counts on this member's store");
    if (offer.epoch < now.epoch) return Error(Errc::kUnavailable, "the primary of the replica set changed");
    return success();
  }

  const ServerConfig& config_;
  const std::function<void(const std::string&)>& tell_;
  CopyPlace place_;
  std::unique_ptr<GrpcTransport> transport_;
  bool has_opened_ = false;
};

}  // namespace

Result<void> give_up_store(const ServerConfig& config, const std::string& reason) {
  log_event("store_given_up", {{"why", reason}});
  return replication::note_damage(place_of(config).store, reason);
}

Result<OpenStore> open_store(const ServerConfig& config, const sys::RocksdbOptions& rocksdb, const StoreOptions& options) {
  const CopyPlace place = place_of(config);
  const bool is_member = config.replication.node != 0;
  OpenStore out;
  const auto noted = replication::noted_damage(place.store);
  if (noted && !is_member) return Error(Errc::kCorrupt, "the store was given up by a member of a replica set: " + *noted);
  replication::tidy_up_copy(place);
  if (noted) {
    out.needs_copy = *noted;
    return out;
  }
  auto backend = sys::open_rocksdb_backend(place.store, rocksdb);
  if (backend.has_error()) {
    if (is_member && backend.error().code() == Errc::kCorrupt) return needs_copy(config, std::move(out), backend.error().message());
    return std::move(backend).error();
  }
  auto store = Store::open(std::move(backend).value(), options);
  if (store.has_error()) {
    if (is_member && store.error().code() == Errc::kCorrupt) return needs_copy(config, std::move(out), store.error().message());
    return std::move(store).error();
  }
  out.store = std::move(store).value();
  if (!is_member) {
    VEXOR_TRY(check_single(config, out));
    return out;
  }
  auto why = admit(config, out);
  if (why.has_error() && why.error().code() == Errc::kCorrupt) return needs_copy(config, std::move(out), why.error().message());
  if (why.has_error()) return std::move(why).error();
  if (!why.value().empty()) return needs_copy(config, std::move(out), why.value());
  return out;
}

void replace_store(const ServerConfig& config, const std::function<void(const std::string&)>& tell) {
  Replacement replacement(config, tell);
  std::string last;
  for (;;) {
    const auto done = replacement.attempt();
    if (done.has_value()) return;
    const std::string why = done.error().message();
    tell("waiting to take a copy: " + why);
    if (why != last) log_event("copy_waits", {{"why", why}});
    last = why;
    // Another attempt costs the primary a checkpoint, where this one had one.
    std::this_thread::sleep_for(replacement.has_opened() ? std::chrono::milliseconds(kRetryOpened) : kRetry);
  }
}

}  // namespace vexor::frontend
