#include "common/service.h"

#include <algorithm>

#include "admin/commands.h"
#include "common/log.h"
#include "common/peer_address.h"
#include "common/resuming_session.h"
#include "common/retrying_session.h"
#include "vexorstore/history.h"
#include "vexorstore/protocol/receive_pack.h"
#include "vexorstore/protocol/upload_pack.h"
#include "vexorstore/sys/random.h"

namespace vexor::frontend {

namespace {
constexpr std::int64_t kRememberMs = 5 * 60 * 1000;
constexpr std::size_t kRememberedMax = 100'000;
constexpr std::size_t kUserCharsMax = 64;  // no account has a longer name: such a login counts for its address only

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// %40 is @, and so on; what is no escape stays.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    out.push_back(is_escape ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i]);
    if (is_escape) i += 2;
  }
  return out;
}

// "OWNER/NAME@{MOMENT}"; no name holds an @.
struct Address {
  std::string repository;
  std::string moment;  // empty: now
};
Address parse_address(std::string_view text) {
  Address out{percent_decoded(text), {}};
  const std::size_t at = out.repository.find("@{");
  if (at == std::string::npos || !out.repository.ends_with('}') || at + 3 > out.repository.size() - 1) return out;
  out.moment = out.repository.substr(at + 2, out.repository.size() - at - 3);
  out.repository.resize(at);
  return out;
}

// What failed logins are counted by.
std::string address_key(const Peer& peer) { return "a" + limit_key(peer.address); }
std::string account_key(const std::string& user) { return user.size() <= kUserCharsMax ? "u" + user : std::string(); }

// What an owner is told of a moment that cannot be had: a sentence, and no "repository not found".
Error as_sentence(const Error& error) {
  const bool is_told = error.code() == Errc::kNotFound || error.code() == Errc::kInvalidArgument;
  return is_told ? Error(Errc::kRefused, error.message()) : error.clone();
}
}  // namespace

std::string new_session_id() {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char octet : sys::random_bytes(8)) {
    out.push_back(kDigits[static_cast<unsigned char>(octet) >> 4U]);
    out.push_back(kDigits[static_cast<unsigned char>(octet) & 15U]);
  }
  return out;
}

Service::Service(Store& store) : store_(store), clock_(sys::system_clock()), tag_key_(sys::random_bytes(32)) {}

std::string Service::login_tag(const std::string& user, Bytes password) const {
  std::string message = user;
  message.push_back('\0');
  message.append(password);
  return sys::keyed_tag(tag_key_, message);
}

std::string Service::place_tag(const Peer& peer, const std::string& user) const { return login_tag(user, address_key(peer)); }

Result<void> Service::check_login_limits(const Peer& peer, const std::string& user) {
  const std::int64_t now = clock_.monotonic_time_ms();
  {
    const std::lock_guard lock(mutex_);
    const bool is_account_blocked = failures_.is_blocked(account_key(user), now) && !known_places_.contains(place_tag(peer, user), now);
    if (!failures_.is_blocked(address_key(peer), now) && !is_account_blocked) return success();
  }
  metrics_.login(peer.transport, "limited");
  return Error(Errc::kUnavailable, "too many failed logins; try again later");
}

Result<std::optional<Principal>> Service::recall_login(const Peer& peer, const std::string& user, Bytes password) {
  std::optional<AccountInfo> remembered;
  {
    const std::lock_guard lock(mutex_);
    const auto found = logins_.find(login_tag(user, password));
    if (found != logins_.end() && found->second.second > clock_.monotonic_time_ms()) remembered = found->second.first;
  }
  if (remembered) {
    VEXOR_TRY(const auto account, store_.find_account(user));
    // It may have been disabled meanwhile, or have another password.
    if (account && !account->disabled && account->id == remembered->id && account->credentials_tag == remembered->credentials_tag) {
      metrics_.login(peer.transport, "remembered");
      return std::optional<Principal>(Principal{account->id, account->name});
    }
  }
  VEXOR_TRY(check_login_limits(peer, user));
  return std::optional<Principal>();
}

Result<Principal> Service::login_password(const Peer& peer, const std::string& user, Bytes password) {
  // Again: others may have logged in so, or failed, while this one waited for its turn.
  VEXOR_TRY(auto known, recall_login(peer, user, password));
  if (known) return std::move(*known);
  const std::string tag = login_tag(user, password);
  VEXOR_TRY(const auto account, store_.check_password(user, password));
  if (!account) {
    VEXOR_TRY(const auto named, store_.find_account(user));  // what is no account's name may be a password in the wrong field
    note_login(peer, "wrong", named ? named->name : std::string());
  }
  const std::int64_t now = clock_.monotonic_time_ms();
  const std::lock_guard lock(mutex_);
  if (!account) {
    logins_.erase(tag);
    failures_.add_failure(address_key(peer), now);
    failures_.add_failure(account_key(user), now);
    return Error(Errc::kRefused, "wrong user name or password");
  }
  metrics_.login(peer.transport, "ok");
  failures_.forget(account_key(user));  // the address keeps its count: one right guess excuses no others
  known_places_.add(place_tag(peer, user), now);
  if (logins_.size() >= kRememberedMax) logins_.clear();
  logins_[tag] = {*account, now + kRememberMs};
  return Principal{account->id, account->name};
}

