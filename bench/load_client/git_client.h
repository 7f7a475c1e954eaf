// What a git client says over smart HTTP, protocol version 2 (pushes: version 0, as git does).
// Spec: gitprotocol-v2, gitprotocol-http, gitprotocol-pack.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http_connection.h"

namespace vexor::bench {

struct AdvertisedRef {
  std::string id;
  std::string name;
};

struct PackStats {
  std::uint64_t bytes = 0;
  double first_byte_seconds = 0;  // on the clock of now()
};

struct PushCommand {
  std::string repository;  // its path in the URL
  std::string ref;
  std::string old_id;
  std::string new_id;
  std::string pack;  // the bytes
};

double now();  // seconds, monotonic

class GitClient {
 public:
  using Sink = std::function<void(std::string_view)>;

  GitClient(const Endpoint& endpoint, SSL_CTX* tls) : endpoint_(endpoint), http_(endpoint, tls), room_(256 * 1024) {}

  void connect() { http_.connect(); }
  std::uint64_t received_bytes() const { return http_.received_bytes(); }
  // GET info/refs of upload-pack; keeps the server's capabilities.
  void capabilities();
  // ls-refs with what git asks for (peel, symrefs). Empty `prefixes`: all refs. `out` may be null: counts only.
  std::size_t ls_refs(const std::vector<std::string>& prefixes, std::vector<AdvertisedRef>* out);
  // One fetch that ends in "done". `lines`: want, have, deepen, filter and shallow lines.
  PackStats fetch(const std::vector<std::string>& lines, bool thin, const Sink& sink);
  // GET info/refs of receive-pack, then the pack. Ends the program unless the ref was updated.
  void push(const PushCommand& command);
  // GET of any path; the octets of its body.
  std::uint64_t get(std::string_view path);

 private:
  std::string_view need(std::size_t count);  // the next octets of the answer
  enum class Packet { kEnd, kFlush, kDelim, kData };
  Packet next(std::string_view& data);
  void post(const std::string& path, const char* service, const std::string& body);
  void drain();

  const Endpoint& endpoint_;
  HttpConnection http_;
  std::vector<char> room_;
  std::size_t at_ = 0, end_ = 0;
  bool unborn_ = false;
};

}  // namespace vexor::bench
