// ReplicaHost: one member of a replica set, running: a node with its store, its threads and its clock.
//
// Threads: one runs the node, one writes its log, one applies and settles, one fetches rows. All methods from
// any thread. Spec: docs/protocol/replication.md.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "replication/coordinator.h"
#include "replication/host/copy_source.h"
#include "replication/host/lag_book.h"
#include "replication/host/outbox.h"
#include "replication/host/rows_sender.h"
#include "replication/host/rows_shelf.h"
#include "replication/host/store_log.h"
#include "replication/host/transport.h"
#include "replication/node.h"

namespace vexor::replication {

// Another member, as the primary sees it.
struct MemberStatus {
  NodeId id = 0;
  Sequence has = 0;                  // durably
  std::optional<Millis> round_trip;  // of the link; none: not known yet
  Lag lag;
};

struct HostStatus {
  NodeId self = 0;
  StoreName store = 0;
  NodeId leader = 0;  // 0: nobody is known
  bool leads = false;
  bool takes_pushes = false;  // leads, does not hand over, and its store is ready
  bool stopped = false;  // its log failed or differs: it must not take part any more
  bool damaged = false;  // rows of its store cannot be read (S1, S11)
  std::map<std::string, std::uint64_t> alarms;  // so far, by kind
  std::string alarm;                            // the kind of the last one; empty: none
  std::string needs_copy;  // why; empty: it does not, or it leads and cannot
  Epoch epoch = 0;
  // Of the store, if rows that the primary of `epoch` offers are safe there: nothing is cut off any more.
  std::optional<std::uint64_t> taking_reign;
  Sequence last = 0;
  Sequence commit = 0;
  Sequence applied = 0;
  std::vector<MemberStatus> others;  // while it leads
  // Of the primary that it follows, as it last said; 0: it has not been heard since this process began.
  std::int64_t heard_unix_ms = 0;
  Sequence told_commit = 0;    // that primary's
  Sequence compared = 0;       // with its journal; what is here beyond that may be of another history
  Millis behind_ms = 0;        // since when less than that is applied here
  std::optional<std::uint64_t> behind_bytes;  // of the entries that are here and should be applied; none: some are not here, or were there before this process
  std::optional<VersionedRecord> record;
  // While it leads: too few members answer for a change of a repository that asks for two copies, or for all (C6, C7).
  bool refuses_two = false;
  bool refuses_all = false;
  std::string forgetting_waits_for;  // while it leads: who is behind or not heard; empty: nobody
};

// What a member has beside its store. All may be left out by tests.
struct HostFiles {
  StoreMark* mark = nullptr;         // of the store; must outlive the host
  std::filesystem::path copies;      // where checkpoints for others go; on the store's file system
};

class ReplicaHost final : public LogSink {
 public:
  // The coordinator's callbacks must come through `run` of the host that they belong to.
  using MakeCoordinator = std::function<std::unique_ptr<Coordinator>(std::function<void(std::function<void()>)> run)>;

  // The store must outlive the host and must not be given changes before start() returns.
  static Result<std::unique_ptr<ReplicaHost>> start(Store& store, Identity self, const Options& options, Transport& transport,
                                                    const MakeCoordinator& make_coordinator, const HostFiles& files = {});
  // The store takes no more changes; whoever waits is told that the outcome is not known.
  ~ReplicaHost() override;

  void receive(NodeId from, const Message& message);
  void peer_dead(NodeId peer, Incarnation incarnation);

  // Blocks until the store shows all that was acknowledged anywhere before the call (kLinearizable), and
  // record `at_least`. Errors: kUnavailable.
  Result<void> wait_until_readable(ReadLevel level, Sequence at_least);
  HostStatus status() const;
  // Whether it took changes and held the lease at its node's last turn: then reads and pushes wait for nobody here, unless that has changed since.
  bool serves_at_once() const { return serves_at_once_; }
  // Whether one of both is the off-site member: what lies between is dearer than the CPU at its ends.
  bool is_at_other_site(NodeId other) const;
  // The same of one that is not in sync: no push and no lease waits for it.
  bool follows_at_other_site(NodeId other) const;
  // Whether the record that this member knows of has no such member; false while it knows of none.
  bool is_removed(NodeId other) const;
  EntryFate fate(const EntryId& entry);
  ReplicaLog& log() { return *log_; }

  void appended(std::vector<LogEntry> entries) override;
  Result<void> admit(CopyPolicy copies) override;
  Result<void> admit_forgetting() override;
  void failed() override;
  Result<void> confirm_head() override;
  std::unique_ptr<StagedCopies> stage(const std::string& range) override;
  // For the transport: another member offers rows. Errors as of RowsShelf::begin, and kUnavailable (it does not
  // lead this member's epoch).
  Result<std::unique_ptr<RowsShelf::Taking>> take_rows(NodeId from, const RowsOffer& offer);
  RowsShelf& shelf() { return *shelf_; }
  // For the transport: another member wants a copy (S2, S3). Errors: kUnavailable.
  Result<CopyOffer> open_copy(NodeId member, Epoch at_least);
  // As of CopySource.
  Result<std::string> read_copy(NodeId member, std::uint64_t id, const std::string& name, std::uint64_t offset);
  void close_copy(NodeId member, std::uint64_t id) { source_->close(member, id); }