void Service::note_login(const Peer& peer, const std::string& outcome, const std::string& user) {
  metrics_.login(peer.transport, outcome);
  log_event("login", {{"transport", peer.transport}, {"peer", peer.address}, {"user", user}, {"outcome", outcome}});
}

Result<Principal> Service::login_key(const Peer&, Bytes key_blob) {
  VEXOR_TRY(const auto account, store_.find_key(key_blob));
  if (!account) return Error(Errc::kRefused, "no account has this key");
  return Principal{account->id, account->name};
}

Result<std::unique_ptr<protocol::Session>> Service::open_session(const Principal& principal, const GitRequest& request) {
  if (set_ != nullptr && request.command == GitCommand::kUploadPack && !request.is_forwarded) return open_read(principal, request);
  ReplicaSet::Moment before;  // before the push can be in the journal
  VEXOR_TRY(auto session, open_once(principal, request, &before));
  if (set_ == nullptr || request.is_forwarded || request.advertise_only || request.command == GitCommand::kUploadPack) return session;
  const auto again = [this, principal, request, before, epoch = before.epoch](RetryingSession::Repetition why) mutable -> Result<std::unique_ptr<protocol::Session>> {
    if (why.is_open) {  // the same primary may still be at it, and would be waited for twice
      VEXOR_TRY(set_->wait_for_epoch_after(epoch));
    }
    epoch = set_->now().epoch;
    GitRequest repeated = request;
    if (why.may_be_done) repeated.may_be_done_after = before.applied;
    return open_once(principal, repeated);
  };
  return std::unique_ptr<protocol::Session>(std::make_unique<RetryingSession>(std::move(session), again, request.stateless, scratch_directory_));
}

// Another server checks again what this one lets it do.
Result<std::unique_ptr<protocol::Session>> Service::open_read(const Principal& principal, const GitRequest& request) {
  const auto open = [this, principal, request]() -> Result<std::unique_ptr<protocol::Session>> {
    VEXOR_TRY(auto elsewhere, set_->forward(principal, request));
    if (elsewhere) return elsewhere;
    return open_once(principal, request);
  };
  VEXOR_TRY(auto elsewhere, set_->forward(principal, request));
  if (!elsewhere) return open_once(principal, request);
  return std::unique_ptr<protocol::Session>(std::make_unique<ResumingSession>(std::move(elsewhere), open));
}

Result<std::unique_ptr<protocol::Session>> Service::open_once(const Principal& principal, const GitRequest& request, ReplicaSet::Moment* moment) {
  const bool is_write = request.command == GitCommand::kReceivePack;
  if (set_ != nullptr) {
    VEXOR_TRY(set_->before_read(request.command));
    if (moment != nullptr) *moment = set_->now();
  }
  const Address address = parse_address(request.repository);
  VEXOR_TRY(const auto repository, store_.find_repository(address.repository));
  Permission permission = Permission::kNone;
  if (repository) {
    VEXOR_TRY(permission, store_.permission_of(*repository, principal.account));
  }
  if (permission < (is_write ? Permission::kWrite : Permission::kRead)) {
    if (principal.anonymous()) return Error(Errc::kRefused, "authentication required");
    if (permission >= Permission::kRead) return Error(Errc::kRefused, "you may read this repository and not write to it");
    return Error(Errc::kNotFound, "repository not found");
  }
  if (!address.moment.empty()) return open_past(principal, request, *repository, permission, address.moment);
  const int version = protocol::parse_protocol_version(request.git_protocol);
  // An advertisement alone is a read.
  if (is_write && set_ != nullptr && !request.is_forwarded && !request.advertise_only) {
    VEXOR_TRY(auto elsewhere, set_->forward(principal, request));
    if (elsewhere) return elsewhere;
  }
  if (is_write) {
    protocol::ReceivePackOptions options;
    options.version = version == 1 ? 1 : 0;
    options.stateless = request.stateless;
    options.advertise_only = request.advertise_only;
    options.actor = {principal.account, principal.name};
    options.session_id = request.session_id;
    options.may_be_done_after = request.may_be_done_after;
    // A push may take as long as its sender likes: what he may do counts as of its end.
    options.before_commit = [this, info = *repository, account = principal.account](const protocol::PushRequest&) -> Result<void> {
      VEXOR_TRY(const Permission now, store_.permission_of(info, account));
      return now < Permission::kWrite ? Result<void>(Error(Errc::kRefused, "you may not write to this repository any more")) : success();
    };
    return protocol::make_receive_pack(store_, *repository, options);
  }
  protocol::UploadPackOptions options;
  options.version = version;
  options.stateless = request.stateless;
  options.advertise_only = request.advertise_only;
  options.session_id = request.session_id;
  options.bundle_lines = repository->bundle_lines;
  return protocol::make_upload_pack(store_, *repository, options);
}

