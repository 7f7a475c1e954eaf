// HTTPS frontend: smart HTTP over TLS. Spec: gitprotocol-http, docs/protocol/README.md.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "common/service.h"

namespace vexor::frontend {

struct HttpsOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                // 0: any free one
  std::filesystem::path tls_directory;   // cert.pem, key.pem
  unsigned workers = 4;                  // threads that run session work; half as many more check passwords
  unsigned waiting_workers = 64;         // in a replica set: threads in which sessions wait for other servers
  unsigned logins_waiting_max = 256;     // passwords that are checked or wait for it
  unsigned connections_max = 2048;
  unsigned connections_per_address_max = 512;
  std::size_t header_bytes_max = 16 * 1024;
  int header_seconds_max = 10;           // for a whole request header
  int idle_seconds_max = 60;             // between requests, and for 256 KiB of an answer
  int body_idle_seconds_max = 600;       // for one read of a body: a client may compress its pack for minutes
  std::uint64_t rate_bytes_per_second_min = 256;  // averaged over a request, behind the grace; 0: any
  int rate_grace_seconds = 900;
  int keep_alive_ms = 5000;              // of work without a byte to the client before a keep-alive goes out
  std::uint64_t gzip_body_bytes_max = 256ULL << 20;  // inflated size of a gzip request body
};

class HttpsServer {
 public:
  HttpsServer(boost::asio::io_context& io, Service& service, HttpsOptions options);
  ~HttpsServer();
  // Binds and begins to accept. Errors: kIo.
  Result<void> start();
  // "127.0.0.1:8443", after start().
  std::string endpoint() const;
  // Stops accepting; open requests go on, and their answers say that the connection ends. Idle connections end at once.
  void stop();
  unsigned connections() const;
  // Reads the certificate files again; connections from now on use them.
  Result<void> reload_certificate();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace vexor::frontend
