#include "daemon/server.h"

#include <boost/asio.hpp>
#include <boost/json.hpp>
#include <csignal>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

#include "common/log.h"
#include "common/thread_worker_pool.h"
#include "common/version.h"
#include "daemon/descriptors.h"
#include "daemon/file_modes.h"
#include "daemon/member_store.h"
#include "daemon/purge_thread.h"
#include "replication/host/replica_host.h"

namespace vexor::frontend {

namespace net = boost::asio;

int fail(const char* program, const Error& error) {
  std::fprintf(stderr, "%s: %s\n", program, error.message().c_str());
  return error.code() == Errc::kInvalidArgument ? 2 : 1;
}

namespace {

// The frontends that the configuration asks for.
class Server {
 public:
  Server(OpenStore& opened, ServerConfig config)
      : store_(*opened.store), mark_(*opened.mark), service_(store_), config_(std::move(config)), maintenance_(store_, config_.maintenance), purges_(store_, purge_options()) {}

  Result<void> start() {
    if (config_.replication.node != 0) {
      VEXOR_TRY(replica_, ReplicaMember::start(service_, config_.replication, {&mark_, std::filesystem::path(config_.data) / "copy-out"}));
      service_.set_replica_set(*replica_, std::filesystem::path(config_.data) / "tmp");
    }
    if (!config_.https_listen.empty()) {
      https_ = std::make_unique<HttpsServer>(io_, service_, config_.https);
      VEXOR_TRY(https_->start());
    }
    if (!config_.ssh_listen.empty()) {
      ssh_ = std::make_unique<SshServer>(service_, config_.ssh);
      VEXOR_TRY(ssh_->start());
    }
    if (replica_) config_.admin.purge.members = [this] { return replica_->members(); };
    admin_ = std::make_unique<AdminServer>(service_, config_.admin);
    VEXOR_TRY(admin_->start());
    maintenance_.start();
    purges_.start();
    if (!config_.monitor_listen.empty()) {
      monitor_ = std::make_unique<MonitorServer>(io_, &service_, config_.monitor, [this] { set_gauges(); }, [this] { return replica_ ? replica_->health() : MemberHealth(); });
      VEXOR_TRY(monitor_->start());
    }
    return success();
  }

  std::string ready_line() const {
    const boost::json::object line{
        {"ready", true}, {"version", version()}, {"https", https_ ? https_->endpoint() : ""}, {"ssh", ssh_ ? ssh_->endpoint() : ""},
        {"monitor", monitor_ ? monitor_->endpoint() : ""}, {"admin", std::filesystem::absolute(config_.admin.socket).string()},
        {"certificate", std::filesystem::absolute(config_.https.tls_directory / "cert.pem").string()}};
    return boost::json::serialize(line);
  }

  // Until SIGTERM or SIGINT: then no new connections, up to drain_seconds for those that are open, and
  // the end. SIGHUP reads the certificate again.
  void run(unsigned threads) {
    wait_for_signal();
    watch_store();
    std::vector<std::thread> pool;
    for (unsigned i = 1; i < threads; ++i) pool.emplace_back([this] { io_.run(); });
    io_.run();
    for (std::thread& thread : pool) thread.join();
  }
  // After run(): why the store is to be replaced; empty: the server was asked to end.
  const std::string& needs_copy() const { return needs_copy_; }

