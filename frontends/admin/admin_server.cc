#include "admin/admin_server.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <set>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "admin/commands.h"
#include "admin/frame.h"
#include "admin/receipt_json.h"
#include "common/base64.h"
#include "common/fd_io.h"
#include "common/fd_pump.h"
#include "common/log.h"
#include "ssh/exec_request.h"
#include "vexorstore/protocol/receive_pack.h"

namespace vexor::frontend {

struct AdminServer::Shared {
  Shared(Service& service_in, AdminOptions options_in) : service(service_in), options(std::move(options_in)) {}
  Service& service;
  AdminOptions options;
  UniqueFd listener;
  std::thread acceptor;
  std::atomic<bool> accepting{true};
  std::atomic<bool> stopping{false};
  std::atomic<unsigned> connections{0};
  std::mutex open_mutex;
  std::set<int> open;  // sockets of connections; guarded by open_mutex

  // One connection; takes the socket over.
  void serve(int socket);
  // Wakes those who wait for a message; `how` of shutdown(2).
  void shut(int how) {
    const std::lock_guard lock(open_mutex);
    for (const int socket : open) ::shutdown(socket, how);
  }
};

namespace {

constexpr std::size_t kKeyCommandInputMax = 16 * 1024;
constexpr std::int64_t kProgressEveryMs = 200;
constexpr std::size_t kLoggedCharsMax = 256;
constexpr std::chrono::milliseconds kLastWords{2000};   // for answers when the server ends
constexpr std::chrono::milliseconds kAcceptPause{100};  // when there is no descriptor or thread left, say

json::object error_object(const Error& error) {
  return json::object{{"error", json::object{{"code", errc_name(error.code())}, {"message", error.message()}}}};
}

// One connection: one request.
class Connection {
 public:
  Connection(Service& service, const AdminOptions& options, const std::atomic<bool>& stopping, int socket)
      : service_(service), options_(options), stopping_(stopping), socket_(socket) {}

