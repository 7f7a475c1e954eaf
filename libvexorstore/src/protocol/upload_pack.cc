#include "vexorstore/protocol/upload_pack.h"

#include <charconv>
#include <set>
#include <utility>

#include "format/object_parse.h"
#include "pack/past.h"
#include "pack/reachability_walker.h"
#include "pack/select.h"
#include "pack/shared_pack.h"
#include "protocol/ref_listing.h"
#include "protocol/session_base.h"

namespace vexor::protocol {

namespace {

using format::PktLine;
using pack::kNoObject;
using pack::ObjectNumber;

constexpr std::size_t kListingPieceBytes = 256 * 1024;
// A client that wants more is not told "ready": it tells all its haves and is done. Bounds the walks.
constexpr std::size_t kReadyWantsMax = 256;
constexpr std::uint64_t kFlagLinesMax = 1000;  // of a fetch: thin-pack and such
// With more wants, and no more refs to each than this, the table of refs is asked before the index.
constexpr std::uint32_t kFewWants = 8;
constexpr std::uint64_t kRefsPerWant = 64;
constexpr std::size_t kWantsAtOnce = 4096;  // resolved together
constexpr std::string_view kAgent = "agent=vexorstore/0.1";

Bytes trimmed(Bytes line) {
  while (line.ends_with('\n')) line.remove_suffix(1);
  return line;
}

std::optional<Bytes> after(Bytes line, Bytes key) {
  if (!line.starts_with(key)) return std::nullopt;
  return line.substr(key.size());
}

class UploadPack final : public SessionBase {
 public:
  UploadPack(Store& store, store::RepositorySnapshot repository, const UploadPackOptions& options)
      : core_(store.core()), repository_(std::move(repository)), options_(options),
        algorithm_(repository_.row.algorithm), limits_(core_.options.limits),
        reader_(repository_.snapshot, repository_.row.pool, algorithm_, limits_, &core_.extents),
        source_(core_, reader_) {
    has_work_ = true;
  }

  Bytes keep_alive() const override { return selecting_ && fetch_.sideband ? kKeepAlive : Bytes(); }

  // What another session made already needs no work.
  void take_output(std::string& out, std::size_t front) override {
    SessionBase::take_output(out, front);
    if (packing_ && stream_->next_if_ready(output_) && stream_->done()) end_pack();
  }

  void run_work() override {
    if (auto done = work(); done.has_error()) {
      if (packing_ || fetch_.sideband_all || (selecting_ && fetch_.sideband)) {
        format::append_sideband(output_, 3, packing_ ? "error: the server could not finish the pack\n" : client_text(done.error()) + "\n", 1000);
      } else {
        format::append_pkt_line(output_, cut("ERR " + client_text(done.error())));
      }
      fail(std::move(done).error());
    }
  }

 private:
  enum class State { kAdvertise, kCommand, kCommandArguments, kWants, kHaves };

  struct Fetch {
    pack::FetchRequest request;
    std::set<ObjectNumber> common;
    std::vector<ObjectId> acks;
    std::uint32_t haves = 0;
    std::uint64_t lines = 0;  // of arguments, protocol version 2
    bool done = false;
    bool ofs_delta = false;
    bool sideband = false;
    std::size_t sideband_bytes = 0;
    bool multi_ack = false;
    bool multi_ack_detailed = false;
    bool no_done = false;
    bool wait_for_done = false;
    bool sideband_all = false;
    bool quiet = false;
    bool sent_ready = false;
    std::uint32_t shallow_lines = 0;
    std::uint32_t want_lines = 0;
    std::vector<ObjectId> want_ids;  // the latest, not resolved yet
    std::optional<ObjectId> last_common;
  };

  static std::string client_text(const Error& error) {
    switch (error.code()) {
      case Errc::kProtocol: case Errc::kInvalidArgument: case Errc::kLimitExceeded: case Errc::kRefused:
      case Errc::kNotFound: return error.message();
      default: return "internal error";
    }
  }

