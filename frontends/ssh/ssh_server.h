// SSH frontend on libssh: public keys only, one exec per connection, Git commands only.
//
// A thread a connection, bounded by connections_max; session work runs on it. What libssh leaves
// open is closed here: certificates are refused (keys are looked up by their full blob), attempts
// are counted, login has a deadline, compression is off, the system's configuration is not read,
// and nothing is written while the peer's window is closed.
#pragma once

#include <filesystem>
#include <memory>

#include "common/service.h"

namespace vexor::frontend {

struct SshOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;                 // 0: any free one
  std::filesystem::path key_directory;    // host keys; made on first use
  unsigned connections_max = 256;
  unsigned connections_per_address_max = 64;
  unsigned unauthenticated_max = 64;      // connections that have not logged in yet
  unsigned unauthenticated_per_address_max = 16;
  unsigned auth_tries_max = 6;            // keys offered or proven
  unsigned login_messages_max = 64;       // from the client until it has logged in; each authentication request is one
  unsigned control_messages_max = 65'536; // from the client that carry no data, beyond one for each packet sent to it
  std::size_t unsent_bytes_max = 2U << 20U;  // held for a client that does not read
  int login_seconds_max = 20;             // from accept to the exec request
  int idle_seconds_max = 600;             // without a byte either way
  std::uint64_t rate_bytes_per_second_min = 256;  // both ways, averaged over the time waited for the client, behind the grace; 0: any
  int rate_grace_seconds = 900;
  int keep_alive_ms = 5000;               // of work without a byte to the client before a keep-alive goes out
};

class SshServer {
 public:
  SshServer(Service& service, SshOptions options);
  ~SshServer();  // stops, and waits for the connections
  Result<void> start();
  std::string endpoint() const;
  void stop();             // no new connections
  void stop_connections(); // ends those that are open
  unsigned connections() const;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace vexor::frontend
