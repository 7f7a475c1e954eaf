#include "https/https_connection.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>
#include <cstdio>
#include <optional>

#include "common/base64.h"
#include "common/log.h"
#include "common/peer_address.h"
#include "https/gzip_body.h"
#include "https/offload.h"
#include "https/target.h"
#include "https/tls_stream.h"

namespace vexor::frontend {

namespace net = boost::asio;
namespace http = boost::beast::http;
using tcp = net::ip::tcp;
using error_code = boost::system::error_code;

namespace {

constexpr std::size_t kHeaderPieceBytes = 8 * 1024;  // all that an idle connection holds for reading
constexpr std::size_t kPieceBytes = 128 * 1024;
constexpr std::size_t kWriteSliceBytes = 256 * 1024;  // what one deadline is for
constexpr int kWorkSecondsMax = 24 * 3600;
constexpr int kGoodbyeSeconds = 2;
constexpr int kFollowUpSeconds = 10;  // while the server ends: for the request that an answered info/refs was for; git packs between
constexpr int kBusySeconds = 5;  // after which who found too many logins should ask again
constexpr int kGoodbyePiecesMax = 256;
constexpr std::uint64_t kSmallBytes = 1U << 20U;  // of a request whose session is dropped without a hop
constexpr auto kTurn = std::chrono::milliseconds(50);
constexpr auto kToken = net::as_tuple(net::use_awaitable);

// Makes an HTTP chunk of what lies behind the first kChunkHeadBytes of `room`, in place.
constexpr std::size_t kChunkHeadBytes = 10;
void frame_chunk(std::string& room) {
  char head[kChunkHeadBytes + 1];
  std::snprintf(head, sizeof head, "%08zx\r\n", room.size() - kChunkHeadBytes);
  room.replace(0, kChunkHeadBytes, head, kChunkHeadBytes);
  room.append("\r\n");
}

// A place among the logins that wait, while it lives; none if all are taken.
class LoginPlace {
 public:
  LoginPlace(std::atomic<unsigned>& waiting, unsigned max) : waiting_(waiting), fits_(waiting.fetch_add(1) < max) {
    if (!fits_) waiting_.fetch_sub(1);
  }
  ~LoginPlace() {
    if (fits_) waiting_.fetch_sub(1);
  }
  LoginPlace(const LoginPlace&) = delete;
  LoginPlace& operator=(const LoginPlace&) = delete;
  bool fits() const { return fits_; }

 private:
  std::atomic<unsigned>& waiting_;
  bool fits_;
};

// What a request says of who asks. Nothing: nobody in particular. An empty password is that of no account; git sends it after a 401 when the URL names a user, before
// it asks for the right one, and would be counted for a guess.
struct Credentials {
  std::string user;
  std::string password;
};
std::optional<Credentials> parse_basic(std::string_view authorization) {
  if (!authorization.starts_with("Basic ")) return std::nullopt;
  const std::string text = base64_decode(authorization.substr(6));
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || colon + 1 == text.size()) return std::nullopt;
  return Credentials{text.substr(0, colon), text.substr(colon + 1)};
}

struct Route {
  GitRequest git;
  std::string_view type;  // content type of the answer
};

// One connection: TLS, then requests until either side closes. All of it runs on one strand.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::shared_ptr<net::ssl::context> tls, std::shared_ptr<HttpsState> state, AddressCounts::Place place)
      : state_(std::move(state)), tls_(std::move(tls)), stream_(std::move(socket), tls_->native_handle()),
        timer_(stream_.socket().get_executor()), service_(state_->service), options_(state_->options), pool_(state_->pool),
        place_(std::move(place)) {
    error_code ignored;
    const auto remote = stream_.socket().remote_endpoint(ignored);
    peer_ = {plain_address(remote.address()).to_string(), "https"};
    state_->connections.fetch_add(1);
  }
  ~Connection() {
    {
      const std::lock_guard lock(state_->open_mutex);
      state_->open.erase(this);
    }
    state_->connections.fetch_sub(1);
  }