  Result<void> work() {
    if (packing_) return continue_pack();
    if (listing_) return continue_listing();
    if (advertisement_) return continue_advertisement();
    if (selecting_) return select_and_begin();
    if (state_ == State::kAdvertise) return advertise();
    while (!finished_ && !packing_ && !selecting_ && !listing_) {
      VEXOR_TRY(const auto line, next_line());
      if (!line) {
        if (ended_) return end_without_more();
        return success();
      }
      if (options_.version == 2) {
        VEXOR_TRY(v2_line(*line));
      } else {
        VEXOR_TRY(v0_line(*line));
      }
      if (!output_.empty() && output_.size() > 256U * 1024U) return success();
    }
    if (packing_ || selecting_ || listing_) has_work_ = true;
    return success();
  }

  Result<void> end_without_more() {
    const bool between = (options_.version == 2 && state_ == State::kCommand) || state_ == State::kWants ||
                         (options_.stateless && state_ == State::kHaves);
    if (!between || !rest_of_input().empty()) return Error(Errc::kProtocol, "the client went away in the middle of a request");
    finish();
    return success();
  }

  Result<pack::SetPtr> visible() {
    if (!visible_) {
      VEXOR_TRY(visible_, pack::visible_set(core_, repository_, reader_));
    }
    return visible_;
  }

  // The number of an id that this repository shows; anything else does not exist.
  Result<std::optional<ObjectNumber>> find_visible(const ObjectId& id) {
    VEXOR_TRY(const auto number, reader_.find(id));
    if (!number) return std::optional<ObjectNumber>();
    VEXOR_TRY(const pack::SetPtr set, visible());
    if (!set->contains(*number)) return std::optional<ObjectNumber>();
    return number;
  }

  // The objects that were asked for. A clone wants what the refs name: those are in the table that told it of them,
  // and visible.
  Result<void> resolve_wants() {
    store::RefTablePtr refs;
    if (fetch_.want_lines > kFewWants) {
      VEXOR_TRY(refs, store::ref_table(core_, repository_));
      if (std::uint64_t{fetch_.want_lines} * kRefsPerWant < refs->refs) refs.reset();
    }
    for (const ObjectId& id : std::exchange(fetch_.want_ids, {})) {
      std::optional<ObjectNumber> number = refs ? refs->find_tip(id) : std::nullopt;
      if (!number) {
        VEXOR_TRY(number, find_visible(id));
      }
      if (!number) return Error(Errc::kProtocol, "upload-pack: not our ref " + id.hex());
      if (wanted_.addChecked(*number)) fetch_.request.wants.push_back(*number);
    }
    return success();
  }

  // ---- advertisement

  Result<void> advertise() {
    const bool advertise = !options_.stateless || options_.advertise_only;
    state_ = options_.version == 2 ? State::kCommand : State::kWants;
    if (advertise) {
      if (options_.version == 2) {
        advertise_v2();
      } else {
        if (options_.advertise_only) {
          format::append_pkt_line(output_, "# service=git-upload-pack\n");
          format::append_flush(output_);
        }
        return advertise_v0();
      }
    }
    if (options_.advertise_only) finish();
    return success();
  }

  void advertise_v2() {
    format::append_pkt_line(output_, "version 2\n");
    format::append_pkt_line(output_, std::string(kAgent) + "\n");
    format::append_pkt_line(output_, "ls-refs=unborn\n");
    format::append_pkt_line(output_, "fetch=shallow wait-for-done filter sideband-all\n");
    format::append_pkt_line(output_, "server-option\n");
    format::append_pkt_line(output_, "object-info\n");
    if (!options_.bundle_lines.empty()) format::append_pkt_line(output_, "bundle-uri\n");
    if (!options_.session_id.empty()) format::append_pkt_line(output_, "session-id=" + options_.session_id + "\n");
    format::append_pkt_line(output_, "object-format=" + std::string(hash_name(algorithm_)) + "\n");
    format::append_flush(output_);
  }

  Result<void> advertise_v0() {
    if (options_.version == 1) format::append_pkt_line(output_, "version 1\n");
    std::string capabilities =
        "multi_ack multi_ack_detailed no-done thin-pack side-band side-band-64k ofs-delta shallow deepen-since "
        "deepen-not deepen-relative no-progress include-tag allow-tip-sha1-in-want allow-reachable-sha1-in-want "
        "filter object-format=" +
        std::string(hash_name(algorithm_)) + " " + std::string(kAgent);
    if (!options_.session_id.empty()) capabilities += " session-id=" + options_.session_id;
    VEXOR_TRY(const auto table, store::ref_table(core_, repository_));
    advertisement_.emplace(table, algorithm_, RefAdvertisement::To::kFetch, std::move(capabilities));
    return continue_advertisement();
  }

