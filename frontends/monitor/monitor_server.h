// GET /healthz and GET /metrics in plain HTTP, for a loopback address of its own.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>

#include "common/service.h"

namespace vexor::frontend {

struct MonitorOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;          // 0: any free one
  int request_seconds_max = 10;
  unsigned connections_max = 32;
};

// A member of a replica set, as /healthz tells of it.
struct MemberHealth {
  std::string line;         // of JSON; empty: no member
  bool is_stopped = false;  // it must not take part any more, and serves nothing that needs the others
};

class MonitorServer {
 public:
  // `service` null: the store is being replaced by a copy. `before_metrics` runs before each answer to /metrics, to set gauges; the line that `member` gives, or else one with the
  // version, follows "ok", and /healthz says 503 "stopped" of one that is. `io` runs the server.
  MonitorServer(boost::asio::io_context& io, Service* service, MonitorOptions options, std::function<void()> before_metrics,
                std::function<MemberHealth()> member);
  ~MonitorServer();
  Result<void> start();
  std::string endpoint() const;
  // From now on /healthz says 503 "draining".
  void drain();
  void stop();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace vexor::frontend
