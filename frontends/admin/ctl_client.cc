#include "admin/ctl_client.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/frame.h"
#include "admin/receipt_json.h"
#include "daemon/file_modes.h"
#include "vexorstore/protocol/receive_pack.h"
#include "vexorstore/sys/backends.h"

namespace vexor::frontend {

namespace {

constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr std::size_t kReportBytesMax = 64U << 20U;

Error io_error(const char* what) { return Error(Errc::kIo, std::string(what) + ": " + std::strerror(errno)); }

Result<void> write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return io_error("write");
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return success();
}

// The "ng" lines and the unpack error of a report-status answer that comes without a side band. `is_short`: that error is of
// refs that were taken (docs/protocol/replication.md, C6), and their receipt says the same.
Result<std::string> refusals(Bytes report, bool is_short) {
  std::string out;
  bool any = false;
  while (report.size() >= 4) {
    std::size_t size = 0;
    for (const char c : report.substr(0, 4)) size = size * 16 + static_cast<std::size_t>(c >= 'a' ? c - 'a' + 10 : c - '0');
    if (size < 4) {
      report.remove_prefix(4);
      continue;
    }
    if (size > report.size()) break;
    const Bytes line = report.substr(4, size - 4);
    report.remove_prefix(size);
    any = true;
    if (line.starts_with("ERR ")) return Error(Errc::kRefused, std::string(line.substr(4)));
    if (!is_short && line.starts_with("unpack ") && line != "unpack ok\n") return Error(Errc::kRefused, std::string(line.substr(7)));
    if (line.starts_with("ng ")) out += line.substr(3);
  }
  if (!any) return Error(Errc::kIo, "the import ended without a report");
  return out;
}

// A mistyped directory must not become an empty store, in which all is well.
Result<void> must_hold_store(const std::filesystem::path& data) {
  const std::filesystem::path store = data / "store";
  std::error_code failed;
  if (std::filesystem::exists(store / "CURRENT", failed)) return success();
  if (failed) return Error(Errc::kIo, store.string() + ": cannot be read: " + failed.message());
  return Error(Errc::kNotFound, "no store at " + store.string() + ": give --data the data directory of a server (server.data of its configuration); 'user add' or 'repo create' makes a new one there");
}

// What is written is for the user of this process only: a server of another one could not read it.
Result<void> must_own(const std::filesystem::path& data) {
  struct stat found {};
  if (::stat((data / "store").c_str(), &found) != 0 && ::stat(data.c_str(), &found) != 0) return success();
  if (found.st_uid == ::geteuid()) return success();
  const passwd* owner = ::getpwuid(found.st_uid);
  const std::string name = owner != nullptr ? owner->pw_name : std::to_string(found.st_uid);
  return Error(Errc::kRefused, data.string() + " belongs to user " + name + ", who could not read what another one writes there: run vexorctl as that user");
}

class OfflineClient final : public CtlClient {
 public:
  explicit OfflineClient(std::unique_ptr<Store> store) : store_(std::move(store)) {}

  Result<json::object> run(const json::object& request, const ProgressSink& progress) override {
    return run_command(*store_, request, Actor{}, progress);
  }

  Result<ImportOutcome> import(const std::string& name, const std::string& push_head, int pack, const ProgressSink& progress) override {
    using protocol::Wants;
    VEXOR_TRY(const auto repository, store_->find_repository(name));
    if (!repository) return Error(Errc::kNotFound, name + ": no such repository");
    protocol::ReceivePackOptions options;
    options.stateless = true;  // no ref advertisement
    VEXOR_TRY(const auto session, protocol::make_receive_pack(*store_, *repository, options));
    std::string room(kPieceBytes, '\0');
    std::string report;
    std::uint64_t fed = 0;
    bool head_given = false;
    while (session->wants() != Wants::kDone) {
      switch (session->wants()) {
        case Wants::kInput: {
          if (!head_given) {
            head_given = true;
            session->feed(push_head);
            break;
          }
          const ssize_t count = ::read(pack, room.data(), room.size());
          if (count < 0 && errno != EINTR) return io_error("read the pack");
          if (count == 0) session->end_of_input();
          if (count > 0) session->feed(Bytes(room).substr(0, static_cast<std::size_t>(count)));
          fed += static_cast<std::uint64_t>(std::max<ssize_t>(count, 0));
          if (progress) progress(fed, 0);
          break;
        }
        case Wants::kOutput: report.append(room.data(), session->drain(std::span<char>(room))); break;
        case Wants::kWork: session->run_work(); break;
        case Wants::kDone: break;
      }
    }
    VEXOR_TRY(std::string refused, refusals(report, false));
    return ImportOutcome{std::move(refused), {}};
  }

  Result<void> export_bundle(const std::string& name, int output) override {
    VEXOR_TRY(const auto repository, store_->find_repository(name));
    if (!repository) return Error(Errc::kNotFound, name + ": no such repository");
    return vexor::export_bundle(*store_, repository->id, [output](Bytes bytes) { return write_all(output, bytes); });
  }

 private:
  std::unique_ptr<Store> store_;
};

class SocketClient final : public CtlClient {
 public:
  explicit SocketClient(std::filesystem::path path) : path_(std::move(path)) {}

  Result<json::object> run(const json::object& request, const ProgressSink& progress) override {
    VEXOR_TRY(const UniqueFd socket, connect_unix(path_));
    VEXOR_TRY(send_frame(socket.get(), request));
    VEXOR_TRY(json::object answer, receive_answer(socket.get(), progress));
    return std::move(answer.at("result").as_object());
  }

