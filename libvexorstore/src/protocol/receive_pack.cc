#include "vexorstore/protocol/receive_pack.h"

#include <algorithm>
#include <unordered_set>

#include "pack/push.h"
#include "pack/push_done.h"
#include "protocol/ref_listing.h"
#include "protocol/session_base.h"

namespace vexor::protocol {

namespace {

using format::PktLine;

constexpr std::size_t kAdvertisementPieceBytes = 256 * 1024;
constexpr std::uint32_t kSmallPushObjects = 1000;
constexpr std::string_view kAgent = "agent=vexorstore/0.1";

class ReceivePack final : public SessionBase {
 public:
  ReceivePack(Store& store, store::RepositorySnapshot repository, const ReceivePackOptions& options)
      : core_(store.core()), repository_(std::move(repository)), options_(options),
        algorithm_(repository_.row.algorithm), limits_(store::limits_of(core_.options.limits, repository_.row)),
        reader_(repository_.snapshot, repository_.row.pool, algorithm_, limits_, &core_.extents) {
    has_work_ = true;
  }

  void run_work() override {
    auto done = work();
    if (!done.has_error()) return;
    if (!commands_.empty()) {  // the client waits for a report from here on
      report_failure(done.error());
    } else {
      format::append_pkt_line(output_, cut("ERR " + client_text(done.error())));
    }
    fail(std::move(done).error());
  }

  Bytes keep_alive() const override {
    const bool at_work = state_ == State::kResolve || state_ == State::kCommit;
    return sideband_ && report_ && at_work && has_work_ ? kKeepAlive : Bytes();
  }

  // Small pushes only: others make their rows in that turn.
  bool waits_for_others() const override {
    const bool is_small = !receiver_ || receiver_->object_count() <= kSmallPushObjects;
    return state_ == State::kCommit && is_small && core_.committer->role() == store::Committer::Role::kPrimary;
  }

 private:
  enum class State { kAdvertise, kCommands, kPushOptions, kPack, kResolve, kCommit, kSkip };

  std::string client_text(const Error& error) const {
    if (options_.may_be_done_after) return unknown_text(error);  // U3: whatever the repetition failed of
    switch (error.code()) {
      case Errc::kProtocol: case Errc::kInvalidArgument: case Errc::kLimitExceeded: case Errc::kRefused:
      case Errc::kNotFound: case Errc::kCollision: case Errc::kUnavailable: return error.message();
      case Errc::kConflict: return "the repository changed meanwhile; try again";
      case Errc::kIndeterminate: return unknown_text(error);
      default: return "internal error";
    }
  }

  // With where to look. Of a repetition the record may be that of an earlier run, and only where these begin is known.
  std::string unknown_text(const Error& error) const {
    std::string where;
    if (options_.may_be_done_after) where = ", behind journal sequence " + std::to_string(*options_.may_be_done_after);
    else if (error.sequence() != 0) where = ", its journal sequence is " + std::to_string(error.sequence());
    return "it is not known whether the push was stored" + (where.empty() ? "; " : "; if it was" + where + ": ") + "fetch to see";
  }

  Result<void> work() {
    switch (state_) {
      case State::kAdvertise: return advertisement_ ? continue_advertisement() : advertise();
      case State::kCommands:
      case State::kPushOptions: return read_commands();
      case State::kPack: return read_pack();
      case State::kResolve: return resolve();
      case State::kCommit: return commit();
      case State::kSkip: return success();
    }
    return success();
  }

  Result<void> advertise() {
    if (!options_.stateless || options_.advertise_only) {
      if (options_.advertise_only) {
        format::append_pkt_line(output_, "# service=git-receive-pack\n");
        format::append_flush(output_);
      }
      if (options_.version == 1) format::append_pkt_line(output_, "version 1\n");
      std::string capabilities =
          "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options object-format=" +
          std::string(hash_name(algorithm_)) + " " + std::string(kAgent);
      if (!options_.session_id.empty()) capabilities += " session-id=" + options_.session_id;
      VEXOR_TRY(const auto table, store::ref_table(core_, repository_));
      advertisement_.emplace(table, algorithm_, RefAdvertisement::To::kUpdate, std::move(capabilities));
      return continue_advertisement();
    }
    state_ = State::kCommands;
    return success();
  }

