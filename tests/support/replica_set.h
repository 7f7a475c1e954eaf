// A replica set in one process: real stores, nodes, threads and clocks; links and coordinator are the test's.
#pragma once

#include <atomic>
#include <map>

#include "replication/host/replica_host.h"
#include "support/durable_backend.h"
#include "support/push_builder.h"

namespace vexor::test {

using replication::ChangeAnswer;
using replication::Coordinator;
using replication::Incarnation;
using replication::Message;
using replication::NodeId;
using replication::Options;
using replication::Record;
using replication::ReplicaHost;
using replication::Role;
using replication::Sequence;
using replication::Transport;
using replication::VersionedRecord;

// Shared by the members; survives them.
class SetRecord {
 public:
  explicit SetRecord(Record record) { record_ = {1, std::move(record)}; }
  VersionedRecord get() {
    const std::lock_guard lock(mutex_);
    return record_;
  }
  ChangeAnswer change(std::uint64_t expected, const Record& record) {
    const std::lock_guard lock(mutex_);
    if (record_.version != expected) return ChangeAnswer::kConflict;
    record_ = {expected + 1, record};
    for (const auto& watcher : watchers_) watcher.second(record_);
    return ChangeAnswer::kDone;
  }
  int watch(std::function<void(VersionedRecord)> watcher) {
    const std::lock_guard lock(mutex_);
    watchers_[++last_] = std::move(watcher);
    return last_;
  }
  void forget(int watcher) {
    const std::lock_guard lock(mutex_);
    watchers_.erase(watcher);
  }

 private:
  std::mutex mutex_;
  VersionedRecord record_;
  std::map<int, std::function<void(VersionedRecord)>> watchers_;
  int last_ = 0;
};

class SharedCoordinator final : public Coordinator {
 public:
  SharedCoordinator(SetRecord& shared, std::function<void(std::function<void()>)> run) : shared_(shared), run_(std::move(run)) {}
  ~SharedCoordinator() override { shared_.forget(watcher_); }
  void read(std::function<void(std::optional<VersionedRecord>)> done) override {
    run_([record = shared_.get(), done = std::move(done)] { done(record); });
  }
  void compare_and_set(std::uint64_t expected, const Record& record, std::function<void(ChangeAnswer)> done) override {
    run_([answer = shared_.change(expected, record), done = std::move(done)] { done(answer); });
  }
  void watch(std::function<void(const VersionedRecord&)> changed) override {
    watcher_ = shared_.watch([this, changed = std::move(changed)](const VersionedRecord& record) { run_([changed, record] { changed(record); }); });
  }

 private:
  SetRecord& shared_;
  std::function<void(std::function<void()>)> run_;
  int watcher_ = 0;
};

class ReplicaSet {
 public:
  // Rows offered to a server of the set.
  class DirectCall final : public replication::RowsCall {
   public:
    DirectCall(ReplicaSet& set, NodeId from, NodeId to, replication::RowsOffer offer) : set_(set), from_(from), to_(to), offer_(std::move(offer)) { ++set_.server(from_).calls; }
    ~DirectCall() override {
      const auto host = set_.host_of(to_);
      if (taking_ && host && host == host_.lock()) host->shelf().end(std::move(taking_));
      --set_.server(from_).calls;
    }
    Result<std::uint64_t> begin() override {
      VEXOR_TRY(const auto host, reach());
      VEXOR_TRY(taking_, host->take_rows(from_, offer_));
      host_ = host;
      breaks_ = set_.server(from_).calls_break > 0 && set_.server(from_).calls_break-- > 0;
      set_.server(from_).pieces_known += static_cast<int>(taking_->pieces);
      return taking_->pieces;
    }
    Result<void> send(const std::string& piece) override {
      VEXOR_TRY(const auto host, reach());
      if (breaks_ && ++sent_ > 2) return Error(Errc::kUnavailable, "the test breaks it off");
      return host->shelf().add(*taking_, piece);
    }
    Result<void> finish() override {
      VEXOR_TRY(const auto host, reach());
      return host->shelf().finish(*taking_);
    }
    void cancel() override { is_cancelled_ = true; }

   private:
    Result<std::shared_ptr<ReplicaHost>> reach() {
      auto host = set_.host_of(to_);
      const bool same = !taking_ || host == host_.lock();
      if (!host || !same || is_cancelled_ || set_.server(from_).is_cut_off || set_.server(to_).is_cut_off) return Error(Errc::kUnavailable, "not reached");
      return host;
    }
    ReplicaSet& set_;
    NodeId from_;
    NodeId to_;
    replication::RowsOffer offer_;
    std::weak_ptr<ReplicaHost> host_;
    std::unique_ptr<replication::RowsShelf::Taking> taking_;
    std::atomic<bool> is_cancelled_ = false;
    bool breaks_ = false;
    int sent_ = 0;
  };
  struct Server final : Transport {
    ReplicaSet* set = nullptr;
    NodeId id = 0;
    Incarnation incarnation = 0;
    std::unique_ptr<sys::StorageBackend> durable = sys::make_memory_backend();
    std::unique_ptr<sys::StorageBackend> live;
    std::unique_ptr<DurableBackend> power;
    std::unique_ptr<Store> store;
    std::shared_ptr<ReplicaHost> host;  // null: down
    std::atomic<bool> is_cut_off = false;

