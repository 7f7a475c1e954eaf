// What the refs of a moment reach and records forgot: found by id in the extents of a member that kept the bytes, and sent as a pack.
#include "vexorstore/recall.h"

#include <algorithm>
#include <array>

#include "format/object_parse.h"
#include "maintenance/pool_extents.h"
#include "pack/past.h"
#include "pack/push.h"
#include "pack/shared_pack.h"
#include "store/forgotten.h"
#include "store/repository_changes.h"

namespace vexor {

namespace {

using pack::kNoObject;
using pack::ObjectNumber;

constexpr const char* kGone = "objects of that moment are past the retention and gone, here too";
constexpr std::uint32_t kModeGitlink = 0160000;
constexpr std::uint32_t kModeTypeMask = 0170000;

// Forgotten objects that have bytes here, by the first octets of their ids: what has the id must be told by its extent. Ids are a client's choice: of many that
// begin alike each costs a reading.
class ForgottenIds {
 public:
  void reserve(std::size_t count) { entries_.reserve(count); }
  std::size_t size() const { return entries_.size(); }
  void add(const ObjectId& id, ObjectNumber number) { entries_.push_back({head(id, 0), head(id, 4), number}); }
  // After the last add().
  void close() { std::sort(entries_.begin(), entries_.end()); }
  // The last one of that id.
  Result<std::optional<ObjectNumber>> find(pack::ObjectReader& reader, const ObjectId& id) const {
    auto at = std::upper_bound(entries_.begin(), entries_.end(), Entry{head(id, 0), head(id, 4), kNoObject});
    while (at != entries_.begin()) {
      --at;
      if ((*at)[0] != head(id, 0) || (*at)[1] != head(id, 4)) break;
      VEXOR_TRY(const pack::StoredEntry entry, reader.entry((*at)[2]));
      if (entry.object.id == id) return std::optional<ObjectNumber>((*at)[2]);
    }
    return std::optional<ObjectNumber>();
  }

 private:
  using Entry = std::array<std::uint32_t, 3>;  // octets of the id, and the number
  static std::uint32_t head(const ObjectId& id, std::size_t from) {
    ByteReader reader(id.raw().substr(from, 4));
    return reader.u32be().value();  // there are as many
  }

  std::vector<Entry> entries_;
};

// Finds objects by id, forgotten ones among them, and walks from refs.
class RecallWalk {
 public:
  RecallWalk(store::StoreCore& core, const store::RepositorySnapshot& now)
      : core_(core), now_(now), reader_(now.snapshot, now.row.pool, now.row.algorithm, core.options.limits) {}

  pack::ObjectReader& reader() { return reader_; }

  // Errors: kNotFound.
  Result<Roaring> find(const store::PastRefs& then) {
    VEXOR_TRY(const auto forgotten, store::forgotten_numbers(core_, *now_.snapshot, now_.row.pool));
    if (forgotten) {
      VEXOR_TRY(read_ids(*forgotten));
    }
    VEXOR_TRY(read_reached());
    for (const auto& [name, row] : then.rows) {
      if (!row.symref_target.empty()) continue;
      VEXOR_TRY(push(row.id));
    }
    while (!stack_.empty()) {
      const ObjectNumber number = stack_.back();
      stack_.pop_back();
      VEXOR_TRY(visit(number, forgotten && forgotten->contains(number)));
    }
    by_id_ = ForgottenIds();  // the pack is written for hours, maybe
    return std::move(out_);
  }

