#include "replication/transport/etcd_coordinator.h"

#include <grpcpp/grpcpp.h>

#include "etcd.grpc.pb.h"
#include "replication/host/work_queue.h"
#include "replication/transport/credentials.h"
#include "replication/transport/record_json.h"

namespace vexor::replication {

namespace {

using etcdserverpb::KeyValue;

constexpr int kConnectMsMax = 2000;    // what gRPC calls the least backoff is how long an attempt may take
constexpr int kKeepAliveMs = 10'000;   // etcd ends connections that ask oftener than every 5 s
constexpr int kSilentReads = 2;        // in a row: one alone may have met a busy machine

Result<VersionedRecord> to_record(const KeyValue& pair) {
  VEXOR_TRY(Record record, record_from_json(pair.value()));
  return VersionedRecord{static_cast<std::uint64_t>(pair.version()), std::move(record)};
}

class EtcdClient {
 public:
  explicit EtcdClient(const EtcdOptions& options) : options_(options) {
    const auto credentials = client_credentials(options.ca_file, options.certificate_file, options.key_file);
    if (credentials.has_error()) return;  // no endpoint ever answers
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectMsMax);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
    // A connection whose other end is silent ends; else it would be waited for as long as it was silent, and a watch for ever.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepAliveMs);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 1000);
    for (const std::string& endpoint : options.endpoints) channels_.push_back(grpc::CreateCustomChannel(endpoint, credentials.value(), arguments));
  }

  // Nullopt: no answer.
  std::optional<std::optional<VersionedRecord>> read() {
    etcdserverpb::RangeRequest request;
    request.set_key(options_.key);
    etcdserverpb::RangeResponse response;
    if (!call([&](grpc::ClientContext& context, auto& stub) { return stub.Range(&context, request, &response); }, true)) return std::nullopt;
    revision_ = response.header().revision();
    if (response.kvs_size() == 0) return std::optional<VersionedRecord>();
    auto record = to_record(response.kvs(0));
    if (record.has_error()) return std::nullopt;
    return std::optional<VersionedRecord>(std::move(record).value());
  }

  ChangeAnswer change(std::uint64_t expected, const Record& record) {
    etcdserverpb::TxnRequest request;
    etcdserverpb::Compare& compare = *request.add_compare();
    compare.set_target(etcdserverpb::Compare::VERSION);
    compare.set_result(etcdserverpb::Compare::EQUAL);
    compare.set_key(options_.key);
    compare.set_version(static_cast<std::int64_t>(expected));
    etcdserverpb::PutRequest& put = *request.add_success()->mutable_request_put();
    put.set_key(options_.key);
    put.set_value(to_json(record));
    etcdserverpb::TxnResponse response;
    // One try: of a second one nobody could tell what the first did.
    if (!call([&](grpc::ClientContext& context, auto& stub) { return stub.Txn(&context, request, &response); }, false)) return ChangeAnswer::kUnknown;
    return response.succeeded() ? ChangeAnswer::kDone : ChangeAnswer::kConflict;
  }

  bool empty() const { return channels_.empty(); }
  std::shared_ptr<grpc::Channel> next_channel() { return channels_[next_++ % channels_.size()]; }
  std::int64_t revision() const { return revision_; }

 private:
  template <class F>
  bool call(F work, bool again) {
    for (std::size_t tries = 0; tries < channels_.size(); ++tries) {
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(options_.call_ms_max));
      const auto stub = etcdserverpb::KV::NewStub(channels_[next_ % channels_.size()]);
      if (work(context, *stub).ok()) return true;
      ++next_;
      if (!again) return false;
    }
    return false;
  }

  EtcdOptions options_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::size_t next_ = 0;
  std::int64_t revision_ = 0;
};

}  // namespace