  void run() {
    const timeval patience{options_.idle_seconds_max, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return;
    uid_ = peer.uid;
    is_operator_ = peer.uid == 0 || peer.uid == ::geteuid();
    if (!is_operator_ && options_.shell_uid != std::optional<unsigned>(peer.uid)) {
      answer(error_object(Error(Errc::kRefused, "this user may not administer the server")));
      return;
    }
    auto received = receive_frame(socket_.get());
    if (received.has_error()) return answer(error_object(received.error()));
    if (!received.value()) return;
    frame_ = std::move(*received.value());
    auto done = serve();
    audit(done);
    if (done.has_error()) {
      answer(error_object(done.error()));
    } else {
      answer(done.value());
    }
  }

 private:
  void answer(const json::object& message) {
    if (auto sent = send_frame(socket_.get(), message); sent.has_error()) log_event("admin_unanswered", {{"why", sent.error().message()}});
  }
  std::string text(const char* key) const {
    const json::value* value = frame_.message.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  }

  // What else was asked for, as JSON. Keys are named here one by one: others may be secret.
  std::string arguments() const {
    json::object told;
    for (const char* key : {"permission", "public", "pattern", "remove", "allow_force", "allow_delete", "only", "directory", "what", "retention_seconds", "ref", "at", "default_branch",
                            "check_policy", "pack_bytes_max", "object_bytes_max", "refs_max", "copies", "object_format", "after", "count"}) {
      if (const json::value* value = frame_.message.if_contains(key); value != nullptr && !value->is_null()) told[key] = *value;
    }
    return told.empty() ? std::string() : json::serialize(told).substr(0, kLoggedCharsMax);
  }

  // One line for each operation when it is over: who, what, on what, and how it ended. Users' logins have their own.
  void audit(const Result<json::object>& done) {
    const std::string op = text("op");
    if (op == "ssh.find_key" || op == "ssh.serve") return;
    std::string subject;
    for (const char* key : {"repository", "name", "new_name", "user", "fingerprint"}) {
      if (const std::string named = text(key); !named.empty()) subject += (subject.empty() ? "" : " ") + named;
    }
    if (const json::value* purge = frame_.message.if_contains("request"); purge != nullptr && purge->is_number()) subject += (subject.empty() ? "purge " : " purge ") + json::serialize(*purge);
    std::string result = "ok";
    if (done.has_error()) {
      result = errc_name(done.error().code());
    } else if (const json::value* status = done.value().if_contains("exit"); status != nullptr && status->as_int64() != 0) {
      result = "failed";
    }
    log_event("admin", {{"op", op.substr(0, kLoggedCharsMax)}, {"uid", uid_}, {"subject", subject.substr(0, kLoggedCharsMax)}, {"arguments", arguments()}, {"result", result}});
  }

  Result<json::object> serve() {
    const std::string op = text("op");
    if (op == "ssh.find_key") return find_key();
    if (op == "ssh.serve") return serve_user();
    if (!is_operator_) return Error(Errc::kRefused, "this user may serve logged-in users only");
    if (op == "repair") return Error(Errc::kRefused, "stop the server first: repair needs the store for itself (vexorctl --data DIR repair)");
    if (op == "import") return import();
    if (op == "export") return export_to();
    if (op.starts_with("purge.")) {
      VEXOR_TRY(json::object answer, run_purge_command(service_.store(), options_.purge, frame_.message));
      return json::object{{"result", std::move(answer)}};
    }
    if (is_forwarded_to_primary(op)) {
      VEXOR_TRY(const auto told, service_.run_elsewhere(json::serialize(frame_.message)));
      if (told) {
        json::error_code failed;
        json::value result = json::parse(*told, failed);
        if (failed) return Error(Errc::kUnavailable, "the primary's answer cannot be read; look whether it was done");
        return json::object{{"result", std::move(result)}};
      }
    }
    std::int64_t last_ms = 0;
    const ProgressSink progress = [&](std::uint64_t done, std::uint64_t total) {
      const std::int64_t now = sys::system_clock().monotonic_time_ms();
      if (now - last_ms < kProgressEveryMs && done != total) return !stopping_.load();
      last_ms = now;
      const auto sent = send_frame(socket_.get(), {{"progress", json::object{{"done", done}, {"total", total}}}});
      return sent.has_value() && !stopping_.load();
    };
    VEXOR_TRY(json::object result, service_.run_operator_command(frame_.message, progress));
    return json::object{{"result", std::move(result)}};
  }

  // {"op":"ssh.find_key","blob":base64} -> {"result":{"user":NAME}}
  Result<json::object> find_key() {
    const std::string blob = base64_decode(text("blob"));
    const Peer peer{"", "openssh"};  // sshd does not tell the program that looks up keys where they come from
    auto who = service_.login_key(peer, blob);
    if (who.has_error() && who.error().code() == Errc::kRefused) service_.note_login(peer, "wrong", {});
    if (who.has_error()) return std::move(who).error();
    return json::object{{"result", json::object{{"user", who.value().name}}}};
  }

  // {"op":"ssh.serve","user":NAME,"command":TEXT,"git_protocol":TEXT,"peer":ADDRESS} with the
  // descriptors 0, 1, 2 of the user -> {"exit":STATUS}
  Result<json::object> serve_user() {
    VEXOR_TRY(const auto account, service_.store().find_account(text("user")));
    const Peer peer{text("peer").substr(0, 64), "openssh"};
    const bool may = account && !account->disabled;
    service_.note_login(peer, may ? "ok" : "wrong", account ? account->name : std::string());
    if (!may) return Error(Errc::kRefused, "no such account");
    if (frame_.descriptors[2].get() < 0) return Error(Errc::kInvalidArgument, "the descriptors are missing");
    const Principal who{account->id, account->name};
    const std::string command = text("command");
    const auto begun = std::chrono::steady_clock::now();
    PumpResult pumped;
    auto request = parse_exec_request(command);
    std::string session_id;
    if (request) {
      request->git_protocol = text("git_protocol").substr(0, 256);
      request->session_id = session_id = new_session_id();
      auto session = service_.open_session(who, *request);
      if (session.has_error()) {
        print(2, session.error().message() + "\n");
      } else {
        pumped = pump_descriptors(*session.value(), frame_.descriptors[0].get(), frame_.descriptors[1].get(), options_.idle_seconds_max, options_.keep_alive_ms, stopping_);
        if (session.value()->failure() != nullptr) service_.note_failure(peer, *request, *session.value()->failure());
      }
    } else {
      std::string input;
      if (command.starts_with("key add")) input = read_input();
      const auto done = service_.run_user_command(who, command, input);
      pumped.ok = done.has_value();
      if (done.has_error()) print(2, done.error().message() + "\n");
      else print(1, done.value());
    }
    const auto took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    service_.metrics().request("openssh", request ? git_command_name(request->command) : "user", pumped.ok ? "ok" : "failed", pumped.bytes_in, pumped.bytes_out, took);
    log_event("request", {{"transport", "openssh"}, {"session", session_id}, {"peer", peer.address}, {"user", who.name},
                          {"repository", request ? request->repository.substr(0, kLoggedCharsMax) : std::string()},
                          {"command", command.substr(0, 200)}, {"status", pumped.ok ? 0 : 1}, {"bytes_in", pumped.bytes_in}, {"bytes_out", pumped.bytes_out}});
    return json::object{{"exit", pumped.ok ? 0 : 1}};
  }

  // A client that does not read is not waited for when the server ends.
  bool print(std::size_t descriptor, Bytes bytes) {
    const int output = frame_.descriptors[descriptor].get();
    const NonBlocking writing(output);
    return write_all(output, bytes, options_.idle_seconds_max, stopping_);
  }

  std::string read_input() {
    std::string out(kKeyCommandInputMax, '\0');
    std::size_t have = 0;
    while (have < out.size()) {
      if (!wait_for(frame_.descriptors[0].get(), POLLIN, options_.idle_seconds_max, stopping_)) break;
      const ssize_t count = ::read(frame_.descriptors[0].get(), out.data() + have, out.size() - have);
      if (count <= 0) break;
      have += static_cast<std::size_t>(count);
      if (out.find('\n') < have) break;
    }
    out.resize(have);
    return out;
  }

  // {"op":"import","repository":NAME} with descriptors: a receive-pack session on 0 and 1. The answer has the receipt.
  Result<json::object> import() {
    VEXOR_TRY(const auto repository, service_.store().find_repository(text("repository")));
    if (!repository) return Error(Errc::kNotFound, text("repository") + ": no such repository");
    if (frame_.descriptors[1].get() < 0) return Error(Errc::kInvalidArgument, "the descriptors are missing");
    Receipt receipt;
    protocol::ReceivePackOptions options;
    options.after_commit = [&receipt](const Receipt& told) { receipt = told; };
    VEXOR_TRY(const auto session, protocol::make_receive_pack(service_.store(), *repository, options));
    const PumpResult pumped = pump_descriptors(*session, frame_.descriptors[0].get(), frame_.descriptors[1].get(), options_.idle_seconds_max, options_.keep_alive_ms, stopping_);
    if (session->failure() != nullptr) service_.note_failure({"", "admin"}, {GitCommand::kReceivePack, text("repository"), {}, false, false, {}}, *session->failure());
    json::object answer{{"exit", pumped.ok ? 0 : 1}};
    add_receipt(answer, receipt);
    return answer;
  }

  // {"op":"export","repository":NAME} with descriptors: the bundle goes to 1.
  Result<json::object> export_to() {
    VEXOR_TRY(const auto repository, service_.store().find_repository(text("repository")));
    if (!repository) return Error(Errc::kNotFound, text("repository") + ": no such repository");
    if (frame_.descriptors[1].get() < 0) return Error(Errc::kInvalidArgument, "the descriptors are missing");
    VEXOR_TRY(export_bundle(service_.store(), repository->id, [this](Bytes bytes) -> Result<void> {
      if (print(1, bytes)) return success();
      if (stopping_.load()) return Error(Errc::kCancelled, "the bundle is not whole: the server ends");
      return Error(Errc::kIo, "cannot write the bundle: the file is full, or its reader is gone or did not read");
    }));
    return json::object{{"exit", 0}};
  }

  Service& service_;
  const AdminOptions& options_;
  const std::atomic<bool>& stopping_;
  UniqueFd socket_;
  bool is_operator_ = false;
  unsigned uid_ = 0;
  Frame frame_;
};

}  // namespace

void AdminServer::Shared::serve(int socket) {
  {
    const std::lock_guard lock(open_mutex);
    open.insert(socket);
  }
  Connection connection(service, options, stopping, socket);
  if (!stopping.load()) connection.run();
  const std::lock_guard lock(open_mutex);
  open.erase(socket);  // before its number can be another's
}

AdminServer::AdminServer(Service& service, AdminOptions options) : shared_(std::make_shared<Shared>(service, std::move(options))) {}

AdminServer::~AdminServer() {
  stop();
  stop_connections();
  const auto end = std::chrono::steady_clock::now() + kLastWords;
  while (shared_->connections.load() > 0) {
    if (std::chrono::steady_clock::now() > end) shared_->shut(SHUT_RDWR);  // answers that nobody reads
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // detached threads tell by a count alone
  }
  std::error_code ignored;
  if (shared_->listener.get() >= 0) std::filesystem::remove(shared_->options.socket, ignored);
}

Result<void> AdminServer::start() {
  Shared& s = *shared_;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (s.options.socket.string().size() >= sizeof address.sun_path) {
    return Error(Errc::kInvalidArgument, "the admin socket's path is longer than " + std::to_string(sizeof address.sun_path - 1) + " characters");
  }
  std::strcpy(address.sun_path, s.options.socket.c_str());
  std::error_code ignored;
  std::filesystem::remove(s.options.socket, ignored);  // of a server that was killed; the store is locked by us
  s.listener = UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  // Others may connect where sshd's user must; the mode is the socket's own, as the umask is that of all threads.
  const mode_t mode = s.options.shell_uid ? 0666 : 0600;
  const bool bound = ::bind(s.listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::chmod(address.sun_path, mode) == 0;
  if (!bound || ::listen(s.listener.get(), 64) != 0) {
    return Error(Errc::kIo, std::string("admin socket: cannot listen: ") + std::strerror(errno));
  }
  s.acceptor = std::thread([shared = shared_] {
    while (shared->accepting.load()) {
      pollfd waiting{shared->listener.get(), POLLIN, 0};
      if (::poll(&waiting, 1, 200) <= 0) continue;
      const int socket = ::accept4(shared->listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) {
        std::this_thread::sleep_for(kAcceptPause);
        continue;
      }
      if (shared->connections.load() >= shared->options.connections_max) {
        ::close(socket);
        continue;
      }
      shared->connections.fetch_add(1);
      try {
        std::thread([shared, socket] {
          try {
            shared->serve(socket);
          } catch (const std::exception& error) {  // no memory, or no more threads: of one connection
            log_event("error", {{"what", "admin connection"}, {"message", error.what()}});
          }
          shared->connections.fetch_sub(1);
        }).detach();
      } catch (const std::system_error&) {  // the system has no more threads
        shared->connections.fetch_sub(1);
        ::close(socket);
        std::this_thread::sleep_for(kAcceptPause);
      }
    }
  });
  return success();
}

void AdminServer::stop() {
  shared_->accepting.store(false);
  if (shared_->acceptor.joinable()) shared_->acceptor.join();
}
void AdminServer::stop_connections() {
  shared_->stopping.store(true);
  shared_->shut(SHUT_RD);  // requests that do not come
}
unsigned AdminServer::connections() const { return shared_->connections.load(); }

}  // namespace vexor::frontend