  Result<void> continue_advertisement() {
    advertisement_->next(output_, kListingPieceBytes);
    has_work_ = true;
    if (!advertisement_->done()) return success();
    advertisement_.reset();
    if (options_.advertise_only) finish();
    return success();
  }

  // ---- protocol version 2

  Result<void> v2_line(const PktLine& line) {
    if (state_ == State::kCommand) {
      if (line.kind == PktLine::Kind::kFlush) {
        if (command_.empty()) {
          finish();  // a client that has nothing more to ask (gitprotocol-v2, "Command Request")
          return success();
        }
        return run_command();
      }
      if (line.kind == PktLine::Kind::kDelim) {
        state_ = State::kCommandArguments;
        return success();
      }
      if (++header_lines_ > limits_.request_header_lines_max) return Error(Errc::kLimitExceeded, "too many capability lines");
      const Bytes text = trimmed(line.data);
      if (const auto command = after(text, "command=")) {
        command_ = *command;
        const bool is_known = command_ == "ls-refs" || command_ == "fetch" || command_ == "object-info" ||
                              (command_ == "bundle-uri" && !options_.bundle_lines.empty());
        if (!is_known) return Error(Errc::kProtocol, "unknown command");
        fetch_ = Fetch{};
        wanted_ = Roaring();
        judged_commons_ = 0;
        ls_ = LsRefs{};
        info_ids_.clear();
      } else if (const auto object_format = after(text, "object-format=")) {
        if (*object_format != hash_name(algorithm_)) {
          return Error(Errc::kProtocol, "mismatched object format: this repository is " + std::string(hash_name(algorithm_)));
        }
      }
      return success();
    }
    if (line.kind == PktLine::Kind::kFlush) return run_command();
    if (line.kind != PktLine::Kind::kData) return Error(Errc::kProtocol, "unexpected packet");
    const Bytes text = trimmed(line.data);
    if (command_ == "ls-refs") return parse_ls_refs_argument(text, limits_, ls_);
    if (command_ == "object-info") return object_info_argument(text);
    if (command_ == "bundle-uri") return Error(Errc::kProtocol, "unexpected line in bundle-uri");
    return fetch_argument(text);
  }

  Result<void> run_command() {
    state_ = State::kCommand;
    header_lines_ = 0;
    const std::string command = std::move(command_);
    command_.clear();
    if (command.empty()) return Error(Errc::kProtocol, "no command");
    if (command == "ls-refs") {
      VEXOR_TRY(auto table, store::ref_table(core_, repository_));
      listing_.emplace(std::move(table), std::move(ls_));
      return continue_listing();
    } else if (command == "object-info") {
      VEXOR_TRY(object_info());
    } else if (command == "bundle-uri") {
      for (const char* line : {"bundle.version=1", "bundle.mode=all"}) format::append_pkt_line(output_, line);
      for (const std::string& line : options_.bundle_lines) format::append_pkt_line(output_, "bundle." + line);
      format::append_flush(output_);
    } else {
      VEXOR_TRY(run_fetch());
    }
    if (options_.stateless && !packing_ && !selecting_) finish();
    return success();
  }

  Result<void> continue_listing() {
    listing_->next(output_, kListingPieceBytes);
    has_work_ = true;
    if (!listing_->done()) return success();
    listing_.reset();
    format::append_flush(output_);
    if (options_.stateless) finish();
    return success();
  }

  // Spec: gitprotocol-v2 "object-info": sizes of objects.
  Result<void> object_info_argument(Bytes text) {
    if (text == "size") return success();
    const auto hex = after(text, "oid ");
    if (!hex) return Error(Errc::kProtocol, "unexpected line in object-info");
    if (info_ids_.size() >= limits_.object_info_max) return Error(Errc::kLimitExceeded, "too many oid lines");
    VEXOR_TRY(const ObjectId id, ObjectId::from_hex(algorithm_, *hex));
    info_ids_.push_back(id);
    return success();
  }

