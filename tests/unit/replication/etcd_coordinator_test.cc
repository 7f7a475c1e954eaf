// The coordinator while etcd is silent.
#include "replication/transport/etcd_coordinator.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "replication/host/work_queue.h"

namespace vexor::replication {
namespace {

// Takes connections, and never says a word.
class SilentEndpoint {
 public:
  SilentEndpoint() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(socket_, generic, size), 0);
    EXPECT_EQ(::listen(socket_, 16), 0);
    EXPECT_EQ(::getsockname(socket_, generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentEndpoint() { ::close(socket_); }
  SilentEndpoint(const SilentEndpoint&) = delete;
  SilentEndpoint& operator=(const SilentEndpoint&) = delete;
  std::string name() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int socket_;
  unsigned port_ = 0;
};

TEST(EtcdCoordinator, of_the_changes_that_wait_only_the_last_one_is_sent) {
  constexpr int kChanges = 20;
  const SilentEndpoint etcd;
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<int> answered;
  WorkQueue loop{"test"};
  EtcdOptions options;
  options.endpoints = {etcd.name()};
  options.call_ms_max = 300;
  EtcdCoordinator coordinator(options, [&](std::function<void()> work) { loop.post(std::move(work)); });
  std::size_t most = 0;
  for (int i = 0; i < kChanges; ++i) {
    coordinator.compare_and_set(static_cast<std::uint64_t>(i), Record(), [&, i](ChangeAnswer answer) {
      EXPECT_EQ(answer, ChangeAnswer::kUnknown);
      const std::lock_guard lock(mutex);
      answered.push_back(i);
      wake.notify_all();
    });
    coordinator.read([](const std::optional<VersionedRecord>&) {});
    most = std::max(most, coordinator.waiting());
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // ticks: time for what is queued to be taken
  }
  EXPECT_LE(most, 2U);
  EXPECT_GT(most, 0U) << "they are answered: the test would show nothing";
  std::unique_lock lock(mutex);
  EXPECT_TRUE(wake.wait_for(lock, std::chrono::seconds(30), [&] { return answered.size() == kChanges; }));
  EXPECT_EQ(answered.back(), kChanges - 1);
  EXPECT_EQ(std::set<int>(answered.begin(), answered.end()).size(), static_cast<std::size_t>(kChanges));
}

}  // namespace
}  // namespace vexor::replication