  net::awaitable<void> run() {
    set_deadline(options_.header_seconds_max);
    const bool is_secure = co_await stream_.handshake();
    if (!is_secure) {
      close();
      co_return;
    }
    error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
    bool go_on = true;
    while (go_on) {
      go_on = co_await serve_one();
      has_served_ = true;
    }
    co_await say_goodbye();
    close();
  }

  // Lets the client read the last answer: closing with its bytes unread would reset the connection.
  net::awaitable<void> say_goodbye() {
    stream_.shutdown();
    error_code failed;
    stream_.socket().shutdown(tcp::socket::shutdown_send, failed);
    set_deadline(kGoodbyeSeconds);
    std::string room(kHeaderPieceBytes, '\0');
    for (int pieces = 0; !failed && open_ && pieces < kGoodbyePiecesMax; ++pieces) {
      const auto [ended, count] = co_await stream_.socket().async_read_some(net::buffer(room), kToken);
      if (ended || count == 0) break;
    }
  }

  // After an exception: nothing more can be said to the client.
  void fail(const char* what) {
    log_event("error", {{"kind", "exception"}, {"what", what}, {"session", session_id_}, {"transport", "https"}, {"peer", peer_.address}});
    close();
  }

  // The server ends: the wait for another request does, and that for a first one soon.
  void drain() {
    if (!is_idle_) return;
    if (!has_served_) return set_deadline(kGoodbyeSeconds);
    if (follows_advertisement_) return set_deadline(kFollowUpSeconds);
    error_code ignored;
    stream_.socket().cancel(ignored);  // the read fails, and the goodbye follows
  }

  // Closes the connection when its deadline passes.
  net::awaitable<void> watch() {
    while (open_) {
      watched_ = deadline_;
      timer_.expires_at(watched_);
      co_await timer_.async_wait(kToken);
      if (open_ && std::chrono::steady_clock::now() >= deadline_) close();
    }
  }

 private:
  using Parser = http::request_parser<http::buffer_body>;

  // The watch sleeps until the deadline it knows, and is woken only for an earlier one.
  void set_deadline(int seconds) {
    deadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    if (deadline_ < watched_) timer_.cancel();
  }
  void close() {
    open_ = false;
    timer_.cancel();
    error_code ignored;
    stream_.socket().close(ignored);
  }

  net::awaitable<bool> fill(std::size_t bytes) {
    const auto room = input_.prepare(bytes);
    const std::span<char> span(static_cast<char*>(room.data()), room.size());
    const std::size_t count = co_await stream_.read_some(span);
    input_.commit(count);
    co_return count > 0;
  }

  net::awaitable<bool> write(Bytes bytes) {
    bool sent = true;
    while (sent && !bytes.empty()) {
      set_deadline(options_.idle_seconds_max);
      const Bytes slice = bytes.substr(0, kWriteSliceBytes);
      sent = co_await stream_.write_all(slice);
      bytes.remove_prefix(slice.size());
    }
    co_return sent;
  }