  Result<void> object_info() {
    format::append_pkt_line(output_, "size");
    for (const ObjectId& id : info_ids_) {
      std::string line = id.hex() + " ";
      VEXOR_TRY(const auto number, find_visible(id));
      if (number) {
        VEXOR_TRY(const auto entry, reader_.entry(*number));
        line += std::to_string(entry.object.object_bytes);
      }
      format::append_pkt_line(output_, line);
    }
    format::append_flush(output_);
    return success();
  }

  // Arguments that protocol versions share.
  Result<bool> common_argument(Bytes text) {
    if (const auto want = after(text, "want ")) {
      if (++fetch_.want_lines > limits_.wants_max) return Error(Errc::kLimitExceeded, "too many wants");
      VEXOR_TRY(const ObjectId id, ObjectId::from_hex(algorithm_, *want));
      fetch_.want_ids.push_back(id);
      if (fetch_.want_ids.size() >= kWantsAtOnce) {
        VEXOR_TRY(resolve_wants());
      }
      return true;
    }
    if (const auto shallow = after(text, "shallow ")) {
      if (++fetch_.shallow_lines > limits_.shallow_lines_max) return Error(Errc::kLimitExceeded, "too many shallow lines");
      VEXOR_TRY(const ObjectId id, ObjectId::from_hex(algorithm_, *shallow));
      VEXOR_TRY(const auto number, find_visible(id));
      if (!number) return true;
      VEXOR_TRY(const ObjectType type, source_.type(*number));
      if (type != ObjectType::kCommit) return Error(Errc::kProtocol, "invalid shallow object " + id.hex());
      fetch_.request.client_shallow.push_back(*number);
      return true;
    }
    if (const auto depth = after(text, "deepen ")) {
      VEXOR_TRY(const std::int64_t value, number_of(*depth));
      if (value <= 0) return Error(Errc::kProtocol, "invalid deepen");
      fetch_.request.deepen.depth = static_cast<std::uint32_t>(std::min<std::int64_t>(value, pack::kInfiniteDepth));
      return true;
    }
    if (const auto since = after(text, "deepen-since ")) {
      VEXOR_TRY(fetch_.request.deepen.since, number_of(*since));
      return true;
    }
    if (const auto name = after(text, "deepen-not ")) {
      VEXOR_TRY(const auto ref, store::find_ref_by_short_name(repository_, std::string(*name)));
      if (!ref || store::is_hidden(repository_.row, ref->name)) return Error(Errc::kProtocol, "deepen-not is not a ref: " + std::string(*name));
      auto& excluded = fetch_.request.deepen.not_commits;
      if (excluded.size() >= limits_.shallow_lines_max) return Error(Errc::kLimitExceeded, "too many deepen-not lines");
      const ObjectNumber number = ref->row.peeled ? ref->row.peeled_number : ref->row.number;
      VEXOR_TRY(const ObjectType type, source_.type(number));
      if (type == ObjectType::kCommit) excluded.push_back(number);
      return true;
    }
    if (text == "deepen-relative") {
      fetch_.request.deepen.relative = true;
      return true;
    }
    if (const auto filter = after(text, "filter ")) {
      if (filter->size() > limits_.filter_spec_bytes_max) return Error(Errc::kLimitExceeded, "filter-spec too long");
      VEXOR_TRY(fetch_.request.filter, pack::parse_filter(*filter, limits_));
      return true;
    }
    return false;
  }

  static Result<std::int64_t> number_of(Bytes text) {
    std::int64_t value = 0;
    const auto done = std::from_chars(text.data(), text.data() + text.size(), value);
    if (done.ec != std::errc() || done.ptr != text.data() + text.size()) return Error(Errc::kProtocol, "invalid number");
    return value;
  }

  Result<bool> add_have(Bytes hex) {
    if (++fetch_.haves > limits_.haves_max) return Error(Errc::kLimitExceeded, "too many haves");
    VEXOR_TRY(const ObjectId id, ObjectId::from_hex(algorithm_, hex));
    VEXOR_TRY(const auto number, find_visible(id));
    if (!number) return false;
    fetch_.last_common = id;
    if (fetch_.common.insert(*number).second) fetch_.acks.push_back(id);
    return true;
  }