 private:
  ReplicaHost(Store& store, Identity self, const Options& options, Transport& transport, const HostFiles& files);
  Result<void> open(const MakeCoordinator& make_coordinator);

  // On the node's thread.
  void input(const std::function<void(Millis now)>& work);
  void carry_out();
  void perform(Send& output);
  void perform(ReadRecord& output);
  void perform(ChangeRecord& output);
  void perform(Apply& output);
  void perform(FetchSnapshot& output);
  void perform(ProposalOutcome& output);
  void perform(ConfirmOutcome& output);
  void perform(ReadOutcome& output);
  void perform(Alarm& output);
  void follow_leadership();
  void propose(const LogEntry& entry);
  void deliver(NodeId from, Message message);
  void note_taken(const EntryId& before, const Append& append, Millis now);
  void hold_back_without_rows(NodeId from, Append& append);
  void fetch_rows(NodeId from, const Entry& entry);
  void fetched(const Entry& entry, bool done);
  bool has_rows(const Entry& entry, bool is_followed);  // `is_followed`: whoever sent it is
  bool are_rows_coming(const Entry& entry);  // ahead of their record, still
  vexor::Receipt receipt_of(const ProposalOutcome& outcome) const;
  void publish_status();
  std::string who_is_behind(const Record& record, Sequence last) const;  // empty: nobody
  void look_for_damage();
  void look_for_hung_disk();
  Millis turn_ms() const { return std::max<Millis>(1, options_.heartbeat_ms / 2); }  // of the node's thread
  // `withdraws`: what the member says (S2).
  bool leads_without(NodeId member, Epoch epoch, bool withdraws);
  // Gives the node a request and waits for what it says. Any thread but the node's.
  bool ask(const std::function<void(Millis now, RequestId request)>& give);
  void tell(RequestId request, bool answer);

  Store& store_;
  Identity self_;
  Options options_;
  Transport& transport_;
  HostFiles files_;
  std::unique_ptr<ReplicaLog> log_;
  std::unique_ptr<StoreLog> node_log_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<Node> node_;
  std::unique_ptr<RowsSender> sender_;
  std::unique_ptr<RowsShelf> shelf_;
  std::unique_ptr<CopySource> source_;
  bool store_leads_ = false;      // or will, when what was posted is done
  bool store_takes_ = false;      // changes; it has been told to lead
  std::uint64_t leaderships_ = 0;  // that it was told to begin or to end
  Outbox outbox_;
  bool holds_outbox_ = false;     // more is about to be put in
  std::uint64_t turn_ = 0;        // of the entries that the node takes: others are cut off, or will be
  std::uint64_t reigns_ = 0;      // promises and leaderships so far: rows fetched before are gone
  Epoch seen_promise_ = 0;
  NodeId told_leader_ = 0;        // to the transport
  std::uint64_t followed_ = 0;    // the last of them that the store knows of
  std::uint64_t store_reign_ = 0;  // what the store calls it
  std::set<Digest> rows_asked_;
  struct FailedFetch {
    Millis wait = 0;
    Millis again_at = 0;
  };
  std::map<Digest, FailedFetch> fetches_failed_;  // of the primary of now; few: a member waits for the first one
  bool damaged_ = false;
  std::map<std::string, std::uint64_t> alarms_;  // as of HostStatus
  std::string alarm_;
  bool is_late_ = false;  // a copy was offered (S7)
  std::atomic<std::uint64_t> syncs_begun_ = 0;  // of the mark
  std::atomic<std::uint64_t> syncs_ended_ = 0;
  std::atomic<bool> serves_at_once_ = false;
  std::atomic<std::size_t> waiting_bytes_ = 0;  // of entries that the node has not taken in
  std::uint64_t watched_sync_ = 0;
  Millis held_turns_ = 0;  // that the watched one has not ended for
  RequestId next_request_ = 1;
  LagBook lags_;                  // of others while it leads, else of what is to be applied here
  std::int64_t heard_unix_ms_ = 0;  // as of HostStatus
  Sequence told_commit_ = 0;
  Millis whole_at_ = 0;  // when all of told_commit_ was last applied

  mutable std::mutex mutex_;
  struct Asked {
    std::optional<bool> answer;
    std::condition_variable answered;  // each waits for its own
  };
  std::map<RequestId, Asked> asked_;  // guarded by mutex_; reads and confirmations
  std::condition_variable none_asked_;
  HostStatus status_;                               // guarded by mutex_
  bool ending_ = false;                             // guarded by mutex_

  // Last, so that they end first.
  std::unique_ptr<WorkQueue> syncer_;  // of the mark
  std::unique_ptr<WorkQueue> applier_;
  std::unique_ptr<WorkQueue> fetcher_;
  std::unique_ptr<WorkQueue> loop_;
};

}  // namespace vexor::replication
