// Service: what a frontend asks of the store: who is this, and a session for that.
//
// Threads: any. All methods block: call them on a worker.
#pragma once

#include <array>
#include <boost/json.hpp>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "common/known_places.h"
#include "common/login_limits.h"
#include "common/metrics.h"
#include "vexorstore/maintenance.h"
#include "vexorstore/protocol/session.h"
#include "vexorstore/store.h"

namespace vexor::frontend {

struct Peer {
  std::string address;
  std::string transport;  // "https", "ssh" or "openssh"
};

struct Principal {
  std::uint64_t account = 0;
  std::string name;
  bool anonymous() const { return account == 0; }
};

enum class GitCommand : std::uint8_t { kUploadPack, kReceivePack };
// "upload-pack" or "receive-pack".
inline const char* git_command_name(GitCommand command) {
  return command == GitCommand::kUploadPack ? "upload-pack" : "receive-pack";
}

struct GitRequest {
  GitCommand command = GitCommand::kUploadPack;
  std::string repository;    // "OWNER/NAME", or "OWNER/NAME@{MOMENT}"; may have percent escapes
  std::string git_protocol;  // the client's Git-Protocol header or GIT_PROTOCOL
  bool stateless = false;
  bool advertise_only = false;
  std::string session_id;    // names this request in our log and, if it logs it, in the client's
  bool is_forwarded = false;  // by another member of the replica set: never on to a third one
  // protocol::ReceivePackOptions::may_be_done_after
  std::optional<std::uint64_t> may_be_done_after{};
};

// A new name for a request: 16 random hex digits.
std::string new_session_id();

class Service {
 public:
  explicit Service(Store& store);

  Store& store() { return store_; }
  Metrics& metrics() { return metrics_; }
  // What a member of a replica set does for its clients. Any thread; methods may block.
  class ReplicaSet {
   public:
    virtual ~ReplicaSet() = default;
    // A session at the member that can do what is asked: a push at the primary, a read where the store may be read. Null: here.
    // Errors: kUnavailable, which is what the client is told.
    virtual Result<std::unique_ptr<protocol::Session>> forward(const Principal& principal, const GitRequest& request) = 0;
    // Until the store here may be read from by a session of this kind. Errors: kUnavailable.
    virtual Result<void> before_read(GitCommand command) = 0;
    // Has the primary run a command of this account (anonymous: of an operator), and returns its answer; nullopt: this server is the
    // primary. Blocks until it is done, and before that while no primary is known, for some seconds. Errors: kUnavailable (nothing was
    // done), kIndeterminate (it may have been), and those of the command.
    virtual Result<std::optional<std::string>> run_at_primary(const Principal& principal, const std::string& text, const std::string& input) = 0;
    struct Moment {
      std::uint64_t epoch = 0;    // of the primary that this member follows or is
      std::uint64_t applied = 0;  // sequence of the journal, here
    };
    virtual Moment now() const = 0;
    // Whether a session opens here without waiting for another server, as far as is known; may change at any moment. Does not block.
    virtual bool serves_at_once() const = 0;
    // Until this member follows a primary of a later epoch, which took over what the one of `epoch` left. Blocks for about as long
    // as a takeover may take. Errors: kIndeterminate (none took over).
    virtual Result<void> wait_for_epoch_after(std::uint64_t epoch) = 0;
    // At the primary: gets what the refs of a repository reached at a moment and members forgot since, from one that kept the bytes, into the store; the
    // moment can be restored then. Returns how many objects came. Blocks for as long as that takes. Errors: kNotFound (no member has all of
    // it), kUnavailable, and those of a push.
    virtual Result<std::uint64_t> recall(const std::string& repository, std::uint64_t sequence) = 0;
  };
  // Set before the frontends start; must outlive them. `scratch_directory`: for pushes that are large and may have to be begun again.
  void set_replica_set(ReplicaSet& set, std::filesystem::path scratch_directory) {
    set_ = &set;
    scratch_directory_ = std::move(scratch_directory);
  }
  bool is_in_replica_set() const { return set_ != nullptr; }
  // Then open_session() is likely to wait for other servers, for seconds. Where it is false it may wait all the same, if the primary changes just then.
  bool may_wait_to_open() const { return set_ != nullptr && !set_->serves_at_once(); }

  // A login from memory, in no time; nullopt: login_password() must tell. Errors: kUnavailable (too many failures, try later).
  Result<std::optional<Principal>> recall_login(const Peer& peer, const std::string& user, Bytes password);
  // Hashes the password, which takes a processor for tens of milliseconds. Errors: kRefused (wrong), kUnavailable.
  Result<Principal> login_password(const Peer& peer, const std::string& user, Bytes password);
  // kRefused: no account has this key. The caller makes sure that the key was proven.
  Result<Principal> login_key(const Peer& peer, Bytes key_blob);
  // kNotFound for missing and forbidden alike; kRefused when logging in could help.
  // Through a member of a replica set, a push is begun again when the primary changes, and a fetch goes on at another member
  // when the one that serves it ends.
  Result<std::unique_ptr<protocol::Session>> open_session(const Principal& principal, const GitRequest& request);
  // Counts a login and writes it down. `outcome`: as of Metrics::login; `user`: the account's name, empty if there is none.
  void note_login(const Peer& peer, const std::string& outcome, const std::string& user);
  // Logs why a session ended when that is no fault of the client: an "alarm" for a collision or damaged
  // data, else an "error".
  void note_failure(const Peer& peer, const GitRequest& request, const Error& failure);
  // A user's own command line ("help", "repo create x"). `input`: what the client sent along. Through a member of a replica set it is the
  // primary that runs it.
  Result<std::string> run_user_command(const Principal& principal, std::string_view line, const std::string& input);
  // An operator's change, where it is another server that makes changes: its answer (see run_command()); nullopt: make it here.
  Result<std::optional<std::string>> run_elsewhere(const std::string& request);
  // An operator's command, here. What a restoration lacks is recalled from other members. `progress`: as of run_command().
  Result<boost::json::object> run_operator_command(const boost::json::object& request, const ProgressSink& progress);
  // What another member sent here because this server is the primary. Anonymous: an operator's, else a user's. Errors: kUnavailable (it is not).
  Result<std::string> run_forwarded(const Principal& principal, const std::string& text, const std::string& input);

 private:
  std::string login_tag(const std::string& user, Bytes password) const;
  std::string place_tag(const Peer& peer, const std::string& user) const;
  Result<void> check_login_limits(const Peer& peer, const std::string& user);
  Result<std::unique_ptr<protocol::Session>> open_read(const Principal& principal, const GitRequest& request);
  Result<std::unique_ptr<protocol::Session>> open_once(const Principal& principal, const GitRequest& request, ReplicaSet::Moment* moment = nullptr);  // `moment`: that its reads show
  Result<std::string> run_user_command_here(const Principal& principal, std::string_view line, const std::string& input);
  Result<std::unique_ptr<protocol::Session>> open_past(const Principal& principal, const GitRequest& request, const RepositoryInfo& repository,
                                                       Permission permission, const std::string& moment);

  Store& store_;
  ReplicaSet* set_ = nullptr;
  std::filesystem::path scratch_directory_;
  Metrics metrics_;
  const sys::Clock& clock_;
  std::string tag_key_;  // of remembered logins; random, never written anywhere
  std::mutex mutex_;
  KnownPlaces known_places_;  // guarded by mutex_
  LoginLimits failures_;                                                          // guarded by mutex_
  std::unordered_map<std::string, std::pair<AccountInfo, std::int64_t>> logins_;  // guarded by mutex_
};

}  // namespace vexor::frontend
