#include "https/tls_stream.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl3.h>
#include <optional>
#include <sys/socket.h>

namespace vexor::frontend {

namespace net = boost::asio;
using tcp = net::ip::tcp;

namespace {
constexpr auto kToken = net::as_tuple(net::use_awaitable);

// Between, the kernel sends full segments only: OpenSSL writes each record of 16 KiB by a call of its own, which
// would leave as a segment of its own.
class FullSegments {
 public:
  explicit FullSegments(tcp::socket& socket) : socket_(socket) { set(1); }
  ~FullSegments() { set(0); }  // sends what is left
  FullSegments(const FullSegments&) = delete;
  FullSegments& operator=(const FullSegments&) = delete;

 private:
  // A failure costs speed only. A closed socket's number may be another connection's.
  void set(int on) const {
    if (socket_.is_open()) (void)setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_CORK, &on, sizeof on);
  }
  tcp::socket& socket_;
};
}  // namespace

TlsStream::TlsStream(tcp::socket socket, SSL_CTX* context) : socket_(std::move(socket)), ssl_(SSL_new(context)) {
  boost::system::error_code failed;
  socket_.native_non_blocking(true, failed);
  if (!ssl_ || failed || SSL_set_fd(ssl_.get(), static_cast<int>(socket_.native_handle())) != 1) {
    is_broken_ = true;
    return;
  }
  SSL_set_accept_state(ssl_.get());
  SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}

// After an operation that did not succeed: waits for what it needs. False: it never will.
net::awaitable<bool> TlsStream::wait_for(int result) {
  const int why = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
    is_broken_ = true;
    co_return false;
  }
  if (!socket_.is_open()) co_return false;
  const auto kind = why == SSL_ERROR_WANT_READ ? tcp::socket::wait_read : tcp::socket::wait_write;
  const auto [failed] = co_await socket_.async_wait(kind, kToken);
  co_return !failed && socket_.is_open();
}

net::awaitable<bool> TlsStream::handshake() {
  while (!is_broken_) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) co_return true;
    const bool again = co_await wait_for(result);
    if (!again) break;
  }
  co_return false;
}

net::awaitable<std::size_t> TlsStream::read_some(std::span<char> room) {
  std::size_t total = 0;
  while (!is_broken_ && socket_.is_open() && total < room.size()) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_read_ex(ssl_.get(), room.data() + total, room.size() - total, &count);
    if (result == 1) {
      total += count;
      continue;
    }
    if (total > 0) break;  // an error will show itself again
    const bool again = co_await wait_for(result);
    if (!again) break;
  }
  co_return total;
}

net::awaitable<bool> TlsStream::write_all(Bytes bytes) {
  std::optional<FullSegments> segments;
  if (bytes.size() > SSL3_RT_MAX_PLAIN_LENGTH) segments.emplace(socket_);
  while (!bytes.empty()) {
    if (is_broken_ || !socket_.is_open()) co_return false;
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
    if (result == 1) {
      bytes.remove_prefix(count);
      continue;
    }
    const bool again = co_await wait_for(result);
    if (!again) co_return false;
  }
  co_return true;
}

void TlsStream::shutdown() {
  if (is_broken_ || !socket_.is_open()) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

}  // namespace vexor::frontend
