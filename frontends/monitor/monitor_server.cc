#include "monitor/monitor_server.h"

#include <atomic>
#include <boost/asio.hpp>
#include <boost/beast.hpp>

#include "common/peer_address.h"
#include "common/version.h"

namespace vexor::frontend {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = net::ip::tcp;

namespace {
constexpr auto kToken = net::as_tuple(net::use_awaitable);
constexpr std::size_t kRequestBytesMax = 8192;
constexpr std::chrono::milliseconds kAcceptPause{100};  // when there is no descriptor left, say
}  // namespace

struct MonitorServer::Shared : std::enable_shared_from_this<Shared> {
  Shared(net::io_context& io_in, Service* service_in, MonitorOptions options_in, std::function<void()> before,
         std::function<MemberHealth()> member_in)
      : io(io_in), service(service_in), options(std::move(options_in)), before_metrics(std::move(before)), member(std::move(member_in)), acceptor(io) {}

  net::io_context& io;
  Service* service;
  MonitorOptions options;
  std::function<void()> before_metrics;
  std::function<MemberHealth()> member;
  tcp::acceptor acceptor;
  std::atomic<bool> draining{false};
  std::atomic<unsigned> connections{0};

  // A health check reads the store: it fails when the disk does.
  http::response<http::string_body> answer(const http::request<http::string_body>& request) {
    http::response<http::string_body> out{http::status::ok, 11};
    out.set(http::field::content_type, "text/plain");
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      out.result(http::status::method_not_allowed);
      out.body() = "GET only\n";
    } else if (request.target() == "/healthz") {
      const bool reads = service != nullptr && service->store().find_repository("health/check").has_value();
      const MemberHealth state = member();
      const char* why = draining.load() ? "draining" : service == nullptr ? "taking a copy of the store" : !reads ? "the store cannot be read" : state.is_stopped ? "stopped" : nullptr;
      if (why != nullptr) out.result(http::status::service_unavailable);
      out.body() = std::string(why != nullptr ? why : "ok") + "\n";
      out.body() += (state.line.empty() ? "{\"version\":\"" + std::string(version()) + "\"}" : state.line) + "\n";
    } else if (request.target() == "/metrics") {
      before_metrics();
      out.set(http::field::content_type, "text/plain; version=0.0.4");
      out.body() = service != nullptr ? service->metrics().text(service->store()) : "vexor_replica_copying 1\nvexor_build_info{version=\"" + std::string(version()) + "\"} 1\n";
    } else {
      out.result(http::status::not_found);
      out.body() = "/healthz and /metrics\n";
    }
    out.keep_alive(false);
    out.prepare_payload();
    return out;
  }

  net::awaitable<void> serve(tcp::socket socket) {
    const auto self = shared_from_this();
    beast::tcp_stream stream(std::move(socket));
    stream.expires_after(std::chrono::seconds(options.request_seconds_max));
    beast::flat_buffer buffer(kRequestBytesMax);
    http::request<http::string_body> request;
    const auto [failed, count] = co_await http::async_read(stream, buffer, request, kToken);
    if (!failed) {
      const auto response = answer(request);
      co_await http::async_write(stream, response, kToken);
      beast::error_code ignored;
      stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }
    connections.fetch_sub(1);
  }

  net::awaitable<void> accept() {
    const auto self = shared_from_this();
    while (acceptor.is_open()) {
      auto strand = net::make_strand(io);
      auto [failed, socket] = co_await acceptor.async_accept(strand, kToken);
      if (failed == net::error::operation_aborted) break;
      if (failed) {
        net::steady_timer pause(io, kAcceptPause);
        co_await pause.async_wait(kToken);
        continue;
      }
      if (connections.load() >= options.connections_max) continue;
      connections.fetch_add(1);
      net::co_spawn(strand, serve(std::move(socket)), net::detached);
    }
  }
};

MonitorServer::MonitorServer(net::io_context& io, Service* service, MonitorOptions options, std::function<void()> before_metrics,
                             std::function<MemberHealth()> member)
    : shared_(std::make_shared<Shared>(io, service, std::move(options), std::move(before_metrics), std::move(member))) {}
MonitorServer::~MonitorServer() { stop(); }

Result<void> MonitorServer::start() {
  beast::error_code failed;
  const auto address = net::ip::make_address(shared_->options.address, failed);
  if (failed) return Error(Errc::kInvalidArgument, "monitor: not an address: " + shared_->options.address);
  const tcp::endpoint endpoint(address, shared_->options.port);
  shared_->acceptor.open(endpoint.protocol(), failed);
  if (!failed) shared_->acceptor.set_option(net::socket_base::reuse_address(true), failed);
  if (!failed) shared_->acceptor.bind(endpoint, failed);
  if (!failed) shared_->acceptor.listen(64, failed);
  if (failed) return Error(Errc::kIo, "monitor: cannot listen on " + shared_->options.address + " port " + std::to_string(shared_->options.port) + ": " + failed.message());
  net::co_spawn(shared_->io, [shared = shared_] { return shared->accept(); }, net::detached);
  return success();
}

std::string MonitorServer::endpoint() const {
  beast::error_code ignored;
  const auto local = shared_->acceptor.local_endpoint(ignored);
  return endpoint_text(shared_->options.address, local.port());
}

void MonitorServer::drain() { shared_->draining.store(true); }
void MonitorServer::stop() {
  beast::error_code ignored;
  shared_->acceptor.close(ignored);
}

}  // namespace vexor::frontend
