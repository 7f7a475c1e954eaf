#include "http_connection.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace vexor::bench {

namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

int dial(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found) != 0) die("no address for " + endpoint.host);
  int fd = -1;
  for (const addrinfo* address = found; address != nullptr && fd < 0; address = address->ai_next) {
    fd = socket(address->ai_family, address->ai_socktype | SOCK_CLOEXEC, address->ai_protocol);
    if (fd >= 0 && ::connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
      ::close(fd);
      fd = -1;
    }
  }
  freeaddrinfo(found);
  if (fd < 0) die("cannot connect to " + endpoint.host + ":" + endpoint.port);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ec == std::errc()) {
      out.push_back(static_cast<char>(value));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string base64(std::string_view text) {
  std::string out(4 * ((text.size() + 2) / 3) + 1, '\0');
  const int count = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()));
  out.resize(static_cast<std::size_t>(count));
  return out;
}

bool has_word(std::string_view line, std::string_view word) {
  const auto same = [](char a, char b) { return (a | 0x20) == (b | 0x20); };
  return std::search(line.begin(), line.end(), word.begin(), word.end(), same) != line.end();
}

}  // namespace

void die(const std::string& what) {
  std::fprintf(stderr, "vexor_load_client: %s\n", what.c_str());
  std::_Exit(1);
}

Endpoint parse_url(std::string_view url) {
  Endpoint out;
  if (!url.starts_with("https://")) die("a URL begins with https://");
  url.remove_prefix(8);
  const std::size_t slash = std::min(url.find('/'), url.size());
  std::string_view host = url.substr(0, slash);
  out.path = url.substr(slash);
  if (const std::size_t at = host.rfind('@'); at != std::string_view::npos) {
    out.authorization = "Authorization: Basic " + base64(percent_decode(host.substr(0, at))) + "\r\n";
    host.remove_prefix(at + 1);
  }
  const std::size_t colon = host.rfind(':');
  out.host = host.substr(0, colon);
  out.port = colon == std::string_view::npos ? "443" : host.substr(colon + 1);
  return out;
}