  // A complete answer. `extra`: header lines, each with its line end.
  net::awaitable<bool> answer(int status, std::string_view reason, std::string extra, std::string body, bool keep) {
    status_ = status;
    std::string text = "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason) + "\r\n" + extra +
                       "Content-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) +
                       (keep ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n") + body;
    const bool sent = co_await write(text);
    co_return sent && keep;
  }

  net::awaitable<bool> answer_damaged() {
    co_return co_await answer(413, "Payload Too Large", "", "the compressed request body is damaged or too large\n", false);
  }

  net::awaitable<bool> answer_busy(const Parser& parser) {
    service_.metrics().login(peer_.transport, "busy");
    std::string later = "Retry-After: " + std::to_string(kBusySeconds) + "\r\n";
    co_return co_await answer(503, "Service Unavailable", std::move(later), "too many logins at once; try again\n", may_keep(parser));
  }

  net::awaitable<bool> serve_one() {
    Parser parser;
    parser.body_limit(boost::none);
    parser.header_limit(static_cast<std::uint32_t>(options_.header_bytes_max));
    bool begun = input_.size() > 0;
    const bool drains = state_->draining.load();
    if (drains && has_served_ && !begun && !follows_advertisement_) co_return false;
    const int patience = follows_advertisement_ ? kFollowUpSeconds : kGoodbyeSeconds;
    set_deadline(begun ? options_.header_seconds_max : drains ? patience : options_.idle_seconds_max);
    while (!parser.is_header_done()) {
      if (input_.size() > 0) {
        error_code failed;
        const std::size_t used = parser.put(input_.data(), failed);
        input_.consume(used);
        if (failed && failed != http::error::need_more) {
          co_return co_await answer(400, "Bad Request", "", "not an HTTP request that this server takes\n", false);
        }
        if (parser.is_header_done()) break;
      }
      is_idle_ = !begun;
      const bool more = co_await fill(kHeaderPieceBytes);
      is_idle_ = false;
      if (!more) co_return false;
      if (!begun) set_deadline(options_.header_seconds_max);
      begun = true;
    }
    started_ = std::chrono::steady_clock::now();
    follows_advertisement_ = false;
    bytes_in_ = bytes_out_ = 0;
    command_.reset();
    waited_ = {};
    ended_well_ = false;
    const bool go_on = co_await route(parser);
    log(parser);
    if (input_.size() == 0 && input_.capacity() > kHeaderPieceBytes) input_ = {};
    co_return go_on;
  }

  // One access line a request. Never header values: they may hold passwords.
  void log(const Parser& parser) {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started_);
    const std::string_view target = parser.get().target();
    log_event("request", {{"transport", "https"}, {"session", session_id_}, {"peer", peer_.address}, {"user", principal_.name},
                          {"method", parser.get().method_string()}, {"path", target.substr(0, target.find('?'))},
                          {"status", status_}, {"bytes_in", bytes_in_}, {"bytes_out", bytes_out_}, {"ms", took.count()}});
    if (command_) {
      const char* outcome = status_ == 200 && ended_well_ ? "ok" : status_ >= 400 && status_ < 500 ? "refused" : "failed";
      service_.metrics().request("https", git_command_name(*command_), outcome, bytes_in_, bytes_out_, static_cast<double>(took.count()) / 1000);
    }
  }

  // Whether the connection goes on after an answer that read no more of the request. What is unread of a body would be taken
  // for the next request, which a proxy in front does not know of.
  bool may_keep(const Parser& parser) const {
    return parser.get().keep_alive() && parser.get().method() == http::verb::get && parser.is_done() && !state_->draining.load();
  }