class EtcdCoordinator::State {
 public:
  State(const EtcdOptions& options, Run run_in) : run(std::move(run_in)), client(options), options_(options), watcher_client_(options) {}
  ~State() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      if (context_) context_->TryCancel();
      wake_.notify_all();
    }
    if (watcher_.joinable()) watcher_.join();
    queue.stop();
  }

  void watch(std::function<void(const VersionedRecord&)> changed) {
    changed_ = std::move(changed);
    watcher_ = std::thread([this] { watch_until_end(); });
  }

  struct Change {
    std::uint64_t expected = 0;
    Record record;
    std::function<void(ChangeAnswer)> done;
  };
  // Stale ones would be sent first when etcd is there again, each for as long as a call may take.
  void change(Change change) {
    std::optional<Change> replaced;
    {
      const std::lock_guard lock(mutex_);
      replaced = std::exchange(next_change_, std::move(change));
    }
    if (replaced) return run([done = std::move(replaced->done)] { done(ChangeAnswer::kUnknown); });
    queue.post([this] {
      const Change next = take_change();
      const ChangeAnswer answer = client.change(next.expected, next.record);
      run([done = next.done, answer] { done(answer); });
    });
  }

  // Of the queue's thread. A watch that lies still tells of nothing: whether etcd answers, the readings tell.
  void note_read(bool is_answered) {
    reads_failed_ = is_answered ? 0 : reads_failed_ + 1;
    if (reads_failed_ == kSilentReads) note(RecordWatch::kSilent);
    if (is_answered) note_answer();
  }

  Run run;
  EtcdClient client;  // of the queue's thread
  WorkQueue queue{"etcd"};
  std::atomic<bool> is_read_queued = false;  // one at a time: while etcd is away they would keep a change waiting

 private:
  Change take_change() {
    const std::lock_guard lock(mutex_);
    Change out = std::move(*next_change_);
    next_change_.reset();
    return out;
  }

  void tell(const VersionedRecord& record) {
    run([changed = changed_, record] { changed(record); });
  }

  void watch_until_end() {
    while (!watcher_client_.empty()) {
      // What is there now; the watch goes on from behind it.
      const auto now = watcher_client_.read();
      note(!now ? RecordWatch::kSilent : *now ? RecordWatch::kWatched : RecordWatch::kMissing);
      if (now) {
        has_record_ = now->has_value();
        if (*now) tell(**now);
        watch_once(watcher_client_.revision() + 1);
      }
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, std::chrono::milliseconds(200), [&] { return ending_; })) return;
    }
  }

  void note(RecordWatch now) {
    if (options_.watch) options_.watch->store(now);
  }
  // Of what the readings found silent while the watch went on.
  void note_answer() {
    auto silent = RecordWatch::kSilent;
    if (options_.watch && is_watching_) options_.watch->compare_exchange_strong(silent, has_record_ ? RecordWatch::kWatched : RecordWatch::kMissing);
  }

  void watch_once(std::int64_t revision) {
    grpc::ClientContext context;
    context.AddMetadata("hasleader", "true");  // a server of etcd that has lost the others ends the watch; else it would lie still
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return;
      context_ = &context;
    }
    const auto stub = etcdserverpb::Watch::NewStub(watcher_client_.next_channel());
    const auto stream = stub->Watch(&context);
    etcdserverpb::WatchRequest request;
    request.mutable_create_request()->set_key(options_.key);
    request.mutable_create_request()->set_start_revision(revision);
    etcdserverpb::WatchResponse response;
    bool open = stream->Write(request);
    while (open && stream->Read(&response)) {
      if (response.canceled() || response.compact_revision() != 0) break;
      is_watching_ = true;
      for (const etcdserverpb::Event& event : response.events()) {
        has_record_ = event.type() == etcdserverpb::Event::PUT;
        note(event.type() == etcdserverpb::Event::PUT ? RecordWatch::kWatched : RecordWatch::kMissing);
        if (event.type() != etcdserverpb::Event::PUT) continue;
        const auto record = to_record(event.kv());
        if (record.has_value()) tell(record.value());
      }
    }
    is_watching_ = false;
    context.TryCancel();
    (void)stream->Finish();
    const std::lock_guard lock(mutex_);
    context_ = nullptr;
  }

  EtcdOptions options_;
  EtcdClient watcher_client_;  // of the watcher's thread
  std::function<void(const VersionedRecord&)> changed_;
  std::atomic<bool> is_watching_ = false;
  std::atomic<bool> has_record_ = false;  // as the watcher knows it
  int reads_failed_ = 0;  // of the queue's thread; in a row
  std::mutex mutex_;
  std::condition_variable wake_;
  grpc::ClientContext* context_ = nullptr;  // guarded by mutex_; of the watch that runs
  bool ending_ = false;                     // guarded by mutex_
  std::optional<Change> next_change_;       // guarded by mutex_; there is one in the queue for it
  std::thread watcher_;
};

EtcdCoordinator::EtcdCoordinator(const EtcdOptions& options, Run run) : state_(std::make_unique<State>(options, std::move(run))) {}
EtcdCoordinator::~EtcdCoordinator() = default;

void EtcdCoordinator::read(std::function<void(std::optional<VersionedRecord>)> done) {
  if (state_->is_read_queued.exchange(true)) return;  // who asks does so again
  state_->queue.post([state = state_.get(), done = std::move(done)] {
    state->is_read_queued = false;
    const auto answer = state->client.read();
    state->note_read(answer.has_value());
    const auto record = answer ? *answer : std::optional<VersionedRecord>();
    state->run([done, record] { done(record); });
  });
}

void EtcdCoordinator::compare_and_set(std::uint64_t expected, const Record& record, std::function<void(ChangeAnswer)> done) {
  state_->change({expected, record, std::move(done)});
}

std::size_t EtcdCoordinator::waiting() const { return state_->queue.waiting(); }

void EtcdCoordinator::watch(std::function<void(const VersionedRecord&)> changed) { state_->watch(std::move(changed)); }

Result<std::optional<VersionedRecord>> read_record(const EtcdOptions& options) {
  EtcdClient client(options);
  auto answer = client.read();
  if (!answer) return Error(Errc::kUnavailable, "etcd does not answer, or its record is damaged");
  return std::move(*answer);
}

Result<ChangeAnswer> change_record(const EtcdOptions& options, std::uint64_t expected, const Record& record) {
  EtcdClient client(options);
  return client.change(expected, record);
}

}  // namespace vexor::replication