  Result<void> continue_advertisement() {
    advertisement_->next(output_, kAdvertisementPieceBytes);
    if (!advertisement_->done()) return success();
    advertisement_.reset();
    state_ = State::kCommands;
    if (options_.advertise_only) finish();
    return success();
  }

  Result<void> read_commands() {
    while (state_ == State::kCommands || state_ == State::kPushOptions) {
      VEXOR_TRY(const auto line, next_line());
      if (!line) {
        if (!ended_) return success();
        if (commands_.empty() && rest_of_input().empty()) {
          finish();
          return success();
        }
        return Error(Errc::kCancelled, "the client went away before its commands were complete");
      }
      if (line->kind == PktLine::Kind::kFlush) {
        if (commands_.empty()) {
          finish();
          return success();
        }
        if (state_ == State::kCommands && push_options_on_) {
          state_ = State::kPushOptions;
        } else {
          return begin_pack();
        }
      } else if (line->kind != PktLine::Kind::kData) {
        return Error(Errc::kProtocol, "unexpected packet");
      } else if (state_ == State::kPushOptions) {
        Bytes option = line->data;
        if (option.ends_with('\n')) option.remove_suffix(1);
        if (push_options_.size() >= limits_.push_options_max || option.size() > limits_.push_option_bytes_max) {
          return Error(Errc::kLimitExceeded, "too many or too long push options");
        }
        push_options_.emplace_back(option);
      } else {
        VEXOR_TRY(read_command(line->data));
      }
    }
    return success();
  }

  Result<void> read_command(Bytes data) {
    while (data.ends_with('\n')) data.remove_suffix(1);
    if (data.starts_with("shallow ")) {
      // Missing history shows itself in the connectivity check; the line adds nothing.
      if (++shallow_lines_ > limits_.shallow_lines_max) return Error(Errc::kLimitExceeded, "too many shallow lines");
      return success();
    }
    if (data.starts_with("push-cert")) return Error(Errc::kProtocol, "signed pushes are not offered");
    if (commands_.empty()) {
      const std::size_t nul = data.find('\0');
      if (nul != Bytes::npos) {
        VEXOR_TRY(read_capabilities(data.substr(nul + 1)));
        data = data.substr(0, nul);
      }
    }
    const std::size_t digits = hash_hex_chars(algorithm_);
    if (data.size() < 2 * digits + 3 || data[digits] != ' ' || data[2 * digits + 1] != ' ') {
      return Error(Errc::kProtocol, "expected old and new object id and a ref name");
    }
    if (commands_.size() >= limits_.ref_updates_per_push_max) return Error(Errc::kLimitExceeded, "too many ref updates");
    pack::RefCommand command;
    VEXOR_TRY(command.old_id, ObjectId::from_hex(algorithm_, data.substr(0, digits)));
    VEXOR_TRY(command.new_id, ObjectId::from_hex(algorithm_, data.substr(digits + 1, digits)));
    command.name = std::string(data.substr(2 * digits + 2));
    if (command.name.size() > kRefNameBytesMax) return Error(Errc::kLimitExceeded, "ref name too long");
    name_bytes_ += command.name.size();
    if (name_bytes_ > limits_.ref_name_bytes_per_push_max) return Error(Errc::kLimitExceeded, "the ref names of this push are too long together");
    if (!names_.insert(command.name).second) return Error(Errc::kProtocol, "a ref is named twice");
    commands_.push_back(std::move(command));
    return success();
  }