 private:
  Result<void> read_ids(const Roaring& forgotten) {
    const std::size_t count_max = core_.recall_objects_max;
    by_id_.reserve(std::min<std::size_t>(forgotten.cardinality(), count_max));
    VEXOR_TRY(auto scan, maintenance::ExtentScan::begin(*now_.snapshot, now_.row.pool, now_.row.algorithm, forgotten.isEmpty() ? kNoObject : forgotten.minimum()));
    for (;;) {
      VEXOR_TRY(const bool more, scan.next());
      if (!more) break;
      for (std::size_t i = 0; i < scan.header().objects.size(); ++i) {
        const format::ExtentObject& object = scan.header().objects[i];
        const auto number = static_cast<ObjectNumber>(scan.first() + i);
        if (object.is_absent || !forgotten.contains(number)) continue;
        if (by_id_.size() == count_max) return Error(Errc::kLimitExceeded, "more than " + std::to_string(count_max) + " forgotten objects of the pool have bytes here: recall takes no more");
        by_id_.add(object.id, number);
      }
    }
    by_id_.close();
    return success();
  }
  // What refs reach now is whole, and need not be walked.
  Result<void> read_reached() {
    if (now_.row.deleted_at_ms != 0) return success();  // what it had may be forgotten
    VEXOR_TRY(const pack::SetPtr visible, pack::visible_set(core_, now_, reader_));
    seen_ = *visible;
    return success();
  }
  Result<void> push(const ObjectId& id) {
    VEXOR_TRY(auto number, reader_.find(id));
    if (!number) {
      VEXOR_TRY(number, by_id_.find(reader_, id));
      if (!number) return Error(Errc::kNotFound, kGone);
    }
    if (seen_.addChecked(*number)) stack_.push_back(*number);
    return success();
  }
  Result<void> visit(ObjectNumber number, bool is_forgotten) {
    VEXOR_TRY(const pack::StoredEntry entry, reader_.entry(number));
    const ObjectType type = entry.object.type;
    bool is_sent = is_forgotten;
    if (type == ObjectType::kCommit && !is_sent) {
      VEXOR_TRY(const auto row, now_.snapshot->get(sys::Family::kGraph, format::number_key(now_.row.pool, number)));
      is_sent = !row;
    }
    if (is_sent) out_.add(number);
    if (type == ObjectType::kBlob) return success();
    VEXOR_TRY(const auto content, reader_.read(number));
    switch (type) {
      case ObjectType::kCommit: {
        VEXOR_TRY(const format::CommitView view, format::parse_commit(*content, now_.row.algorithm));
        VEXOR_TRY(push(view.tree));
        for (const ObjectId& parent : view.parents) {
          VEXOR_TRY(push(parent));
        }
        return success();
      }
      case ObjectType::kTag: {
        VEXOR_TRY(const format::TagView view, format::parse_tag(*content, now_.row.algorithm));
        return push(view.target);
      }
      case ObjectType::kTree: return visit_tree(*content);
      case ObjectType::kBlob: return success();
    }
    return success();
  }
  Result<void> visit_tree(Bytes content) {
    format::TreeReader entries(content, now_.row.algorithm);
    format::TreeEntry entry;
    for (;;) {
      VEXOR_TRY(const bool more, entries.next(entry));
      if (!more) return success();
      if ((entry.mode & kModeTypeMask) == kModeGitlink) continue;
      VEXOR_TRY(push(ObjectId::from_raw(now_.row.algorithm, entry.id_raw)));
    }
  }

  store::StoreCore& core_;
  const store::RepositorySnapshot& now_;
  pack::ObjectReader reader_;
  ForgottenIds by_id_;
  Roaring seen_;
  std::vector<ObjectNumber> stack_;
  Roaring out_;
};

// Lets one recall at a time be at work: each holds a table of the pool's forgotten objects.
class RecallTurn {
 public:
  static Result<std::unique_ptr<RecallTurn>> take(store::StoreCore& core) {
    if (core.is_recalling.exchange(true)) return Error(Errc::kConflict, "something is being recalled from this store already: try again when that is over");
    return std::unique_ptr<RecallTurn>(new RecallTurn(core));
  }
  ~RecallTurn() { core_.is_recalling = false; }
  RecallTurn(const RecallTurn&) = delete;
  RecallTurn& operator=(const RecallTurn&) = delete;

 private:
  explicit RecallTurn(store::StoreCore& core) : core_(core) {}
  store::StoreCore& core_;
};

class RecallSession final : public protocol::Session {
 public:
  RecallSession(store::StoreCore& core, std::unique_ptr<RecallTurn> turn, store::RepositorySnapshot now, store::PastRefs then)
      : core_(core), turn_(std::move(turn)), now_(std::move(now)), then_(std::move(then)), walk_(core, now_) {}
  RecallSession(const RecallSession&) = delete;
  RecallSession& operator=(const RecallSession&) = delete;