 private:
  void wait_for_signal() {
    signals_.async_wait([this](const boost::system::error_code& failed, int signal) {
      if (failed) return;
      if (signal == SIGHUP) {
        if (https_) {
          const auto done = https_->reload_certificate();
          log_event("reload", {{"ok", done.has_value()}, {"message", done.has_error() ? done.error().message() : "certificate read"}});
        }
        return wait_for_signal();
      }
      log_event("drain", {{"signal", signal}});
      end_frontends();
      poll_drain(config_.drain_seconds * 1000);
      wait_for_second_signal();
    });
  }
  void end_frontends() {
    watch_timer_.cancel();
    if (monitor_) monitor_->drain();
    if (https_) https_->stop();
    if (ssh_) ssh_->stop();
    admin_->stop();
    maintenance_.stop();
    purges_.stop();
  }
  PurgeThreadOptions purge_options() {
    PurgeThreadOptions out;
    out.member = config_.replication.node;
    out.copies = {std::filesystem::path(config_.data) / "copy-out", std::filesystem::path(config_.data) / "copy-in"};
    out.bytes_per_second = config_.maintenance.bytes_per_second;
    out.report = [this](std::uint64_t request, const PurgeReport& report) { return replica_ ? replica_->report_purge(request, report) : report_purge(store_, request, report); };
    return out;
  }
  // A member whose store is to be replaced ends at once: it says nothing more (docs/protocol/replication.md, S1). Others keep
  // their mark.
  void watch_store() {
    watch_timer_.expires_after(replica_ ? kWatch : kSingleMark);
    watch_timer_.async_wait([this](const boost::system::error_code& failed) {
      if (failed) return;
      if (!replica_) {
        (void)mark_.write({{store_.last_sequence(), {}}, 0});
        (void)mark_.sync();
        return watch_store();
      }
      tell_alarms();
      tell_place();
      needs_copy_ = replica_->needs_copy();
      if (needs_copy_.empty()) return watch_store();
      log_event("replica_ends", {{"why", needs_copy_}});
      end_frontends();
      poll_drain(kGivenUpDrainMs);
    });
  }
  void tell_alarms() {
    for (const auto& [kind, count] : replica_->alarms()) {
      std::uint64_t& told = alarms_told_[kind];
      if (told == count) continue;
      for (; told < count; ++told) service_.metrics().alarm(kind);
      // One that stays, as a record that is not sound, comes with each look at it.
      const auto at = std::chrono::steady_clock::now();
      const auto before = alarm_logged_at_.find(kind);
      if (before != alarm_logged_at_.end() && at - before->second < kAlarmAgain) continue;
      alarm_logged_at_[kind] = at;
      log_event("alarm", {{"kind", kind}, {"count", count}, {"what", "replication: see docs/operations/runbooks.md"}});
    }
  }
  // Who leads, who is in sync and whether the record is seen: each change is a line. What lasts shorter than kRecordGrace is none.
  void tell_place() {
    ReplicaMember::Place now = replica_->place();
    const auto at = std::chrono::steady_clock::now();
    if (now.record == place_told_.record) record_told_at_ = at;
    else if (at - record_told_at_ < kRecordGrace) now.record = place_told_.record;
    if (now == place_told_) return;
    log_event("replica", {{"role", now.role}, {"epoch", now.epoch}, {"primary", now.primary}, {"in_sync", now.in_sync}, {"record", now.record}});
    place_told_ = now;
  }
  void wait_for_second_signal() {
    signals_.async_wait([this](const boost::system::error_code& failed, int signal) {
      if (failed) return;
      if (signal == SIGHUP) return wait_for_second_signal();
      io_.stop();  // asked twice
    });
  }
  void poll_drain(int rest_ms) {
    const unsigned open = (https_ ? https_->connections() : 0) + (ssh_ ? ssh_->connections() : 0) + admin_->connections();
    if (open == 0 || rest_ms <= 0) return io_.stop();
    drain_timer_.expires_after(std::chrono::milliseconds(50));
    drain_timer_.async_wait([this, rest_ms](const boost::system::error_code&) { poll_drain(rest_ms - 50); });
  }
  void set_gauges() {
    if (replica_) service_.metrics().replica(replica_->figures());
    if (https_) service_.metrics().connections("https", https_->connections());
    if (ssh_) service_.metrics().connections("ssh", ssh_->connections());
    service_.metrics().connections("admin", admin_->connections());
  }

