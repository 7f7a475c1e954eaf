// vexord: the server. Parses options, opens the store, runs the frontends.
#include <CLI/CLI.hpp>
#include <boost/asio.hpp>
#include <cstdio>
#include <csignal>
#include <thread>

#include "https/https_server.h"
#include "ssh/ssh_server.h"
#include "vexorstore/sys/backends.h"

namespace {

namespace net = boost::asio;
using namespace vexor;

int fail(const Error& error) {
  std::fprintf(stderr, "vexord: %s\n", error.message().c_str());
  return 1;
}

bool split_endpoint(const std::string& text, std::string& address, std::uint16_t& port) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  address = text.substr(0, colon);
  try {
    const unsigned long value = std::stoul(text.substr(colon + 1));
    if (value > 65535) return false;
    port = static_cast<std::uint16_t>(value);
  } catch (const std::exception&) {
    return false;
  }
  return true;
}

// SIGTERM: no new connections, up to `drain_seconds` for those that are open, then the end.
void run(net::io_context& io, frontend::HttpsServer& https, frontend::SshServer* ssh, unsigned threads, int drain_seconds) {
  net::signal_set signals(io, SIGTERM, SIGINT, SIGHUP);
  net::steady_timer drain(io);
  std::function<void(int)> poll = [&](int rest_ms) {
    const unsigned open = https.connections() + (ssh != nullptr ? ssh->connections() : 0);
    if (open == 0 || rest_ms <= 0) return io.stop();
    drain.expires_after(std::chrono::milliseconds(50));
    drain.async_wait([&poll, rest_ms](const boost::system::error_code&) { poll(rest_ms - 50); });
  };
  std::function<void()> wait = [&] {
    signals.async_wait([&](const boost::system::error_code& failed, int signal) {
      if (failed) return;
      if (signal == SIGHUP) {
        if (auto done = https.reload_certificate(); done.has_error()) fail(done.error());
        return wait();
      }
      https.stop();
      if (ssh != nullptr) ssh->stop();
      poll(drain_seconds * 1000);
    });
  };
  wait();
  std::vector<std::thread> pool;
  for (unsigned i = 1; i < threads; ++i) pool.emplace_back([&io] { io.run(); });
  io.run();
  for (std::thread& thread : pool) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"vexord: a Git server on the vexorstore engine"};
  std::string data;
  std::string https_endpoint = "127.0.0.1:8443";
  std::string ssh_endpoint;
  int drain_seconds = 30;
  app.add_option("--data", data, "directory of the store, its certificate and its keys")->required();
  app.add_option("--https", https_endpoint, "ADDRESS:PORT to serve HTTPS on; port 0 is any free one");
  app.add_option("--ssh", ssh_endpoint, "ADDRESS:PORT to serve SSH on; without it there is no SSH");
  app.add_option("--drain-seconds", drain_seconds, "how long SIGTERM waits for open requests")->check(CLI::Range(0, 3600));
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);

  const std::filesystem::path directory(data);
  std::error_code ignored;
  std::filesystem::create_directories(directory / "tmp", ignored);
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all, ignored);
  auto backend = sys::open_rocksdb_backend(directory / "store");
  if (backend.has_error()) return fail(backend.error());
  StoreOptions options;
  options.scratch_directory = directory / "tmp";
  auto store = Store::open(std::move(backend).value(), options);
  if (store.has_error()) return fail(store.error());

  net::io_context io;
  frontend::Service service(*store.value());
  frontend::HttpsOptions https_options;
  https_options.tls_directory = directory / "tls";
  if (!split_endpoint(https_endpoint, https_options.address, https_options.port)) {
    std::fprintf(stderr, "vexord: --https takes ADDRESS:PORT\n");
    return 2;
  }
  frontend::HttpsServer https(io, service, https_options);
  if (auto started = https.start(); started.has_error()) return fail(started.error());
  std::unique_ptr<frontend::SshServer> ssh;
  if (!ssh_endpoint.empty()) {
    frontend::SshOptions ssh_options;
    ssh_options.key_directory = directory / "ssh";
    if (!split_endpoint(ssh_endpoint, ssh_options.address, ssh_options.port)) {
      std::fprintf(stderr, "vexord: --ssh takes ADDRESS:PORT\n");
      return 2;
    }
    ssh = std::make_unique<frontend::SshServer>(service, ssh_options);
    if (auto started = ssh->start(); started.has_error()) return fail(started.error());
  }
  std::printf("{\"ready\":true,\"https\":\"%s\",\"ssh\":\"%s\",\"certificate\":\"%s\"}\n", https.endpoint().c_str(),
              ssh ? ssh->endpoint().c_str() : "",
              std::filesystem::absolute(directory / "tls" / "cert.pem").c_str());
  std::fflush(stdout);
  run(io, https, ssh.get(), 2, drain_seconds);
  return 0;
}