  Result<void> fetch_argument(Bytes text) {
    if (++fetch_.lines > std::uint64_t{limits_.wants_max} + limits_.haves_max + limits_.shallow_lines_max + kFlagLinesMax) return Error(Errc::kLimitExceeded, "too many lines in a fetch");
    VEXOR_TRY(const bool taken, common_argument(text));
    if (taken) return success();
    if (const auto have = after(text, "have ")) {
      VEXOR_TRY(add_have(*have));
      return success();
    }
    if (text == "done") fetch_.done = true;
    else if (text == "thin-pack") fetch_.request.thin_pack = true;
    else if (text == "ofs-delta") fetch_.ofs_delta = true;
    else if (text == "include-tag") fetch_.request.include_tag = true;
    else if (text == "wait-for-done") fetch_.wait_for_done = true;
    else if (text == "sideband-all") fetch_.sideband_all = true;
    else if (text == "no-progress") fetch_.quiet = true;
    else return Error(Errc::kProtocol, "unexpected line in fetch");
    return success();
  }

  // Whether the object is a commit, or tags lead to one.
  Result<bool> is_commit_behind(ObjectNumber number) {
    for (std::uint32_t steps = 0; steps <= limits_.tree_depth_max; ++steps) {
      VEXOR_TRY(const ObjectType type, source_.type(number));
      if (type != ObjectType::kTag) return type == ObjectType::kCommit;
      VEXOR_TRY(const auto content, source_.read(number));
      VEXOR_TRY(const format::TagView view, format::parse_tag(*content, algorithm_));
      VEXOR_TRY(const auto target, source_.find(view.target));
      if (!target) return Error(Errc::kCorrupt, "a tag's target is missing");
      number = *target;
    }
    return false;
  }

  // Whether each want is connected to something that the client has. Not looked into: wants that are no commits, each of
  // which would be a walk of its own.
  Result<bool> ready() {
    if (fetch_.common.empty() || fetch_.request.wants.size() > kReadyWantsMax) return false;
    if (fetch_.common.size() == judged_commons_) return false;  // as before
    judged_commons_ = fetch_.common.size();
    Roaring common;
    for (const ObjectNumber number : fetch_.common) common.add(number);
    for (const ObjectNumber want : fetch_.request.wants) {
      if (common.contains(want)) continue;
      VEXOR_TRY(const bool is_commit, is_commit_behind(want));
      if (!is_commit) return false;
      Roaring reached;
      pack::ReachabilityWalker walker(source_, algorithm_, limits_, nullptr);
      VEXOR_TRY(walker.add(want, reached));
      if (!reached.intersect(common)) return false;
    }
    return true;
  }

  Result<void> run_fetch() {
    VEXOR_TRY(resolve_wants());
    if (fetch_.request.wants.empty() && !fetch_.wait_for_done) return Error(Errc::kProtocol, "fetch without wants");
    if (!fetch_.done) {
      answer("acknowledgments\n");
      if (fetch_.acks.empty()) answer("NAK\n");
      for (const ObjectId& id : fetch_.acks) answer("ACK " + id.hex() + "\n");
      bool give = false;
      if (!fetch_.wait_for_done) {
        VEXOR_TRY(give, ready());
      }
      if (!give) {
        format::append_flush(output_);
        return success();
      }
      answer("ready\n");
      format::append_delim(output_);
    }
    VEXOR_TRY(check_deepen());
    const bool deepens = fetch_.request.deepen.any();
    fetch_.sideband = true;
    fetch_.sideband_bytes = kPktLineBytesMax;
    if (deepens) {
      VEXOR_TRY(begin_pack());
      answer("shallow-info\n");
      VEXOR_TRY(append_shallow());
      format::append_delim(output_);
    }
    answer("packfile\n");
    if (deepens) tell_progress();
    else selecting_ = has_work_ = true;
    return success();
  }

  // One line of a v2 answer to fetch.
  void answer(const std::string& line) {
    format::append_pkt_line(output_, fetch_.sideband_all ? "\1" + line : line);
  }

  Result<void> check_deepen() const {
    const pack::Deepen& deepen = fetch_.request.deepen;
    if (deepen.depth > 0 && (deepen.since || !deepen.not_commits.empty())) {
      return Error(Errc::kProtocol, "deepen and deepen-since (or deepen-not) cannot be used together");
    }
    return success();
  }

