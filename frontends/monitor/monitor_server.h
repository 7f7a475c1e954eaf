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

class MonitorServer {
 public:
  // `service` null: the store is being replaced by a copy. `before_metrics` runs before each answer to /metrics, to set gauges; what `replica` gives follows "ok" in a
  // line of its own. `io` runs the server.
  MonitorServer(boost::asio::io_context& io, Service* service, MonitorOptions options, std::function<void()> before_metrics,
                std::function<std::string()> replica);
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
