#include "ssh/ssh_connection.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <libssh/callbacks.h>
#include <poll.h>

#include "common/base64.h"
#include "common/keep_alive.h"
#include "common/log.h"
#include "ssh/exec_request.h"

namespace vexor::frontend {

namespace {

constexpr std::size_t kWriteBytes = 32 * 1024;
constexpr std::size_t kKeyCommandInputMax = 16 * 1024;
constexpr std::size_t kInputBytesMax = 1U << 20U;  // held for the session; the window closes above
constexpr int kPollMs = 100;
constexpr int kFarewellTurnsMax = 50;
constexpr std::uint64_t kPacketOverheadBytesMax = 96;  // length, padding and authentication code of a packet

class Connection {
 public:
  Connection(const SshConnectionContext& context, std::string address, StrangerPlace place)
      : context_(context), clock_(sys::system_clock()), place_(std::move(place)), session_(ssh_new()), event_(ssh_event_new()) {
    peer_ = {std::move(address), "ssh"};
  }
  ~Connection() {
    if (principal_.anonymous() && tries_ > 0 && !context_.stopping.load()) {
      context_.service.note_login(peer_, tries_ > context_.options.auth_tries_max ? "limited" : "wrong", offered_);
    }
    if (channel_ != nullptr) ssh_channel_free(channel_);
    ssh_event_free(event_);
    ssh_disconnect(session_);
    ssh_free(session_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void run(int socket) {
    deadline_ms_ = clock_.monotonic_time_ms() + context_.options.login_seconds_max * 1000;
    ssh_options_set(session_, SSH_OPTIONS_COMPRESSION, "none");
    set_callbacks();
    ssh_set_counters(session_, &wire_, &packets_);
    if (ssh_bind_accept_fd(context_.bind, session_, socket) != SSH_OK) return;
    ssh_set_blocking(session_, 0);
    ssh_set_auth_methods(session_, SSH_AUTH_METHOD_PUBLICKEY);
    ssh_set_server_callbacks(session_, &server_callbacks_);
    int exchanged = SSH_AGAIN;
    while ((exchanged = ssh_handle_key_exchange(session_)) == SSH_AGAIN && alive()) {
      pollfd waiting{ssh_get_fd(session_), POLLIN, 0};
      ::poll(&waiting, 1, kPollMs);
      check_limits();
    }
    if (exchanged != SSH_OK || ssh_event_add_session(event_, session_) != SSH_OK) return;
    while (alive() && !requested_) turn();
    if (!requested_ || !alive()) return;
    const int status = serve();
    ssh_channel_request_send_exit_status(channel_, status);
    ssh_channel_send_eof(channel_);
    ssh_channel_close(channel_);
    touch();
    // The client ends the connection when it has read the status; do not cut it off before.
    for (int i = 0; i < kFarewellTurnsMax && alive(); ++i) turn();
    log(status);
  }

 private:
  bool alive() const {
    return !broken_ && !context_.stopping.load() && clock_.monotonic_time_ms() < deadline_ms_ &&
           (ssh_get_status(session_) & (SSH_CLOSED | SSH_CLOSED_ERROR)) == 0;
  }
  void touch() { deadline_ms_ = clock_.monotonic_time_ms() + context_.options.idle_seconds_max * 1000; }
  void turn() {
    const std::int64_t begun_ms = clock_.monotonic_time_ms();
    if (ssh_event_dopoll(event_, kPollMs) == SSH_ERROR) broken_ = true;
    if (requested_) waited_ms_ += clock_.monotonic_time_ms() - begun_ms;
    check_limits();
  }
  // A client that sends or takes a byte now and then would hold a thread, and what a session has open, for days.
  bool is_too_slow() const {
    const auto seconds = static_cast<std::uint64_t>(waited_ms_ / 1000);
    return seconds > static_cast<std::uint64_t>(context_.options.rate_grace_seconds) && (bytes_in_ + bytes_out_) / seconds < context_.options.rate_bytes_per_second_min;
  }

  // libssh answers requests, failed logins and what it does not know by itself, without end and whether or not the client reads:
  // what is held of answers and the messages that may bring some are counted here.
  void check_limits() {
    const SshOptions& limits = context_.options;
    const bool is_stranger = principal_.anonymous() && packets_.in_packets > limits.login_messages_max;
    const std::uint64_t without_data = packets_.in_packets - std::min(packets_.in_packets, data_messages_);
    if (is_stranger || without_data > limits.control_messages_max + written_ || unsent_bytes() > limits.unsent_bytes_max || is_too_slow()) broken_ = true;
  }
  // At most: what a packet takes on the wire besides its payload is not told.
  std::uint64_t unsent_bytes() {
    const std::uint64_t given = packets_.out_bytes + packets_.out_packets * kPacketOverheadBytesMax;
    if ((ssh_get_status(session_) & SSH_WRITE_PENDING) == 0) {
      settled_given_ = given;
      settled_sent_ = wire_.out_bytes;
    }
    const std::uint64_t held = given - settled_given_;
    return held - std::min(held, wire_.out_bytes - settled_sent_);
  }

  // ---- callbacks

  static Connection& self(void* user) { return *static_cast<Connection*>(user); }

  // Called for an offer (state NONE) and for a proof (state VALID): only a proof logs in.
  static int on_public_key(ssh_session, const char*, ssh_key_struct* key, char state, void* user) {
    Connection& c = self(user);
    if (++c.tries_ > c.context_.options.auth_tries_max) {
      c.broken_ = true;
      return SSH_AUTH_DENIED;
    }
    if (state != SSH_PUBLICKEY_STATE_NONE && state != SSH_PUBLICKEY_STATE_VALID) return SSH_AUTH_DENIED;
    char* text = nullptr;
    if (ssh_pki_export_pubkey_base64(key, &text) != SSH_OK) return SSH_AUTH_DENIED;
    const std::string blob = base64_decode(text);
    ssh_string_free_char(text);
    auto who = c.service_login(blob);
    if (!who) return SSH_AUTH_DENIED;
    c.offered_ = who->name;
    if (state == SSH_PUBLICKEY_STATE_VALID && c.principal_.anonymous()) {
      c.principal_ = std::move(*who);
      c.context_.service.note_login(c.peer_, "ok", c.principal_.name);
      c.place_.leave();
    }
    return SSH_AUTH_SUCCESS;
  }
  std::optional<Principal> service_login(Bytes blob) {
    auto who = context_.service.login_key(peer_, blob);
    if (who.has_error()) return std::nullopt;
    return std::move(who).value();
  }

  static ssh_channel on_channel(ssh_session session, void* user) {
    Connection& c = self(user);
    if (c.principal_.anonymous() || c.channel_ != nullptr) return nullptr;
    c.channel_ = ssh_channel_new(session);
    if (c.channel_ != nullptr) ssh_set_channel_callbacks(c.channel_, &c.channel_callbacks_);
    return c.channel_;
  }
  static int on_env(ssh_session, ssh_channel, const char* name, const char* value, void* user) {
    if (std::string_view(name) != "GIT_PROTOCOL") return 1;
    self(user).git_protocol_ = std::string(value).substr(0, 256);
    return 0;
  }
  static int on_exec(ssh_session, ssh_channel, const char* command, void* user) {
    Connection& c = self(user);
    if (c.requested_) return 1;
    c.command_ = command;
    c.requested_ = true;
    return 0;
  }
  static int on_data(ssh_session, ssh_channel, void* data, std::uint32_t size, int is_stderr, void* user) {
    Connection& c = self(user);
    ++c.data_messages_;
    if (is_stderr != 0) return static_cast<int>(size);
    const std::size_t room = kInputBytesMax - std::min(kInputBytesMax, c.input_.size());
    const std::size_t taken = std::min<std::size_t>(room, size);
    c.input_.append(static_cast<const char*>(data), taken);
    c.bytes_in_ += taken;
    if (taken > 0) c.touch();
    return static_cast<int>(taken);  // the rest waits in the channel and keeps the window shut
  }
  static void on_eof(ssh_session, ssh_channel, void* user) { self(user).ended_ = true; }
  static void on_close(ssh_session, ssh_channel, void* user) {
    self(user).ended_ = true;
    self(user).closed_ = true;
  }

  void set_callbacks() {
    server_callbacks_.userdata = this;
    server_callbacks_.auth_pubkey_function = on_public_key;
    server_callbacks_.channel_open_request_session_function = on_channel;
    ssh_callbacks_init(&server_callbacks_);
    channel_callbacks_.userdata = this;
    channel_callbacks_.channel_data_function = on_data;
    channel_callbacks_.channel_eof_function = on_eof;
    channel_callbacks_.channel_close_function = on_close;
    channel_callbacks_.channel_env_request_function = on_env;
    channel_callbacks_.channel_exec_request_function = on_exec;
    ssh_callbacks_init(&channel_callbacks_);
  }

  // ---- the request

  int refuse(const std::string& text) {
    const std::string line = text + "\n";
    ssh_channel_write_stderr(channel_, line.data(), static_cast<std::uint32_t>(line.size()));
    return 1;
  }

  int serve() {
    touch();
    begun_ms_ = clock_.monotonic_time_ms();
    auto request = parse_exec_request(command_);
    if (!request) return serve_command();
    git_ = request->command;
    repository_ = request->repository;
    request->git_protocol = git_protocol_;
    request->session_id = session_id_ = new_session_id();
    auto session = context_.service.open_session(principal_, *request);
    if (session.has_error()) {
      const Errc code = session.error().code();
      context_.service.note_failure(peer_, *request, session.error());
      return refuse(code == Errc::kRefused || code == Errc::kNotFound ? session.error().message() : "internal error");
    }
    const bool done = pump(*session.value());
    if (session.value()->failure() != nullptr) context_.service.note_failure(peer_, *request, *session.value()->failure());
    return done ? 0 : 1;
  }

  // "ssh git@host help" and the like.
  int serve_command() {
    if (command_.starts_with("key add")) {
      while (alive() && !ended_ && input_.find('\n') == std::string::npos && input_.size() < kKeyCommandInputMax) turn();
    }
    const auto done = context_.service.run_user_command(principal_, command_, input_);
    if (done.has_error()) return refuse(done.error().message());
    return write_all(done.value()) ? 0 : 1;
  }

  // Nothing is given to libssh while the peer's window is closed or bytes are still unsent; during a
  // key re-exchange (OpenSSH clients ask for one each GiB) it takes nothing, and that is no error.
  bool write_all(Bytes bytes) {
    while (!bytes.empty() && alive() && !closed_) {
      const std::size_t window = ssh_channel_window_size(channel_);
      if (window == 0 || (ssh_get_status(session_) & SSH_WRITE_PENDING) != 0) {
        turn();
        continue;
      }
      const std::size_t count = std::min({window, bytes.size(), kWriteBytes});
      const int taken = ssh_channel_write(channel_, bytes.data(), static_cast<std::uint32_t>(count));
      if (taken == SSH_AGAIN || taken == 0) {
        turn();
        continue;
      }
      if (taken < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(taken));
      bytes_out_ += static_cast<std::size_t>(taken);
      ++written_;
      touch();
    }
    return bytes.empty();
  }

  bool pump(protocol::Session& session) {
    using protocol::Wants;
    bool told_end = false;
    std::array<char, kWriteBytes> room{};
    KeepAlive keep_alive(context_.options.keep_alive_ms);
    while (alive() && !closed_) {
      switch (session.wants()) {
        case Wants::kDone: return session.failure() == nullptr;
        case Wants::kWork:
          if (!keep_alive.run_work(session, [this](Bytes packet) { return write_all(packet); })) return false;
          touch();
          break;
        case Wants::kInput:
          drain_channel();
          if (!input_.empty()) {
            input_.erase(0, session.feed(input_));
          } else if (ended_ && !told_end) {
            told_end = true;
            session.end_of_input();
          } else if (ended_) {
            return false;
          } else {
            turn();
          }
          break;
        case Wants::kOutput: {
          const std::size_t count = session.drain(room);
          if (!write_all(Bytes(room.data(), count))) return false;
          keep_alive.sent();
          break;
        }
      }
    }
    return false;
  }

  // Bytes that on_data left in the channel because the input was full.
  void drain_channel() {
    if (!input_.empty()) return;
    std::array<char, kWriteBytes> room{};
    const int count = ssh_channel_read_nonblocking(channel_, room.data(), static_cast<std::uint32_t>(room.size()), 0);
    if (count <= 0) return;
    input_.append(room.data(), static_cast<std::size_t>(count));
    bytes_in_ += static_cast<std::size_t>(count);
    touch();
  }

  void log(int status) const {
    log_event("request", {{"transport", "ssh"}, {"session", session_id_}, {"peer", peer_.address}, {"user", principal_.name},
                          {"repository", Bytes(repository_).substr(0, 256)}, {"command", Bytes(command_).substr(0, 200)}, {"status", status}, {"bytes_in", bytes_in_}, {"bytes_out", bytes_out_}});
    const auto seconds = static_cast<double>(clock_.monotonic_time_ms() - begun_ms_) / 1000;
    context_.service.metrics().request("ssh", git_ ? git_command_name(*git_) : "user", status == 0 ? "ok" : "failed", bytes_in_, bytes_out_, seconds);
  }

  const SshConnectionContext& context_;
  const sys::Clock& clock_;
  StrangerPlace place_;
  ssh_counter_struct wire_{};     // octets of the socket
  ssh_counter_struct packets_{};  // packets and their payloads
  std::uint64_t settled_given_ = 0;  // unsent_bytes() when nothing was unsent
  std::uint64_t settled_sent_ = 0;
  std::uint64_t data_messages_ = 0;
  std::uint64_t written_ = 0;     // packets of answers to the command
  ssh_session session_;
  ssh_event event_;
  ssh_channel channel_ = nullptr;
  ssh_server_callbacks_struct server_callbacks_{};
  ssh_channel_callbacks_struct channel_callbacks_{};
  Peer peer_;
  Principal principal_;
  std::string offered_;  // whose key was offered last, and not proven yet
  std::optional<GitCommand> git_;
  std::int64_t begun_ms_ = 0;
  std::int64_t waited_ms_ = 0;  // for the client, since its request
  std::string git_protocol_;
  std::string session_id_;
  std::string command_;
  std::string repository_;  // as served: quotes can push it out of what is logged of the command
  std::string input_;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::int64_t deadline_ms_ = 0;
  unsigned tries_ = 0;
  bool requested_ = false;
  bool ended_ = false;
  bool closed_ = false;
  bool broken_ = false;
};

}  // namespace

void serve_ssh_connection(const SshConnectionContext& context, int socket, const std::string& address, StrangerPlace place) {
  Connection connection(context, address, std::move(place));
  connection.run(socket);
}

}  // namespace vexor::frontend