  Result<ImportOutcome> import(const std::string& name, const std::string& push_head, int pack, const ProgressSink& progress) override {
    VEXOR_TRY(const UniqueFd socket, connect_unix(path_));
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return io_error("socketpair");
    const UniqueFd mine(pair[0]);
    UniqueFd theirs(pair[1]);
    const std::array<int, 3> descriptors{theirs.get(), theirs.get(), theirs.get()};
    VEXOR_TRY(send_frame(socket.get(), {{"op", "import"}, {"repository", name}}, &descriptors));
    theirs.reset();
    std::string report;
    std::string room(kPieceBytes, '\0');
    std::string waiting = push_head;
    std::uint64_t fed = 0;
    bool ended = false;
    // The server may refuse early: read what it says while writing.
    for (;;) {
      if (waiting.empty() && !ended) {
        const ssize_t count = ::read(pack, room.data(), room.size());
        if (count < 0 && errno != EINTR) return io_error("read the pack");
        if (count == 0) {
          ended = true;
          ::shutdown(mine.get(), SHUT_WR);
        }
        if (count > 0) waiting.assign(room, 0, static_cast<std::size_t>(count));
        fed += static_cast<std::uint64_t>(std::max<ssize_t>(count, 0));
        if (progress) progress(fed, 0);
      }
      const short events = static_cast<short>(POLLIN | (waiting.empty() ? 0 : POLLOUT));
      pollfd ready{mine.get(), events, 0};
      if (::poll(&ready, 1, -1) < 0 && errno != EINTR) return io_error("poll");
      if ((ready.revents & (POLLIN | POLLHUP)) != 0) {
        const ssize_t count = ::read(mine.get(), room.data(), room.size());
        if (count == 0 || (count < 0 && errno != EINTR)) break;
        if (count > 0) report.append(room, 0, static_cast<std::size_t>(count));
        if (report.size() > kReportBytesMax) return Error(Errc::kLimitExceeded, "the server's report is too long");
      } else if ((ready.revents & POLLOUT) != 0) {
        const ssize_t count = ::send(mine.get(), waiting.data(), waiting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count > 0) waiting.erase(0, static_cast<std::size_t>(count));
        else if (count < 0 && errno != EINTR && errno != EAGAIN) ended = true;  // what it said comes next
      }
    }
    VEXOR_TRY(const json::object answer, receive_answer(socket.get(), nullptr));
    // This session begins with the ref advertisement; the report is behind its flush.
    const std::size_t flush = report.find("0000");
    ImportOutcome out;
    VEXOR_TRY(out.refused, refusals(flush == std::string::npos ? Bytes() : Bytes(report).substr(advertisement_end(report)), has_short_receipt(answer)));
    if (const json::value* receipt = answer.if_contains("receipt"); receipt != nullptr && receipt->is_object()) out.receipt = receipt->get_object();
    return out;
  }

  Result<void> export_bundle(const std::string& name, int output) override {
    VEXOR_TRY(const UniqueFd socket, connect_unix(path_));
    const std::array<int, 3> descriptors{output, output, output};
    VEXOR_TRY(send_frame(socket.get(), {{"op", "export"}, {"repository", name}}, &descriptors));
    VEXOR_TRY(receive_answer(socket.get(), nullptr));
    return success();
  }

 private:
  static std::size_t advertisement_end(Bytes report) {
    std::size_t at = 0;
    while (at + 4 <= report.size()) {
      std::size_t size = 0;
      for (const char c : report.substr(at, 4)) size = size * 16 + static_cast<std::size_t>(c >= 'a' ? c - 'a' + 10 : c - '0');
      if (size == 0) return at + 4;
      if (size < 4) break;
      at += size;
    }
    return report.size();
  }

  static Result<json::object> receive_answer(int socket, const ProgressSink& progress) {
    for (;;) {
      VEXOR_TRY(auto frame, receive_frame(socket));
      if (!frame) return Error(Errc::kUnavailable, "the server went away");
      if (const json::value* told = frame->message.if_contains("progress")) {
        const json::object& figures = told->as_object();
        if (progress) progress(figures.at("done").to_number<std::uint64_t>(), figures.at("total").to_number<std::uint64_t>());
        continue;
      }
      if (const json::value* error = frame->message.if_contains("error")) {
        const json::object& fields = error->as_object();
        const std::string code(fields.at("code").as_string());
        Errc known = Errc::kIo;
        for (int i = static_cast<int>(Errc::kNotFound); i <= static_cast<int>(Errc::kCancelled); ++i) {
          if (errc_name(static_cast<Errc>(i)) == code) known = static_cast<Errc>(i);
        }
        return Error(known, std::string(fields.at("message").as_string()));
      }
      return std::move(frame->message);
    }
  }
  std::filesystem::path path_;
};

}  // namespace

Result<std::unique_ptr<CtlClient>> open_socket_client(const std::filesystem::path& socket) {
  VEXOR_TRY(connect_unix(socket));
  return std::unique_ptr<CtlClient>(std::make_unique<SocketClient>(socket));
}

Result<std::unique_ptr<CtlClient>> open_offline_client(const std::filesystem::path& data, bool may_create) {
  if (!may_create) {
    VEXOR_TRY(must_hold_store(data));
  }
  VEXOR_TRY(must_own(data));
  close_new_files();
  std::error_code ignored;
  std::filesystem::create_directories(data / "tmp", ignored);
  VEXOR_TRY(auto backend, sys::open_rocksdb_backend(data / "store"));
  StoreOptions options;
  options.scratch_directory = data / "tmp";
  VEXOR_TRY(auto store, Store::open(std::move(backend), options));
  return std::unique_ptr<CtlClient>(std::make_unique<OfflineClient>(std::move(store)));
}

}  // namespace vexor::frontend
