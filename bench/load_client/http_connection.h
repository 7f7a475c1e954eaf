// One keep-alive HTTPS connection of the load client: blocking, over plain OpenSSL. One thread at a time.
// Any failure ends the program with a message: figures of a run that failed are worth nothing.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace vexor::bench {

[[noreturn]] void die(const std::string& what);

struct Endpoint {
  std::string host;
  std::string port;
  std::string path;         // of the URL, without a slash at the end
  std::string authorization;  // header line with its line end, or empty
};
// "https://[USER:PASSWORD@]HOST[:PORT]/PATH"; USER and PASSWORD may be percent-encoded.
Endpoint parse_url(std::string_view url);

class HttpConnection {
 public:
  HttpConnection(const Endpoint& endpoint, SSL_CTX* tls);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Connects unless connected, sends, and reads the head of the answer; anything but 200 ends the program.
  // `headers`: further lines, each with its line end.
  void request(std::string_view method, std::string_view target, std::string_view headers, std::string_view body);
  // Up to room.size() octets of the answer's body; 0 at its end.
  std::size_t read_body(std::span<char> room);
  void connect();
  // Octets received on the socket so far, over all connections made: TLS records with all in them.
  std::uint64_t received_bytes() const;

 private:
  bool send_all(std::string_view bytes);
  bool read_head();
  std::size_t fill();  // appends to buffer_; 0 at the end
  std::string_view line();
  void close();

  const Endpoint& endpoint_;
  SSL_CTX* tls_;
  SSL* ssl_ = nullptr;
  std::uint64_t closed_bytes_ = 0;
  std::string buffer_;
  std::size_t at_ = 0;  // in buffer_
  enum class Framing { kNone, kLength, kChunked, kUntilClose } framing_ = Framing::kNone;
  std::uint64_t left_ = 0;  // of the body, or of the chunk
  bool first_chunk_ = true;
  bool keep_ = true;
};

// A client context that trusts the certificates of `ca_file` only.
std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> make_tls(const std::string& ca_file);

}  // namespace vexor::bench
