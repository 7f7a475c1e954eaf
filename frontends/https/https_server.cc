#include "https/https_server.h"

#include "common/peer_address.h"
#include "https/https_connection.h"
#include "https/https_state.h"
#include "https/tls.h"

namespace vexor::frontend {

namespace net = boost::asio;
using tcp = net::ip::tcp;
using error_code = boost::system::error_code;

namespace {
constexpr auto kToken = net::as_tuple(net::use_awaitable);
}  // namespace

struct HttpsServer::Shared : HttpsState, std::enable_shared_from_this<Shared> {
  using HttpsState::HttpsState;
  net::awaitable<void> accept();
};

net::awaitable<void> HttpsServer::Shared::accept() {
  const auto self = shared_from_this();
  while (acceptor.is_open()) {
    auto strand = net::make_strand(io);
    auto [failed, socket] = co_await acceptor.async_accept(strand, kToken);
    if (failed == net::error::operation_aborted) break;
    if (failed) {
      net::steady_timer pause(io, std::chrono::milliseconds(100));  // out of descriptors, say
      co_await pause.async_wait(kToken);
      continue;
    }
    if (connections.load() >= options.connections_max) continue;  // the socket closes
    std::shared_ptr<net::ssl::context> context;
    {
      const std::lock_guard lock(tls_mutex);
      context = tls;
    }
    error_code gone;
    const auto remote = socket.remote_endpoint(gone);
    auto place = addresses.enter(limit_key(remote.address().to_string()), options.connections_per_address_max);
    if (gone || !place) continue;
    start_connection(std::move(socket), std::move(context), self, std::move(place));
  }
}

HttpsServer::HttpsServer(net::io_context& io, Service& service, HttpsOptions options)
    : shared_(std::make_shared<Shared>(io, service, std::move(options))) {}

HttpsServer::~HttpsServer() {
  shared_->login_pool.join();
  shared_->waiting_pool.join();
  shared_->pool.join();
}

Result<void> HttpsServer::reload_certificate() {
  auto context = std::make_shared<net::ssl::context>(net::ssl::context::tls_server);
  VEXOR_TRY(const std::int64_t ends, load_certificate(*context, shared_->options.tls_directory));
  shared_->service.metrics().certificate("https", ends);
  const std::lock_guard lock(shared_->tls_mutex);
  shared_->tls = std::move(context);
  return success();
}

Result<void> HttpsServer::start() {
  VEXOR_TRY(ensure_certificate(shared_->options.tls_directory));
  VEXOR_TRY(reload_certificate());
  error_code failed;
  const auto address = net::ip::make_address(shared_->options.address, failed);
  if (failed) return Error(Errc::kInvalidArgument, "https: not an IP address: " + shared_->options.address);
  const tcp::endpoint endpoint(address, shared_->options.port);
  shared_->acceptor.open(endpoint.protocol(), failed);
  if (!failed) shared_->acceptor.set_option(net::socket_base::reuse_address(true), failed);
  if (!failed) shared_->acceptor.bind(endpoint, failed);
  if (!failed) shared_->acceptor.listen(1024, failed);
  if (failed) return Error(Errc::kIo, "https: cannot listen on " + shared_->options.address + " port " + std::to_string(shared_->options.port) + ": " + failed.message());
  net::co_spawn(shared_->io, shared_->accept(), net::detached);
  return success();
}

std::string HttpsServer::endpoint() const {
  error_code ignored;
  const auto local = shared_->acceptor.local_endpoint(ignored);
  return endpoint_text(local.address().to_string(), local.port());
}

void HttpsServer::stop() {
  const auto shared = shared_;
  shared->draining.store(true);
  net::post(shared->io, [shared] {
    error_code ignored;
    shared->acceptor.close(ignored);
    const std::lock_guard lock(shared->open_mutex);
    for (const auto& [connection, drain] : shared->open) drain();
  });
}

unsigned HttpsServer::connections() const { return shared_->connections.load(); }

}  // namespace vexor::frontend