  net::awaitable<bool> route(Parser& parser) {
    const auto& request = parser.get();
    principal_ = {};
    const bool plain = request.method() == http::verb::get;
    std::string rest;
    Route route;
    route.git.stateless = true;
    route.git.session_id = session_id_ = new_session_id();
    route.git.git_protocol = std::string(request["Git-Protocol"]).substr(0, 256);
    // Where the body ends is not known: what follows must not be taken for another request.
    if (request.count(http::field::transfer_encoding) > 0 && (!parser.chunked() || request.version() < 11)) {
      co_return co_await answer(400, "Bad Request", "", "the only Transfer-Encoding that this server takes is chunked\n", false);
    }
    const std::string target(request.target());
    if (!split_target(target, route.git.repository, rest)) {
      co_return co_await answer(404, "Not Found", "", "not found\n", may_keep(parser));
    }
    if (plain && (rest == "/info/refs?service=git-upload-pack" || rest == "/info/refs?service=git-receive-pack")) {
      route.git.advertise_only = true;
      const bool write = rest.ends_with("receive-pack");
      route.git.command = write ? GitCommand::kReceivePack : GitCommand::kUploadPack;
      route.type = write ? "application/x-git-receive-pack-advertisement" : "application/x-git-upload-pack-advertisement";
    } else if (request.method() == http::verb::post && (rest == "/git-upload-pack" || rest == "/git-receive-pack")) {
      const bool write = rest == "/git-receive-pack";
      route.git.command = write ? GitCommand::kReceivePack : GitCommand::kUploadPack;
      route.type = write ? "application/x-git-receive-pack-result" : "application/x-git-upload-pack-result";
      const std::string wanted = write ? "application/x-git-receive-pack-request" : "application/x-git-upload-pack-request";
      if (request[http::field::content_type] != wanted) {
        co_return co_await answer(415, "Unsupported Media Type", "", "expected " + wanted + "\n", false);
      }
    } else if (rest.starts_with("/info/refs") || rest.starts_with("/objects/") || rest == "/HEAD") {
      co_return co_await answer(403, "Forbidden", "", "dumb HTTP is not offered; use a Git client with smart HTTP\n", may_keep(parser));
    } else {
      co_return co_await answer(404, "Not Found", "", "not found\n", may_keep(parser));
    }
    co_return co_await serve_git(parser, std::move(route));
  }

  net::awaitable<bool> serve_git(Parser& parser, Route route) {
    std::unique_ptr<protocol::Session> session;
    std::optional<Error> refused;
    command_ = route.git.command;
    gzip_.reset();
    if (parser.get()[http::field::content_encoding] == "gzip") gzip_.emplace(command_ == GitCommand::kReceivePack ? GzipBody::kPushRatioMax : 0);
    // A body that came with its header is worked on in the same turn on the pool.
    std::string early;
    const bool expects = parser.get()[http::field::expect] == "100-continue";
    if (!expects && !take_buffered(parser, early)) co_return false;
    bool is_damaged = false;
    const auto credentials = parse_basic(parser.get()[http::field::authorization]);
    bool is_unknown = false;  // who asks: the password must be hashed
    const bool may_wait = service_.may_wait_to_open();  // for a primary; the first turn is a worker's then
    net::thread_pool& opening = may_wait ? state_->waiting_pool : pool_;
    auto open = [&] {
      if (credentials && principal_.anonymous()) {
        auto who = service_.recall_login(peer_, credentials->user, credentials->password);
        if (who.has_error()) {
          refused.emplace(std::move(who).error());
          return;
        }
        is_unknown = !who.value();
        if (is_unknown) return;
        principal_ = std::move(*who.value());
      }
      auto made = service_.open_session(principal_, route.git);
      if (made.has_error()) {
        refused.emplace(std::move(made).error());
        return;
      }
      session = std::move(made).value();
      if (!early.empty()) is_damaged = !feed(*session, early);
      if (!is_damaged && !may_wait && session->wants() == protocol::Wants::kWork) run_turn(*session);
    };
    auto first = open;
    co_await offload(opening, std::move(first));
    if (is_unknown) {
      const LoginPlace place(state_->logins_waiting, options_.logins_waiting_max);
      if (!place.fits()) co_return co_await answer_busy(parser);
      set_deadline(kWorkSecondsMax);  // waiting for ourselves
      auto check = [&] {
        auto who = service_.login_password(peer_, credentials->user, credentials->password);
        if (who.has_error()) refused.emplace(std::move(who).error());
        else principal_ = std::move(who).value();
      };
      co_await offload(state_->login_pool, std::move(check));
    }
    if (is_unknown && !refused) co_await offload(opening, std::move(open));
    if (refused) {
      const bool login = refused->code() == Errc::kRefused && principal_.anonymous();
      if (login) {
        std::string challenge = "WWW-Authenticate: Basic realm=\"vexorstore\"\r\n";
        co_return co_await answer(401, "Unauthorized", std::move(challenge), "authentication required\n", may_keep(parser));
      }
      switch (refused->code()) {
        case Errc::kRefused: co_return co_await answer(403, "Forbidden", "", refused->message() + "\n", may_keep(parser));
        case Errc::kNotFound: co_return co_await answer(404, "Not Found", "", "repository not found\n", may_keep(parser));
        case Errc::kUnavailable: {
          std::string later = "Retry-After: 30\r\n";
          co_return co_await answer(429, "Too Many Requests", std::move(later), refused->message() + "\n", false);
        }
        default:
          service_.note_failure(peer_, route.git, *refused);
          co_return co_await answer(500, "Internal Server Error", "", "internal error\n", false);
      }
    }
    if (is_damaged) co_return co_await answer_damaged();
    if (expects) {
      const bool sent = co_await write("HTTP/1.1 100 Continue\r\n\r\n");
      if (!sent) co_return false;
    }
    status_ = 200;
    keep_ = parser.get().keep_alive();
    follows_advertisement_ = keep_ && route.git.advertise_only;
    std::string head = "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(route.type) +
                       "\r\nCache-Control: no-cache, max-age=0, must-revalidate\r\nExpires: Fri, 01 Jan 1980 00:00:00 GMT\r\n"
                       "Pragma: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n";
    const bool pumped = co_await pump(parser, *session, std::move(head));
    ended_well_ = pumped && session->failure() == nullptr;
    if (session->failure() != nullptr) service_.note_failure(peer_, route.git, *session->failure());
    if (bytes_in_ + bytes_out_ < kSmallBytes) {
      session.reset();
    } else {
      auto drop = [&] { session.reset(); };
      co_await offload(pool_, std::move(drop));
    }
    gzip_.reset();
    if (!pumped) co_return false;
    const bool is_drained = parser.is_done() || co_await drain_body(parser);  // with no session any more
    co_return is_drained && goes_on();
  }