  void tell_progress() {
    if (fetch_.quiet || !fetch_.sideband) return;
    const std::string count = std::to_string(stream_->object_count());
    format::append_sideband(output_, 2, "Enumerating objects: " + count + ", done.\n", fetch_.sideband_bytes);
  }

  Result<void> append_shallow() {
    for (const ObjectNumber number : selection_.boundaries.shallow) {
      VEXOR_TRY(const auto entry, reader_.entry(number));
      answer("shallow " + entry.object.id.hex() + "\n");
    }
    for (const ObjectNumber number : selection_.boundaries.unshallow) {
      VEXOR_TRY(const auto entry, reader_.entry(number));
      answer("unshallow " + entry.object.id.hex() + "\n");
    }
    return success();
  }

  Result<void> select() {
    fetch_.request.common.assign(fetch_.common.begin(), fetch_.common.end());
    VEXOR_TRY(selection_, pack::select_objects(core_, repository_, reader_, fetch_.request));
    return success();
  }

  Result<void> begin_pack() {
    VEXOR_TRY(select());
    VEXOR_TRY(stream_, pack::PackStream::open(core_, reader_, std::move(selection_.send), selection_.have, pack::PackOptions{fetch_.ofs_delta},
                                              fetch_.sideband ? fetch_.sideband_bytes : 0));
    packing_ = true;
    has_work_ = true;
    return success();
  }

  // What the client said is complete: the objects are chosen in a step of their own, for it may take long.
  Result<void> begin_v0_pack() {
    selecting_ = has_work_ = true;
    return success();
  }

  Result<void> select_and_begin() {
    VEXOR_TRY(begin_pack());
    selecting_ = false;
    tell_progress();
    return success();
  }

  Result<void> continue_pack() {
    VEXOR_TRY(stream_->next(output_));
    if (stream_->done()) end_pack();
    return success();
  }

  void end_pack() {
    if (fetch_.sideband) format::append_flush(output_);
    stream_.reset();
    packing_ = false;
    if (options_.version != 2 || options_.stateless) {
      finish();
    } else {
      has_work_ = true;
    }
  }

  // ---- protocol versions 0 and 1

  Result<void> v0_line(const PktLine& line) {
    if (state_ == State::kWants) return v0_want(line);
    return v0_have(line);
  }

  Result<void> v0_want(const PktLine& line) {
    if (line.kind == PktLine::Kind::kFlush) {
      VEXOR_TRY(resolve_wants());
      if (fetch_.request.wants.empty()) {
        finish();
        return success();
      }
      if (fetch_.request.deepen.any()) {
        VEXOR_TRY(check_deepen());
        VEXOR_TRY(selection_.boundaries, pack::find_boundaries(core_, repository_, reader_, fetch_.request));
        VEXOR_TRY(append_shallow());
        format::append_flush(output_);
      }
      state_ = State::kHaves;
      return success();
    }
    if (line.kind != PktLine::Kind::kData) return Error(Errc::kProtocol, "unexpected packet");
    Bytes text = trimmed(line.data);
    if (text.starts_with("want ") && fetch_.want_lines == 0) {
      const std::size_t end = 5 + hash_hex_chars(algorithm_);
      if (text.size() > end) {
        if (text[end] != ' ') return Error(Errc::kProtocol, "expected a space and capabilities after the first want");
        VEXOR_TRY(capabilities(text.substr(end)));
        text = text.substr(0, end);
      }
    }
    VEXOR_TRY(const bool taken, common_argument(text));
    if (!taken) return Error(Errc::kProtocol, "expected want, shallow, deepen or filter");
    return success();
  }