  Result<void> read_capabilities(Bytes text) {
    while (!text.empty()) {
      const std::size_t space = text.find(' ');
      const Bytes word = text.substr(0, space);
      text.remove_prefix(space == Bytes::npos ? text.size() : space + 1);
      if (word == "report-status" || word == "report-status-v2") report_ = true;
      else if (word == "side-band-64k") sideband_ = true;
      else if (word == "quiet") quiet_ = true;
      else if (word == "atomic") atomic_ = true;
      else if (word == "push-options") push_options_on_ = true;
      else if (word.starts_with("object-format=") && word.substr(14) != hash_name(algorithm_)) {
        return Error(Errc::kProtocol, "mismatched object format: this repository is " + std::string(hash_name(algorithm_)));
      }
    }
    return success();
  }

  Result<void> begin_pack() {
    bool wants_pack = false;
    for (const pack::RefCommand& command : commands_) wants_pack = wants_pack || !command.new_id.is_null();
    if (!wants_pack) {
      state_ = State::kCommit;
      has_work_ = true;
      return success();
    }
    VEXOR_TRY(const pack::SetPtr visible, pack::visible_set(core_, repository_, reader_));
    VEXOR_TRY(auto policy, format::parse_check_policy(repository_.row.check_policy));
    receiver_ = std::make_unique<pack::PackReceiver>(reader_, visible, limits_, core_.options.scratch_directory, std::move(policy),
                                                     core_.workers());
    state_ = State::kPack;
    return read_pack();
  }

  Result<void> read_pack() {
    const Bytes input = rest_of_input();
    VEXOR_TRY(const std::size_t used, receiver_->feed(input));
    consume(used);
    if (receiver_->received()) {
      state_ = State::kResolve;
      has_work_ = true;
      return success();
    }
    has_work_ = false;
    if (ended_) return Error(Errc::kCancelled, "the client went away in the middle of its pack");
    return success();
  }

  void progress(const std::string& text) {
    if (sideband_ && !quiet_) format::append_sideband(output_, 2, text, kPktLineBytesMax);
  }

  Result<void> resolve() {
    VEXOR_TRY(const bool done, receiver_->resolve_some());
    const std::uint32_t total = receiver_->deltas_total();
    if (total > 0 && (done || ++slices_ % 8 == 0)) {
      const std::uint64_t percent = std::uint64_t{receiver_->deltas_resolved()} * 100 / total;
      progress("Resolving deltas: " + std::to_string(percent) + "% (" + std::to_string(receiver_->deltas_resolved()) + "/" +
               std::to_string(total) + ")" + (done ? ", done.\n" : "\r"));
    }
    if (done) state_ = State::kCommit;
    return success();
  }

  // The host's own rules. Nothing of the push is stored yet.
  Result<void> ask_host() {
    if (!options_.before_commit) return success();
    PushRequest request;
    request.repository = repository_.row.number;
    request.repository_name = repository_.row.name;
    request.actor = options_.actor;
    request.atomic = atomic_;
    request.options = push_options_;
    for (const pack::RefCommand& command : commands_) request.updates.push_back({command.name, command.old_id, command.new_id});
    return options_.before_commit(request);
  }

  Result<void> commit() {
    VEXOR_TRY(ask_host());
    if (options_.may_be_done_after) {
      VEXOR_TRY(commit_what_is_not_done());
    } else {
      VEXOR_TRY(const pack::PushOutcome outcome,
                pack::commit_push(core_, repository_.row.number, receiver_.get(), commands_, atomic_, options_.actor));
      tell_receipt(outcome.receipt, commands_);
    }
    report(shortfall_.empty() || sideband_ ? "ok" : shortfall_);
    receiver_.reset();
    finish();
    return success();
  }

  void tell_receipt(const Receipt& receipt, const std::vector<pack::RefCommand>& commands) {
    const bool any = std::any_of(commands.begin(), commands.end(), [](const pack::RefCommand& command) { return command.refusal.empty(); });
    if (!any || receipt.copies == 0) return;  // nothing was to be stored
    if (options_.after_commit) options_.after_commit(receipt);
    if (receipt.is_short) shortfall_ = receipt_text(receipt);
    Receipt plain = receipt;
    plain.is_short = false;  // told on its own, behind the report
    progress(receipt_text(plain) + "\n");
  }