    void send(NodeId to, const Message& message) override { set->deliver(*this, to, message); }
    Result<void> fetch_rows(NodeId from, Bytes record, RowsWriter& writer) override {
      ++fetches;
      return set->fetch_rows(from, record, writer);
    }
    void leader_changed(NodeId) override {}
    std::unique_ptr<replication::RowsCall> offer_rows(NodeId to, const replication::RowsOffer& offer) override {
      return std::make_unique<DirectCall>(*set, id, to, offer);
    }
    std::atomic<int> fetches = 0;        // of rows that were not there with their record
    std::atomic<int> calls = 0;          // that offer rows, now
    std::atomic<int> calls_break = 0;    // so many calls that offer rows break off after a few pieces
    std::atomic<int> pieces_known = 0;   // that calls went on after
  };

  // The last one is off-site.
  explicit ReplicaSet(std::size_t servers, Options options = {}) : options_(options), record_(first_record(servers)) {
    for (std::size_t i = 0; i < servers; ++i) {
      servers_.push_back(std::make_unique<Server>());
      servers_.back()->set = this;
      servers_.back()->id = i + 1;
      start(i + 1);
    }
  }
  ~ReplicaSet() {
    for (auto& server : servers_) stop(server->id);
  }

  Server& server(NodeId id) { return *servers_.at(id - 1); }
  SetRecord& record() { return record_; }

  void start(NodeId id) {
    Server& server = this->server(id);
    server.live = copy_of(*server.durable);
    server.power = std::make_unique<DurableBackend>(*server.live, *server.durable);
    server.store = open(*server.power);
    server.incarnation = ++incarnations_;
    auto host = ReplicaHost::start(*server.store, {id, server.incarnation, 1000 + id}, options_, server,
                                   [this](auto run) { return std::make_unique<SharedCoordinator>(record_, std::move(run)); });
    ASSERT_TRUE(host.has_value()) << host.error().message();
    const std::lock_guard lock(mutex_);
    server.host = std::move(host).value();
  }
  // What a process that is killed leaves. `tell`: the others see their connections refused.
  void kill(NodeId id, bool tell = true) {
    Server& server = this->server(id);
    server.power->cut_power();
    stop(id);
    if (!tell) return;
    for (auto& other : servers_) {
      if (const auto host = host_of(other->id)) host->peer_dead(id, server.incarnation);
    }
  }
  NodeId wait_for_leader(NodeId other_than = 0) {
    for (int i = 0; i < 12'000; ++i) {
      for (auto& server : servers_) {
        const auto host = host_of(server->id);
        if (host && server->id != other_than && host->status().takes_pushes) return server->id;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "nobody leads";
    return 0;
  }
  // All that are up have applied all that the leader has.
  bool wait_for_all() {
    for (int i = 0; i < 12'000; ++i) {
      const auto leader = host_of(wait_for_leader());
      bool all = leader != nullptr;
      const Sequence last = all ? leader->status().last : 0;
      for (auto& server : servers_) {
        const auto host = host_of(server->id);
        all = all && (!host || (host->status().applied == last && host->log().last().sequence == last));
      }
      if (all) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  std::shared_ptr<ReplicaHost> host_of(NodeId id) {
    const std::lock_guard lock(mutex_);
    return server(id).host;
  }

 private:
  static Record first_record(std::size_t servers) {
    Record record;
    record.primary = 1;
    record.in_sync = {1};
    for (std::size_t i = 1; i <= servers; ++i) record.members.push_back({i, i == servers && servers > 2 ? Role::kOffsite : Role::kStandby});
    return record;
  }
  void stop(NodeId id) {
    std::shared_ptr<ReplicaHost> host;
    {
      const std::lock_guard lock(mutex_);
      host = std::exchange(server(id).host, nullptr);
    }
    while (host.use_count() > 1) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    host.reset();
    server(id).store.reset();
  }
  void deliver(Server& from, NodeId to, const Message& message) {
    if (from.is_cut_off || server(to).is_cut_off) return;
    if (const auto host = host_of(to)) host->receive(from.id, message);
  }
  Result<void> fetch_rows(NodeId from, Bytes record, RowsWriter& writer) {
    const auto host = host_of(from);
    if (!host) return Error(Errc::kUnavailable, "down");
    VEXOR_TRY(const RecordPlace place, place_of_record(record));
    VEXOR_TRY(const auto reader, host->log().read_rows(place.position.sequence));
    for (;;) {
      VEXOR_TRY(const std::string piece, reader->next());
      if (piece.empty()) return success();
      VEXOR_TRY(writer.add(piece));
    }
  }

  Options options_;
  SetRecord record_;
  std::mutex mutex_;
  std::atomic<Incarnation> incarnations_ = 0;
  std::vector<std::unique_ptr<Server>> servers_;
};

}  // namespace vexor::test