std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> make_tls(const std::string& ca_file) {
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> tls(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  if (SSL_CTX_load_verify_locations(tls.get(), ca_file.c_str(), nullptr) != 1) die("cannot read " + ca_file);
  SSL_CTX_set_verify(tls.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_mode(tls.get(), SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_read_ahead(tls.get(), 1);
  SSL_CTX_set_default_read_buffer_len(tls.get(), kReadBytes);
  return tls;
}

HttpConnection::HttpConnection(const Endpoint& endpoint, SSL_CTX* tls) : endpoint_(endpoint), tls_(tls) {}
HttpConnection::~HttpConnection() { close(); }

void HttpConnection::connect() {
  if (ssl_ != nullptr) return;
  const int fd = dial(endpoint_);
  ssl_ = SSL_new(tls_);
  SSL_set_fd(ssl_, fd);
  SSL_ctrl(ssl_, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(endpoint_.host.c_str()));  // SSL_set_tlsext_host_name
  SSL_set1_host(ssl_, endpoint_.host.c_str());
  if (SSL_connect(ssl_) != 1) die(std::string("TLS handshake: ") + ERR_reason_error_string(ERR_get_error()));
  buffer_.clear();
  at_ = 0;
  keep_ = true;
}

void HttpConnection::close() {
  if (ssl_ == nullptr) return;
  closed_bytes_ += BIO_number_read(SSL_get_rbio(ssl_));
  const int fd = SSL_get_fd(ssl_);
  SSL_shutdown(ssl_);
  SSL_free(ssl_);
  ::close(fd);
  ssl_ = nullptr;
}

std::uint64_t HttpConnection::received_bytes() const {
  return closed_bytes_ + (ssl_ == nullptr ? 0 : BIO_number_read(SSL_get_rbio(ssl_)));
}

bool HttpConnection::send_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t piece = std::min<std::size_t>(bytes.size(), 1U << 20U);
    const int count = SSL_write(ssl_, bytes.data(), static_cast<int>(piece));
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

std::size_t HttpConnection::fill() {
  if (at_ == buffer_.size()) {
    buffer_.clear();
    at_ = 0;
  }
  const std::size_t before = buffer_.size();
  buffer_.resize(before + 16384);
  const int count = SSL_read(ssl_, buffer_.data() + before, 16384);
  buffer_.resize(before + static_cast<std::size_t>(std::max(count, 0)));
  return buffer_.size() - before;
}

// The next line without its end; empty also when the peer closed.
std::string_view HttpConnection::line() {
  std::size_t end = std::string::npos;
  while ((end = buffer_.find("\r\n", at_)) == std::string::npos) {
    if (fill() == 0) return {};
  }
  const std::string_view out = std::string_view(buffer_).substr(at_, end - at_);
  at_ = end + 2;
  return out;
}

bool HttpConnection::read_head() {
  std::string_view text = line();
  if (text.empty()) return false;
  if (text.starts_with("HTTP/1.1 100")) {
    line();
    text = line();
  }
  const std::string status(text);
  framing_ = Framing::kUntilClose;
  left_ = 0;
  first_chunk_ = true;
  for (text = line(); !text.empty(); text = line()) {
    if (has_word(text, "transfer-encoding:") && has_word(text, "chunked")) framing_ = Framing::kChunked;
    if (has_word(text.substr(0, 15), "content-length:")) {
      framing_ = Framing::kLength;
      left_ = std::strtoull(text.substr(15).data(), nullptr, 10);
    }
    if (has_word(text.substr(0, 11), "connection:") && has_word(text, "close")) keep_ = false;
  }
  if (!status.starts_with("HTTP/1.1 200")) die("answered " + status);
  return true;
}

void HttpConnection::request(std::string_view method, std::string_view target, std::string_view headers, std::string_view body) {
  if (!keep_) close();
  std::string text;
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(endpoint_.host).append(":").append(endpoint_.port);
  text.append("\r\nUser-Agent: git/2.39.5\r\nAccept: */*\r\n").append(endpoint_.authorization).append(headers);
  if (method == "POST") text.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
  text.append("\r\n").append(body);
  const bool reused = ssl_ != nullptr;
  for (int attempt = reused ? 0 : 1; attempt < 2; ++attempt) {  // a server may close an idle connection at any time
    connect();
    if (send_all(text) && read_head()) return;
    close();
  }
  die("the server closed the connection");
}

std::size_t HttpConnection::read_body(std::span<char> room) {
  if (framing_ == Framing::kNone) return 0;
  if (framing_ == Framing::kChunked && left_ == 0) {
    if (!first_chunk_) line();
    first_chunk_ = false;
    const std::string_view size = line();
    if (size.empty()) die("the answer ended early");
    std::from_chars(size.data(), size.data() + size.size(), left_, 16);
    if (left_ == 0) {
      line();
      framing_ = Framing::kNone;
      return 0;
    }
  }
  if (framing_ == Framing::kLength && left_ == 0) {
    framing_ = Framing::kNone;
    return 0;
  }
  const std::size_t most = framing_ == Framing::kUntilClose ? room.size() : std::min<std::uint64_t>(room.size(), left_);
  std::size_t count = std::min(most, buffer_.size() - at_);
  if (count > 0) {
    std::copy_n(buffer_.data() + at_, count, room.data());
    at_ += count;
  } else {
    count = static_cast<std::size_t>(std::max(0, SSL_read(ssl_, room.data(), static_cast<int>(std::min<std::size_t>(most, 1U << 30U)))));
    if (count == 0 && framing_ != Framing::kUntilClose) die("the answer ended early");
  }
  if (count == 0) {
    framing_ = Framing::kNone;
    keep_ = false;
  }
  left_ -= framing_ == Framing::kUntilClose ? 0 : std::min<std::uint64_t>(left_, count);
  return count;
}

}  // namespace vexor::bench