  protocol::Wants wants() const override {
    if (at_ < output_.size()) return protocol::Wants::kOutput;
    return failed_ || is_done_ ? protocol::Wants::kDone : protocol::Wants::kWork;
  }
  std::size_t feed(Bytes input) override { return input.size(); }
  void end_of_input() override {}
  std::size_t drain(std::span<char> room) override {
    const std::size_t count = std::min(room.size(), output_.size() - at_);
    std::copy_n(output_.data() + at_, count, room.data());
    at_ += count;
    return count;
  }
  void take_output(std::string& out, std::size_t front) override {
    out.assign(front, '\0');
    out.append(output_, at_);
    at_ = output_.size();
  }
  void run_work() override {
    output_.clear();
    at_ = 0;
    auto done = work();
    if (done.has_error()) failed_ = std::move(done).error();
  }
  Bytes keep_alive() const override { return {}; }
  const Error* failure() const override { return failed_ ? &*failed_ : nullptr; }

 private:
  Result<void> work() {
    if (!stream_) {
      VEXOR_TRY(Roaring send, walk_.find(then_));
      VEXOR_TRY(stream_, pack::PackStream::open(core_, walk_.reader(), std::move(send), nullptr, pack::PackOptions{true}, 0));
    }
    VEXOR_TRY(stream_->next(output_));
    is_done_ = stream_->done();
    return success();
  }

  store::StoreCore& core_;
  const std::unique_ptr<RecallTurn> turn_;
  const store::RepositorySnapshot now_;
  const store::PastRefs then_;
  RecallWalk walk_;
  std::unique_ptr<pack::PackStream> stream_;
  std::string output_;
  std::size_t at_ = 0;
  bool is_done_ = false;
  std::optional<Error> failed_;
};

Result<store::RepositorySnapshot> find_repository(store::StoreCore& core, const std::string& name) {
  VEXOR_TRY(const auto snapshot, core.backend->snapshot());
  VEXOR_TRY(auto row, store::find_repository_row(*snapshot, name));
  if (!row) {
    VEXOR_TRY(row, store::find_deleted(*snapshot, name));
  }
  return store::open_repository_snapshot(core, row->number);
}

class Taker final : public RecallTaker {
 public:
  Taker(store::StoreCore& core, store::RepositorySnapshot now, format::CheckPolicy policy)
      : core_(core), now_(std::move(now)), limits_(store::limits_of(core.options.limits, now_.row)), reader_(now_.snapshot, now_.row.pool, now_.row.algorithm, limits_),
        receiver_(reader_, std::make_shared<const Roaring>(), limits_, core.options.scratch_directory, std::move(policy), core.workers()) {}
  Taker(const Taker&) = delete;
  Taker& operator=(const Taker&) = delete;

  Result<void> feed(Bytes piece) override {
    VEXOR_TRY(const std::size_t taken, receiver_.feed(piece));
    if (taken != piece.size()) return Error(Errc::kProtocol, "octets behind the end of a pack");
    return success();
  }
  Result<std::uint64_t> finish(const Actor& actor) override {
    if (!receiver_.received()) return Error(Errc::kProtocol, "the pack ends too soon");
    for (bool is_resolved = receiver_.object_count() == 0; !is_resolved;) {
      VEXOR_TRY(is_resolved, receiver_.resolve_some());
    }
    return pack::keep_objects(core_, now_.row.number, receiver_, actor);
  }

 private:
  store::StoreCore& core_;
  const store::RepositorySnapshot now_;
  const Limits limits_;
  pack::ObjectReader reader_;
  pack::PackReceiver receiver_;
};

}  // namespace

Result<std::unique_ptr<protocol::Session>> make_recall_session(Store& store, const std::string& name, JournalSequence sequence) {
  VEXOR_TRY(auto turn, RecallTurn::take(store.core()));
  VEXOR_TRY(auto now, find_repository(store.core(), name));
  VEXOR_TRY(store::PastRefs then, store::read_past_refs(now, sequence));
  if (then.generation == 0) return Error(Errc::kNotFound, name + " did not exist at journal sequence " + std::to_string(sequence));
  return std::unique_ptr<protocol::Session>(std::make_unique<RecallSession>(store.core(), std::move(turn), std::move(now), std::move(then)));
}

Result<std::unique_ptr<RecallTaker>> make_recall_taker(Store& store, const std::string& name) {
  VEXOR_TRY(auto now, find_repository(store.core(), name));
  VEXOR_TRY(auto policy, format::parse_check_policy(now.row.check_policy));
  return std::unique_ptr<RecallTaker>(std::make_unique<Taker>(store.core(), std::move(now), std::move(policy)));
}

}  // namespace vexor