  // What has arrived of the request body, up to a piece. False: it is no HTTP.
  bool take_buffered(Parser& parser, std::string& piece) {
    piece.resize(kPieceBytes);
    std::size_t count = 0;
    for (bool moved = true; moved && input_.size() > 0 && count < piece.size() && !parser.is_done();) {
      auto& body = parser.get().body();
      body.data = piece.data() + count;
      body.size = piece.size() - count;
      body.more = true;
      error_code failed;
      const std::size_t used = parser.put(input_.data(), failed);
      input_.consume(used);
      if (failed && failed != http::error::need_buffer && failed != http::error::need_more) return false;
      moved = used > 0;
      count = piece.size() - body.size;
    }
    piece.resize(count);
    bytes_in_ += count;
    return true;
  }

  // The next piece of the request body; empty at its end. False: the connection broke.
  net::awaitable<bool> read_body(Parser& parser, std::string& piece) {
    piece.clear();
    while (!parser.is_done()) {
      if (!take_buffered(parser, piece)) co_return false;
      if (!piece.empty()) co_return true;
      if (parser.is_done()) break;
      if (input_.size() >= options_.header_bytes_max) co_return false;  // a chunk's extension, or trailers, without an end
      set_deadline(options_.body_idle_seconds_max);
      const auto begun = std::chrono::steady_clock::now();
      const bool more = co_await fill(kPieceBytes);
      waited_ += std::chrono::steady_clock::now() - begun;
      if (!more || too_slow()) co_return false;
    }
    co_return true;
  }

  // A client that sends a byte now and then would hold a connection and a session for days.
  bool too_slow() const {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(waited_).count();
    return seconds > options_.rate_grace_seconds && bytes_in_ / static_cast<std::uint64_t>(seconds) < options_.rate_bytes_per_second_min;
  }