  Result<void> capabilities(Bytes text) {
    while (!text.empty()) {
      const std::size_t space = text.find(' ');
      const Bytes word = text.substr(0, space);
      text.remove_prefix(space == Bytes::npos ? text.size() : space + 1);
      if (word == "multi_ack") fetch_.multi_ack = true;
      else if (word == "multi_ack_detailed") fetch_.multi_ack_detailed = fetch_.multi_ack = true;
      else if (word == "deepen-relative") fetch_.request.deepen.relative = true;
      else if (word == "no-progress") fetch_.quiet = true;
      else if (word == "no-done") fetch_.no_done = true;
      else if (word == "thin-pack") fetch_.request.thin_pack = true;
      else if (word == "ofs-delta") fetch_.ofs_delta = true;
      else if (word == "include-tag") fetch_.request.include_tag = true;
      else if (word == "side-band-64k") {
        fetch_.sideband = true;
        fetch_.sideband_bytes = kPktLineBytesMax;
      } else if (word == "side-band" && !fetch_.sideband) {
        fetch_.sideband = true;
        fetch_.sideband_bytes = 1000;
      } else if (const auto object_format = after(word, "object-format=")) {
        if (*object_format != hash_name(algorithm_)) return Error(Errc::kProtocol, "mismatched object format");
      }
    }
    return success();
  }

  Result<void> v0_have(const PktLine& line) {
    if (line.kind == PktLine::Kind::kFlush) {
      if (fetch_.multi_ack_detailed && !fetch_.sent_ready && fetch_.last_common) {
        VEXOR_TRY(const bool give, ready());
        if (give) {
          fetch_.sent_ready = true;
          format::append_pkt_line(output_, "ACK " + fetch_.last_common->hex() + " ready\n");
        }
      }
      if (fetch_.common.empty() || fetch_.multi_ack) format::append_pkt_line(output_, "NAK\n");
      if (fetch_.no_done && fetch_.sent_ready) {
        format::append_pkt_line(output_, "ACK " + fetch_.last_common->hex() + "\n");
        return begin_v0_pack();
      }
      if (options_.stateless) finish();
      return success();
    }
    const Bytes text = trimmed(line.data);
    if (const auto have = after(text, "have ")) {
      const bool first = fetch_.common.empty();
      VEXOR_TRY(const bool is_common, add_have(*have));
      if (is_common) {
        const std::string ack = "ACK " + std::string(*have);
        if (fetch_.multi_ack_detailed) format::append_pkt_line(output_, ack + " common\n");
        else if (fetch_.multi_ack) format::append_pkt_line(output_, ack + " continue\n");
        else if (first) format::append_pkt_line(output_, ack + "\n");
      }
      return success();
    }
    if (text != "done") return Error(Errc::kProtocol, "expected have or done");
    if (fetch_.last_common && (fetch_.multi_ack || fetch_.common.empty())) {
      format::append_pkt_line(output_, "ACK " + fetch_.last_common->hex() + "\n");
    } else if (fetch_.common.empty()) {
      format::append_pkt_line(output_, "NAK\n");
    }
    return begin_v0_pack();
  }

  store::StoreCore& core_;
  store::RepositorySnapshot repository_;
  UploadPackOptions options_;
  HashAlgorithm algorithm_;
  Limits limits_;
  pack::ObjectReader reader_;
  pack::StoreSource source_;
  pack::SetPtr visible_;
  State state_ = State::kAdvertise;
  std::string command_;
  std::uint32_t header_lines_ = 0;
  LsRefs ls_;
  std::vector<ObjectId> info_ids_;
  Fetch fetch_;
  Roaring wanted_;                  // those of fetch_.request
  std::size_t judged_commons_ = 0;  // commons when ready() last said no
  pack::FetchSelection selection_;
  std::optional<RefListing> listing_;  // being told
  std::optional<RefAdvertisement> advertisement_;  // being told
  std::unique_ptr<pack::PackStream> stream_;
  bool selecting_ = false;
  bool packing_ = false;
};

}  // namespace

Result<std::unique_ptr<Session>> make_upload_pack(Store& store, const RepositoryInfo& repository,
                                                  const UploadPackOptions& options) {
  auto opened = options.as_of == 0 ? store::open_repository_snapshot(store.core(), repository.id)
                                   : pack::open_past_snapshot(store.core(), repository.id, options.as_of);
  VEXOR_TRY(store::RepositorySnapshot snapshot, std::move(opened));
  if (snapshot.row.deleted_at_ms != 0) return Error(Errc::kNotFound, "no such repository");
  return std::unique_ptr<Session>(std::make_unique<UploadPack>(store, std::move(snapshot), options));
}

}  // namespace vexor::protocol
