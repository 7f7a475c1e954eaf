// Clients that make libssh answer by itself, without end. The client is libssh too, behind a relay that stops reading when it is told.
#include "ssh/ssh_server.h"

#include <array>
#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <libssh/libssh.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "support/scratch_directory.h"
#include "vexorstore/sys/backends.h"

namespace vexor::frontend {
namespace {

constexpr int kSmallBufferBytes = 4096;

// Copies between a socket of its own and the server, on a thread.
class Relay {
 public:
  explicit Relay(int port) : server_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    setsockopt(server_, SOL_SOCKET, SO_RCVBUF, &kSmallBufferBytes, sizeof kSmallBufferBytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::array<int, 2> pair{-1, -1};
    if (::connect(server_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) std::abort();
    client_ = pair[0];
    client_end_ = pair[1];
    thread_ = std::thread([this] { run(); });
  }
  ~Relay() {
    ending_.store(true);
    thread_.join();
    ::close(server_);
    ::close(client_);
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  int client_end() const { return client_end_; }  // the caller's to close
  void stop_reading() { reading_.store(false); }

 private:
  static bool copy(int from, int to) {
    std::array<char, 16 * 1024> room{};
    const ssize_t count = ::read(from, room.data(), room.size());
    for (ssize_t at = 0; at < count;) {
      const ssize_t step = ::send(to, room.data() + at, static_cast<std::size_t>(count - at), MSG_NOSIGNAL);
      if (step <= 0) return false;
      at += step;
    }
    return count > 0;
  }
  void run() {
    while (!ending_.load()) {
      pollfd waiting[] = {{client_, POLLIN, 0}, {server_, static_cast<short>(reading_.load() ? POLLIN : 0), 0}};
      if (::poll(waiting, 2, 20) < 0) break;
      if (waiting[0].revents != 0 && !copy(client_, server_)) break;
      if ((waiting[1].revents & POLLIN) != 0 && !copy(server_, client_)) break;
      if ((waiting[1].revents & (POLLERR | POLLHUP)) != 0) break;
    }
    ::shutdown(server_, SHUT_RDWR);
    ::shutdown(client_, SHUT_RDWR);
  }
  int server_;
  int client_ = -1;
  int client_end_ = -1;
  std::atomic<bool> reading_{true};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

class SshLimits : public testing::Test {
 protected:
  SshLimits() : store_(Store::open(sys::make_memory_backend(), {}).value()), service_(*store_) {
    options_.key_directory = directory_.path();
    options_.login_seconds_max = 60;
    ssh_pki_generate(SSH_KEYTYPE_ED25519, 0, &key_);
    char* text = nullptr;
    ssh_pki_export_pubkey_base64(key_, &text);
    store_->create_account("demo", {}, {}).value();
    store_->add_key("demo", "ssh-ed25519 " + std::string(text), {}).value();
    ssh_string_free_char(text);
  }
  ~SshLimits() override {
    for (const ssh_channel channel : channels_) ssh_channel_free(channel);
    if (client_ != nullptr) ssh_free(client_);
    relay_.reset();
    server_.reset();
    ssh_key_free(key_);
  }

  void connect() {
    server_ = std::make_unique<SshServer>(service_, options_);
    ASSERT_TRUE(server_->start().has_value());
    const std::string endpoint = server_->endpoint();
    relay_ = std::make_unique<Relay>(std::atoi(endpoint.substr(endpoint.rfind(':') + 1).c_str()));
    client_ = ssh_new();
    int socket = relay_->client_end();
    const bool process_config = false;
    ssh_options_set(client_, SSH_OPTIONS_PROCESS_CONFIG, &process_config);
    ssh_options_set(client_, SSH_OPTIONS_FD, &socket);
    ssh_options_set(client_, SSH_OPTIONS_HOST, "127.0.0.1");
    ssh_options_set(client_, SSH_OPTIONS_USER, "git");
    ASSERT_EQ(ssh_connect(client_), SSH_OK) << ssh_get_error(client_);
  }
  void log_in() { ASSERT_EQ(ssh_userauth_publickey(client_, nullptr, key_), SSH_AUTH_SUCCESS) << ssh_get_error(client_); }
  bool is_open() const { return server_->connections() > 0; }
  bool ends_soon() const {  // the server's thread ends it beside us
    for (int i = 0; i < 3000 && is_open(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return !is_open();
  }
  // The answer to a request of a client that does not block: libssh waits for ever for one that was cut off.
  template <class Request>
  int answer_to(Request request) {
    int answer = SSH_AUTH_AGAIN;
    while ((answer = request()) == SSH_AUTH_AGAIN && is_open()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return answer;
  }
  // Asks for a channel, of which the server gives one, and reads no answer. False: the connection broke.
  bool ask_for_channel() {
    channels_.push_back(ssh_channel_new(client_));
    (void)ssh_channel_open_session(channels_.back());  // an answer that is here already may be a refusal
    return ssh_blocking_flush(client_, 0) != SSH_ERROR && ssh_is_connected(client_) != 0;
  }
  // Until the last channel that was asked for is given or refused.
  void read_answers() {
    while (ssh_channel_open_session(channels_.back()) == SSH_AGAIN && is_open()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  test::ScratchDirectory directory_;
  std::unique_ptr<Store> store_;
  Service service_;
  SshOptions options_;
  std::unique_ptr<SshServer> server_;
  std::unique_ptr<Relay> relay_;
  ssh_session client_ = nullptr;
  ssh_key key_ = nullptr;
  std::vector<ssh_channel> channels_;
};

TEST_F(SshLimits, authentication_requests_of_every_kind_are_counted) {
  options_.login_messages_max = 30;
  connect();
  ssh_set_blocking(client_, 0);
  unsigned requests = 0;
  const auto none = [this] { return ssh_userauth_none(client_, nullptr); };
  const auto password = [this] { return ssh_userauth_password(client_, nullptr, "a guess"); };
  while (requests < 200 && answer_to(none) == SSH_AUTH_DENIED && answer_to(password) == SSH_AUTH_DENIED) requests += 2;
  EXPECT_GE(requests, 10U);
  EXPECT_LT(requests, 40U);
  EXPECT_TRUE(ends_soon());
}

TEST_F(SshLimits, a_client_that_logs_in_may_say_more) {
  options_.login_messages_max = 30;
  options_.control_messages_max = 1000;
  connect();
  log_in();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(ssh_send_ignore(client_, "x"), SSH_OK);
  ssh_blocking_flush(client_, 5000);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // in which it would have been closed
  EXPECT_TRUE(is_open());
}

TEST_F(SshLimits, messages_without_data_are_counted) {
  options_.control_messages_max = 1000;
  connect();
  log_in();
  ssh_set_blocking(client_, 0);
  for (int i = 0; i < 3000 && is_open(); ++i) {
    ssh_send_ignore(client_, "x");
    if (i % 50 == 0) ssh_blocking_flush(client_, 100);
  }
  EXPECT_TRUE(ends_soon());
}

TEST_F(SshLimits, answers_to_a_client_that_does_not_read_are_bounded) {
  options_.control_messages_max = 1'000'000'000;
  options_.unsent_bytes_max = 256U << 10U;
  connect();
  log_in();
  ssh_set_blocking(client_, 0);
  relay_->stop_reading();
  int asked = 0;
  while (asked < 60'000 && is_open() && ask_for_channel()) {
    if (++asked % 100 == 0) ssh_blocking_flush(client_, 1000);  // never far ahead of what the server has read
  }
  EXPECT_GT(asked, 500);
  EXPECT_LT(asked, 60'000);
  EXPECT_TRUE(ends_soon());
}

TEST_F(SshLimits, a_client_that_reads_may_ask_for_as_much) {
  options_.control_messages_max = 1'000'000'000;
  options_.unsent_bytes_max = 256U << 10U;
  connect();
  log_in();
  ssh_set_blocking(client_, 0);
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(ask_for_channel()) << i;
    if (i % 100 == 0) read_answers();
  }
  EXPECT_TRUE(is_open());
}

}  // namespace
}  // namespace vexor::frontend
