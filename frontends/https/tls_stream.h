// TlsStream: TLS on a non-blocking socket, driven by readiness. OpenSSL reads and writes the socket itself, so
// a large write is encrypted record by record without a copy between, and a read takes all that is there.
//
// One caller at a time, on the socket's strand. Every wait ends when the socket is closed (deadlines do that).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <openssl/ssl.h>
#include <span>

#include "vexorstore/bytes.h"

namespace vexor::frontend {

class TlsStream {
 public:
  TlsStream(boost::asio::ip::tcp::socket socket, SSL_CTX* context);

  boost::asio::ip::tcp::socket& socket() { return socket_; }
  boost::asio::awaitable<bool> handshake();
  // What has arrived, up to the room; waits for the first octet. 0: the peer closed, or an error.
  boost::asio::awaitable<std::size_t> read_some(std::span<char> room);
  // All of `bytes`. False: the connection broke.
  boost::asio::awaitable<bool> write_all(Bytes bytes);
  // Says goodbye, and does not wait for the answer.
  void shutdown();

 private:
  boost::asio::awaitable<bool> wait_for(int result);

  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<SSL, Free> ssl_;
  bool is_broken_ = false;
};

}  // namespace vexor::frontend