// Earlier states are the owner's: they show what was taken back, and when. A public repository's too.
Result<std::unique_ptr<protocol::Session>> Service::open_past(const Principal& principal, const GitRequest& request, const RepositoryInfo& repository,
                                                              Permission permission, const std::string& moment) {
  if (principal.anonymous()) return Error(Errc::kRefused, "authentication required");
  if (permission != Permission::kOwner) return Error(Errc::kRefused, "only the owner sees earlier states of a repository");
  if (request.command == GitCommand::kReceivePack) return Error(Errc::kRefused, "an earlier state can be read and not pushed to");
  const auto found = find_moment(store_, moment);
  if (found.has_error()) return as_sentence(found.error());
  protocol::UploadPackOptions options;
  options.version = protocol::parse_protocol_version(request.git_protocol);
  options.stateless = request.stateless;
  options.advertise_only = request.advertise_only;
  options.session_id = request.session_id;
  options.as_of = found.value().sequence;
  auto session = protocol::make_upload_pack(store_, repository, options);
  if (session.has_error()) return as_sentence(session.error());
  return session;
}

void Service::note_failure(const Peer& peer, const GitRequest& request, const Error& failure) {
  const bool is_alarm = failure.code() == Errc::kCollision || failure.code() == Errc::kCorrupt;
  if (!is_alarm && failure.code() != Errc::kIo && failure.code() != Errc::kIndeterminate) return;
  const std::string kind(errc_name(failure.code()));
  if (is_alarm) metrics_.alarm(kind);
  log_event(is_alarm ? "alarm" : "error", {{"kind", kind}, {"what", failure.describe()}, {"repository", request.repository}, {"session", request.session_id},
                                           {"transport", peer.transport}, {"peer", peer.address}});
}

Result<std::string> Service::run_user_command(const Principal& principal, std::string_view line, const std::string& input) {
  if (set_ != nullptr && !line.empty() && line != "help") {
    VEXOR_TRY(auto told, set_->run_at_primary(principal, std::string(line), input));
    if (told) return std::move(*told);
  }
  return run_user_command_here(principal, line, input);
}

Result<std::optional<std::string>> Service::run_elsewhere(const std::string& request) {
  if (set_ == nullptr) return std::optional<std::string>();
  return set_->run_at_primary({}, request, {});
}

Result<json::object> Service::run_operator_command(const json::object& request, const ProgressSink& progress) {
  auto done = run_command(store_, request, Actor{}, progress);
  if (set_ == nullptr || done.has_value() || done.error().code() != Errc::kNotFound) return done;
  const auto text = [&](const char* key) {
    const json::value* value = request.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  const std::string name = text("name");
  if (text("op") != "repo.restore" || name.empty() || text("at").empty()) return done;
  VEXOR_TRY(const Moment moment, find_moment(store_, text("at")));
  auto recalled = set_->recall(name, moment.sequence);
  if (recalled.has_error()) {
    log_event("recall_failed", {{"repository", name}, {"sequence", moment.sequence}, {"why", recalled.error().message()}});
    if (recalled.error().code() == Errc::kNotFound) return done;
    return std::move(recalled).error();
  }
  log_event("recalled", {{"repository", name}, {"sequence", moment.sequence}, {"objects", recalled.value()}});
  return run_command(store_, request, Actor{}, progress);
}

Result<std::string> Service::run_forwarded(const Principal& principal, const std::string& text, const std::string& input) {
  if (set_ == nullptr) return Error(Errc::kUnavailable, "this server is no member of a replica set");
  VEXOR_TRY(set_->before_read(GitCommand::kReceivePack));  // what it is judged by is the latest
  if (!principal.anonymous()) return run_user_command_here(principal, text, input);
  json::error_code failed;
  const json::value request = json::parse(text, failed);
  if (failed || !request.is_object()) return Error(Errc::kInvalidArgument, "a command that is no JSON object");
  VEXOR_TRY(const json::object answer, run_operator_command(request.get_object(), nullptr));
  return json::serialize(answer);
}

Result<std::string> Service::run_user_command_here(const Principal& principal, std::string_view line, const std::string& input) {
  VEXOR_TRY(const auto account, store_.find_account(principal.name));
  if (!account || account->disabled || account->id != principal.account) return Error(Errc::kRefused, "the account is disabled");
  return frontend::run_user_command(store_, *account, line, input);
}

}  // namespace vexor::frontend