  // Feeds a piece, or the first of what it inflates to; the rest is for feed_pending(). False: refuse the request.
  bool feed(protocol::Session& session, Bytes piece) {
    if (!gzip_) {
      session.feed(piece);
      return true;
    }
    gzip_->give(piece);
    return feed_pending(session);
  }

  // A piece at a time: the session works between, and holds no more than that however well the body was compressed.
  bool feed_pending(protocol::Session& session) {
    std::string plain;
    if (!gzip_->take(plain, options_.gzip_body_bytes_max)) return false;
    if (!plain.empty()) session.feed(plain);
    return true;
  }

  // While the server ends only what an advertisement was asked for comes over the same connection: there is no other any more.
  bool goes_on() const { return keep_ && (follows_advertisement_ || !state_->draining.load()); }

  // The head of an answer on its way out; the server may have begun to end since it was made.
  void finish_head(std::string& head) const {
    if (!head.empty() && !goes_on()) head.insert(head.find("\r\n") + 2, "Connection: close\r\n");
  }

  // Sends `before` (the header, when nothing was sent yet), and then the bytes as one chunk.
  net::awaitable<bool> write_chunk(std::string& before, Bytes bytes) {
    finish_head(before);
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    before.append(size).append(bytes).append("\r\n");
    bytes_out_ += bytes.size();
    const bool sent = co_await write(before);
    before.clear();
    last_write_ = std::chrono::steady_clock::now();
    co_return sent;
  }

  // Several short pieces of work, in one turn on the pool.
  static void run_turn(protocol::Session& session) {
    const auto end = std::chrono::steady_clock::now() + kTurn;
    const bool waits = session.waits_for_others();
    do session.run_work();
    while (session.wants() == protocol::Wants::kWork && session.keep_alive().empty() && session.waits_for_others() == waits && std::chrono::steady_clock::now() < end);
  }

  // Runs the session's work on the pool and keeps the client patient meanwhile. False: the client is gone.
  net::awaitable<bool> run_work(protocol::Session& session, std::string& before) {
    const std::string packet(session.keep_alive());  // the session may go to another server while it works
    set_deadline(kWorkSecondsMax);  // waiting for ourselves; not for the client
    net::thread_pool& pool = session.waits_for_others() ? state_->waiting_pool : pool_;
    if (packet.empty()) {
      auto work = [&session] { run_turn(session); };
      co_await offload(pool, std::move(work));
      co_return true;
    }
    const auto home = co_await net::this_coro::executor;
    const auto pending = std::make_shared<Pending>(home);
    net::post(pool, [&session, pending, home] {
      try {
        session.run_work();
      } catch (...) {
        pending->thrown = std::current_exception();
      }
      net::post(home, [pending] {
        pending->done = true;
        pending->timer.cancel();
      });
    });
    bool there = true;
    while (!pending->done) {  // the session must not go away before
      const auto every = std::chrono::milliseconds(options_.keep_alive_ms);
      pending->timer.expires_at(there ? last_write_ + every : std::chrono::steady_clock::now() + every);
      co_await pending->timer.async_wait(kToken);
      if (pending->done || !there || std::chrono::steady_clock::now() < last_write_ + every) continue;
      try {
        there = co_await write_chunk(before, packet);
      } catch (...) {
        there = false;  // as if the client were gone: the work must end first
      }
      set_deadline(kWorkSecondsMax);
    }
    if (pending->thrown) std::rethrow_exception(pending->thrown);
    co_return there;
  }

