#include "ssh/ssh_server.h"

#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstring>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "common/address_counts.h"
#include "common/log.h"
#include "common/peer_address.h"
#include "replication/host/durable_files.h"
#include "ssh/ssh_connection.h"

namespace vexor::frontend {

struct SshServer::Shared {
  Shared(Service& service_in, SshOptions options_in) : service(service_in), options(std::move(options_in)) {}
  ~Shared() {
    if (bind != nullptr) ssh_bind_free(bind);
    if (listener >= 0) ::close(listener);
  }
  Service& service;
  SshOptions options;
  ssh_bind bind = nullptr;
  int listener = -1;
  std::thread acceptor;
  std::atomic<bool> accepting{true};
  std::atomic<bool> stopping{false};
  std::atomic<unsigned> connections{0};
  std::atomic<unsigned> unauthenticated{0};
  AddressCounts addresses;
  AddressCounts strangers;  // that have not logged in
};

namespace {

constexpr std::chrono::milliseconds kAcceptPause{100};  // when there is no descriptor or thread left, say

// Makes the host key on first use. Errors: kIo.
Result<void> import_host_key(ssh_bind bind, const std::filesystem::path& path, ssh_keytypes_e type, int bits) {
  ssh_key key = nullptr;
  if (!std::filesystem::exists(path)) {
    if (ssh_pki_generate(type, bits, &key) != SSH_OK) return Error(Errc::kIo, "cannot make an SSH host key");
    const std::filesystem::path next = path.string() + ".next";
    const int written = ssh_pki_export_privkey_file(key, nullptr, nullptr, nullptr, next.c_str());
    if (written != SSH_OK) return Error(Errc::kIo, "cannot write an SSH host key");
    std::error_code failed;
    std::filesystem::permissions(next, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, failed);
    // Clients remember it: it is told to nobody before it would survive power loss.
    VEXOR_TRY(replication::sync_path(next));
    if (!failed) std::filesystem::rename(next, path, failed);
    if (failed) return Error(Errc::kIo, "cannot write an SSH host key");
    VEXOR_TRY(replication::sync_path(path.parent_path()));
  } else if (ssh_pki_import_privkey_file(path.c_str(), nullptr, nullptr, nullptr, &key) != SSH_OK) {
    return Error(Errc::kIo, "cannot read an SSH host key");
  }
  if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) != SSH_OK) return Error(Errc::kIo, "SSH host key refused");
  return success();
}

}  // namespace

SshServer::SshServer(Service& service, SshOptions options) : shared_(std::make_shared<Shared>(service, std::move(options))) {}

SshServer::~SshServer() {
  stop();
  stop_connections();
  while (shared_->connections.load() > 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

Result<void> SshServer::start() {
  Shared& s = *shared_;
  ssh_init();
  std::error_code ignored;
  std::filesystem::create_directories(s.options.key_directory, ignored);
  s.bind = ssh_bind_new();
  const bool process_config = false;
  const int rsa_bits_min = 3072;
  ssh_bind_options_set(s.bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &process_config);
  ssh_bind_options_set(s.bind, SSH_BIND_OPTIONS_RSA_MIN_SIZE, &rsa_bits_min);
  VEXOR_TRY(import_host_key(s.bind, s.options.key_directory / "ssh_host_ed25519_key", SSH_KEYTYPE_ED25519, 0));
  VEXOR_TRY(import_host_key(s.bind, s.options.key_directory / "ssh_host_ecdsa_key", SSH_KEYTYPE_ECDSA_P256, 256));
  boost::system::error_code failed;
  const auto address = boost::asio::ip::make_address(s.options.address, failed);
  if (failed) return Error(Errc::kInvalidArgument, "ssh: not an IP address: " + s.options.address);
  const boost::asio::ip::tcp::endpoint endpoint(address, s.options.port);
  s.listener = ::socket(endpoint.data()->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(s.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(s.listener, endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 || ::listen(s.listener, 256) != 0) {
    return Error(Errc::kIo, "ssh: cannot listen on " + s.options.address + " port " + std::to_string(s.options.port) + ": " + std::strerror(errno));
  }
  s.acceptor = std::thread([shared = shared_] {
    while (shared->accepting.load()) {
      pollfd waiting{shared->listener, POLLIN, 0};
      if (::poll(&waiting, 1, 200) <= 0) continue;
      boost::asio::ip::tcp::endpoint from;
      auto size = static_cast<socklen_t>(from.capacity());
      const int socket = ::accept4(shared->listener, from.data(), &size, SOCK_CLOEXEC);
      if (socket < 0) {
        std::this_thread::sleep_for(kAcceptPause);
        continue;
      }
      if (shared->connections.load() >= shared->options.connections_max ||
          shared->unauthenticated.load() >= shared->options.unauthenticated_max) {
        ::close(socket);
        continue;
      }
      const int no_delay = 1;
      setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay);
      const std::string text = plain_address(from.address()).to_string();
      auto place = shared->addresses.enter(limit_key(text), shared->options.connections_per_address_max);
      auto stranger = shared->strangers.enter(limit_key(text), shared->options.unauthenticated_per_address_max);
      if (!place || !stranger) {
        ::close(socket);
        continue;
      }
      StrangerPlace unknown(shared->unauthenticated, std::move(stranger));
      shared->connections.fetch_add(1);
      try {
        std::thread([shared, socket, peer = text, place = std::move(place), unknown = std::move(unknown)]() mutable {
          const SshConnectionContext context{shared->service, shared->options, shared->bind, shared->stopping};
          try {
            serve_ssh_connection(context, socket, peer, std::move(unknown));
          } catch (const std::exception& error) {  // no memory, or no more threads: of one connection
            log_event("error", {{"what", "ssh connection"}, {"message", error.what()}});
          }
          shared->connections.fetch_sub(1);
        }).detach();
      } catch (const std::system_error&) {  // the system has no more threads
        shared->connections.fetch_sub(1);
        ::close(socket);
        std::this_thread::sleep_for(kAcceptPause);
      }
    }
  });
  return success();
}

std::string SshServer::endpoint() const {
  boost::asio::ip::tcp::endpoint local;
  auto size = static_cast<socklen_t>(local.capacity());
  getsockname(shared_->listener, local.data(), &size);
  return endpoint_text(shared_->options.address, local.port());
}

void SshServer::stop() {
  shared_->accepting.store(false);
  if (shared_->acceptor.joinable()) shared_->acceptor.join();
}

void SshServer::stop_connections() { shared_->stopping.store(true); }

unsigned SshServer::connections() const { return shared_->connections.load(); }

}  // namespace vexor::frontend