  // The other run may still be going on at this server. Whichever commits second is refused for that, so who is
  // refused looks once more.
  Result<void> commit_what_is_not_done() {
    VEXOR_TRY(pack::DoneUpdates done, find_done());
    std::vector<pack::RefCommand> left;
    for (const pack::RefCommand& command : commands_) {
      if (!done.contains(command)) left.push_back(command);
    }
    if (!left.empty()) {
      VEXOR_TRY(const pack::PushOutcome outcome,
                pack::commit_push(core_, repository_.row.number, receiver_.get(), left, atomic_, options_.actor));
      tell_receipt(outcome.receipt, left);
      VEXOR_TRY(done, find_done());
    }
    for (const pack::RefCommand& command : left) {
      if (done.contains(command)) continue;
      for (pack::RefCommand& told : commands_) {
        if (told.name == command.name) told.refusal = command.refusal;
      }
    }
    if (left.size() < commands_.size()) progress("stored before the primary changed, sequence " + std::to_string(done.sequence()) + "\n");
    return success();
  }

  Result<pack::DoneUpdates> find_done() const {
    return pack::find_done_updates(core_, repository_.row, options_.actor, *options_.may_be_done_after, commands_);
  }

  void report_failure(const Error& error) {
    const std::string text = client_text(error);
    for (pack::RefCommand& command : commands_) {
      if (command.refusal.empty()) command.refusal = text;
    }
    report(text);
  }

  void report(const std::string& unpack) {
    if (report_) report_refs(unpack);
    if (!sideband_) return;
    // C6. The refs have changed, and the report said so: what fails is the conversation, behind it. Band 3 ends that with a
    // sentence that clients show.
    if (!shortfall_.empty()) format::append_sideband(output_, 3, cut(shortfall_), kPktLineBytesMax);
    else if (report_) format::append_flush(output_);
  }

  void report_refs(const std::string& unpack) {
    std::string lines;
    format::append_pkt_line(lines, cut("unpack " + unpack) + "\n");
    for (const pack::RefCommand& command : commands_) {
      if (command.refusal.empty()) {
        format::append_pkt_line(lines, "ok " + command.name + "\n");
      } else {
        format::append_pkt_line(lines, "ng " + command.name + " " + cut(command.refusal) + "\n");
      }
    }
    format::append_flush(lines);
    if (sideband_) format::append_sideband(output_, 1, lines, kPktLineBytesMax);
    else output_.append(lines);
  }

  store::StoreCore& core_;
  store::RepositorySnapshot repository_;
  ReceivePackOptions options_;
  HashAlgorithm algorithm_;
  Limits limits_;
  pack::ObjectReader reader_;
  std::unique_ptr<pack::PackReceiver> receiver_;
  State state_ = State::kAdvertise;
  std::optional<RefAdvertisement> advertisement_;  // being told
  std::vector<pack::RefCommand> commands_;
  std::unordered_set<std::string> names_;  // of commands_
  std::uint64_t name_bytes_ = 0;           // of all of them
  bool report_ = false;
  bool sideband_ = false;
  bool quiet_ = false;
  bool atomic_ = false;
  bool push_options_on_ = false;
  std::vector<std::string> push_options_;
  std::uint32_t shallow_lines_ = 0;
  std::uint32_t slices_ = 0;
  std::string shortfall_;  // what to tell of a receipt that is short
};

}  // namespace

Result<std::unique_ptr<Session>> make_receive_pack(Store& store, const RepositoryInfo& repository,
                                                   const ReceivePackOptions& options) {
  VEXOR_TRY(auto snapshot, store::open_repository_snapshot(store.core(), repository.id));
  if (snapshot.row.deleted_at_ms != 0) return Error(Errc::kNotFound, "no such repository");
  return std::unique_ptr<Session>(std::make_unique<ReceivePack>(store, std::move(snapshot), options));
}

}  // namespace vexor::protocol