  // From the opened session to the end of its answer. What it was fed with last may still be inflated from.
  net::awaitable<bool> pump(Parser& parser, protocol::Session& session, std::string head) {
    using protocol::Wants;
    std::string piece;
    std::string chunk = std::move(head);
    last_write_ = std::chrono::steady_clock::now();
    std::string room;
    while (session.wants() != Wants::kDone) {
      if (session.wants() == Wants::kWork) {
        const bool there = co_await run_work(session, chunk);
        if (!there) co_return false;
      } else if (session.wants() == Wants::kInput) {
        const bool is_pending = gzip_ && gzip_->is_pending();
        if (!is_pending) {
          const bool read = co_await read_body(parser, piece);
          if (!read) co_return false;
        }
        if (!is_pending && piece.empty()) {
          session.end_of_input();
        } else if (is_pending ? !feed_pending(session) : !feed(session, piece)) {
          if (chunk.empty()) co_return false;  // the answer has begun, by a keep-alive: it cannot be another one now
          co_return co_await answer_damaged();
        }
      } else if (!chunk.empty()) {  // the head of the answer goes with the first piece
        room.resize(kPieceBytes);
        room.resize(session.drain(room));
        const bool sent = co_await write_chunk(chunk, room);
        if (!sent) co_return false;
      } else {
        session.take_output(room, kChunkHeadBytes);
        bytes_out_ += room.size() - kChunkHeadBytes;
        frame_chunk(room);
        const bool sent = co_await write(room);
        if (!sent) co_return false;
        last_write_ = std::chrono::steady_clock::now();
      }
    }
    finish_head(chunk);
    chunk.append("0\r\n\r\n");
    co_return co_await write(chunk);
  }

  // What is left of a request body that was refused early, up to a bound; else the client might
  // not read the answer before the connection is reset.
  net::awaitable<bool> drain_body(Parser& parser) {
    constexpr int kPiecesMax = 1024;
    std::string piece;
    for (int i = 0; i < kPiecesMax; ++i) {
      const bool read = co_await read_body(parser, piece);
      if (!read) co_return false;
      if (piece.empty()) co_return true;
    }
    co_return false;
  }

  std::shared_ptr<HttpsState> state_;  // first: all below may refer to it
  std::shared_ptr<net::ssl::context> tls_;
  TlsStream stream_;
  net::steady_timer timer_;
  Service& service_;
  const HttpsOptions& options_;
  net::thread_pool& pool_;
  AddressCounts::Place place_;
  Peer peer_;
  std::string session_id_;  // of the request at hand
  std::optional<GitCommand> command_;
  bool ended_well_ = false;
  Principal principal_;
  boost::beast::flat_buffer input_;
  std::optional<GzipBody> gzip_;
  std::chrono::steady_clock::time_point deadline_;
  std::chrono::steady_clock::time_point watched_;  // what the watch waits for
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point last_write_;  // of this answer
  std::chrono::steady_clock::duration waited_{};  // for the client's bytes, in this request
  int status_ = 0;
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  bool keep_ = true;  // the client wants the connection to go on
  bool open_ = true;
  bool is_idle_ = false;     // waits for the first octet of a request
  bool has_served_ = false;  // a request, at least
  bool follows_advertisement_ = false;  // what comes next
};

net::awaitable<void> run_connection(std::shared_ptr<Connection> connection) {
  try {
    co_await connection->run();
  } catch (const std::exception& thrown) {
    connection->fail(thrown.what());
  } catch (...) {
    connection->fail("an exception of no known type");
  }
}
net::awaitable<void> watch_connection(std::shared_ptr<Connection> connection) { co_await connection->watch(); }

}  // namespace

void start_connection(tcp::socket socket, std::shared_ptr<net::ssl::context> tls, const std::shared_ptr<HttpsState>& state, AddressCounts::Place place) {
  const auto strand = socket.get_executor();
  const auto connection = std::make_shared<Connection>(std::move(socket), std::move(tls), state, std::move(place));
  {
    const std::lock_guard lock(state->open_mutex);
    state->open[connection.get()] = [strand, weak = std::weak_ptr<Connection>(connection)] {
      net::post(strand, [weak] {
        if (const auto alive = weak.lock()) alive->drain();
      });
    };
  }
  net::co_spawn(strand, run_connection(connection), net::detached);
  net::co_spawn(strand, watch_connection(connection), net::detached);
}

}  // namespace vexor::frontend