  static constexpr std::chrono::milliseconds kWatch{100};
  static constexpr std::chrono::seconds kSingleMark{1};
  static constexpr std::chrono::seconds kRecordGrace{3};
  static constexpr std::chrono::seconds kAlarmAgain{10};  // between two lines of one kind
  static constexpr int kGivenUpDrainMs = 1000;

  Store& store_;
  replication::StoreMark& mark_;
  std::string needs_copy_;
  std::map<std::string, std::uint64_t> alarms_told_;  // by kind
  std::map<std::string, std::chrono::steady_clock::time_point> alarm_logged_at_;
  ReplicaMember::Place place_told_{};
  std::chrono::steady_clock::time_point record_told_at_{};
  net::io_context io_;
  net::signal_set signals_{io_, SIGTERM, SIGINT, SIGHUP};
  net::steady_timer drain_timer_{io_};
  net::steady_timer watch_timer_{io_};
  Service service_;
  ServerConfig config_;
  std::unique_ptr<ReplicaMember> replica_;
  std::unique_ptr<HttpsServer> https_;
  std::unique_ptr<SshServer> ssh_;
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<MonitorServer> monitor_;
  MaintenanceThread maintenance_;
  PurgeThread purges_;
};

// Takes a copy in the place of the store; only the monitor answers meanwhile.
void replace(const ServerConfig& config, const std::string& reason) {
  net::io_context io;
  auto line = std::make_shared<std::pair<std::mutex, std::string>>();
  const auto status = [line, reason, node = config.replication.node] {
    const std::lock_guard lock(line->first);
    return MemberHealth{boost::json::serialize(boost::json::object{{"node", node}, {"role", "copying"}, {"takes_pushes", false}, {"damaged", true}, {"appended", 0}, {"committed", 0},
                                                                   {"applied", 0}, {"why", reason}, {"copy", line->second}, {"version", version()}})};
  };
  std::unique_ptr<MonitorServer> monitor;
  if (!config.monitor_listen.empty()) {
    monitor = std::make_unique<MonitorServer>(io, nullptr, config.monitor, [] {}, status);
    (void)monitor->start();  // else it stays silent
  }
  std::thread thread([&io] {
    const auto work = net::make_work_guard(io);
    io.run();
  });
  replace_store(config, [line](const std::string& now) {
    const std::lock_guard lock(line->first);
    line->second = now;
  });
  io.stop();
  thread.join();
}

}  // namespace

int run_server(const ServerConfig& config, const char* program) {
  close_new_files();
  std::signal(SIGPIPE, SIG_IGN);
  if (auto fits = reserve_descriptors(config); fits.has_error()) return fail(program, fits.error());
  const std::filesystem::path directory(config.data);
  if (auto made = make_data_directory(config); made.has_error()) return fail(program, made.error());
  ThreadWorkerPool workers(ThreadWorkerPool::default_width());
  for (;;) {
    close_data(config);
    sys::RocksdbOptions rocksdb = config.rocksdb;
    rocksdb.damage = std::make_shared<sys::DamageLog>();
    StoreOptions options;
    options.workers = &workers;
    options.scratch_directory = directory / "tmp";
    options.limits = config.limits;
    options.maintenance = config.maintenance.policy;
    options.damage = rocksdb.damage;
    auto opened = open_store(config, rocksdb, options);
    if (opened.has_error()) return fail(program, opened.error());
    if (!opened.value().store) {
      replace(config, opened.value().needs_copy);
      continue;
    }
    std::string needs_copy;
    {
      Server server(opened.value(), config);
      if (auto started = server.start(); started.has_error()) return fail(program, started.error());
      std::printf("%s\n", server.ready_line().c_str());
      std::fflush(stdout);
      server.run(2);
      needs_copy = server.needs_copy();
    }
    if (needs_copy.empty()) return 0;
    opened = Error(Errc::kUnavailable, needs_copy);  // closes the store
    if (auto noted = give_up_store(config, needs_copy); noted.has_error()) return fail(program, noted.error());
  }
}

}  // namespace vexor::frontend
