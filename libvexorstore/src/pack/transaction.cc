// Transactions of the host: objects are collected as a pack and take the way of a push.
#include "vexorstore/transaction.h"

#include <algorithm>

#include "pack/push.h"

namespace vexor {

namespace {

constexpr int kLevel = 6;
constexpr std::size_t kPieceBytes = 256U << 10U;

class PackTransaction final : public Transaction {
 public:
  PackTransaction(store::StoreCore& core, store::RepositorySnapshot repository, const Actor& actor)
      : core_(core), repository_(std::move(repository)), actor_(actor),
        entries_(core.options.scratch_directory, core.options.limits.spool_memory_bytes) {}

  Result<ObjectId> write_object(ObjectType type, Bytes content) override {
    if (content.size() > core_.options.limits.delta_object_bytes_max) {
      return Error(Errc::kLimitExceeded, "object too large to be written in one piece");
    }
    VEXOR_TRY(const ObjectId id, hash_object(repository_.row.algorithm, type, content));
    std::string entry;
    format::append_pack_entry_header(entry, static_cast<format::PackEntryKind>(type), content.size());
    entry += compress::deflate(content, kLevel);
    VEXOR_TRY(entries_.append(entry));
    ++count_;
    return id;
  }

  Result<void> update_ref(RefUpdate update) override {
    pack::RefCommand command;
    command.name = std::move(update.name);
    command.old_id = update.old_id;
    command.new_id = update.new_id;
    for (const pack::RefCommand& other : commands_) {
      if (other.name == command.name) return Error(Errc::kInvalidArgument, "a ref is named twice");
    }
    commands_.push_back(std::move(command));
    return success();
  }

  Result<JournalSequence> commit() override {
    if (committed_) return Error(Errc::kInvalidArgument, "the transaction was committed before");
    committed_ = true;
    const Limits limits = store::limits_of(core_.options.limits, repository_.row);
    pack::ObjectReader reader(repository_.snapshot, repository_.row.pool, repository_.row.algorithm, limits);
    std::unique_ptr<pack::PackReceiver> receiver;
    if (count_ > 0) {
      VEXOR_TRY(const pack::SetPtr visible, pack::visible_set(core_, repository_, reader));
      VEXOR_TRY(auto policy, format::parse_check_policy(repository_.row.check_policy));
      receiver = std::make_unique<pack::PackReceiver>(reader, visible, limits,
                                                      core_.options.scratch_directory, std::move(policy), core_.workers());
      VEXOR_TRY(feed(*receiver));
    }
    VEXOR_TRY(const pack::PushOutcome outcome,
              pack::commit_push(core_, repository_.row.number, receiver.get(), commands_, true, actor_));
    for (const pack::RefCommand& command : commands_) {
      if (command.refusal.empty()) continue;
      const bool moved = command.refusal.find("changed since") != std::string::npos;
      return Error(moved ? Errc::kConflict : Errc::kRefused, command.name + ": " + command.refusal);
    }
    return outcome.receipt.sequence;
  }

 private:
  Result<void> feed(pack::PackReceiver& receiver) {
    PackChecksum sum(repository_.row.algorithm);
    std::string header;
    format::append_pack_header(header, count_);
    sum.update(header);
    VEXOR_TRY(receiver.feed(header));
    std::string room;
    for (std::uint64_t at = 0; at < entries_.size();) {
      const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, entries_.size() - at));
      VEXOR_TRY(const Bytes piece, entries_.read(at, step, room));
      sum.update(piece);
      VEXOR_TRY(receiver.feed(piece));
      at += step;
    }
    VEXOR_TRY(receiver.feed(sum.finish()));
    for (;;) {
      VEXOR_TRY(const bool done, receiver.resolve_some());
      if (done) return success();
    }
  }

  store::StoreCore& core_;
  store::RepositorySnapshot repository_;
  Actor actor_;
  pack::Spool entries_;
  std::uint32_t count_ = 0;
  std::vector<pack::RefCommand> commands_;
  bool committed_ = false;
};

}  // namespace

Result<std::unique_ptr<Transaction>> begin_transaction(Store& store, RepositoryId repository, const Actor& actor) {
  VEXOR_TRY(auto snapshot, store::open_repository_snapshot(store.core(), repository));
  if (snapshot.row.deleted_at_ms != 0) return Error(Errc::kNotFound, "no such repository");
  return std::unique_ptr<Transaction>(std::make_unique<PackTransaction>(store.core(), std::move(snapshot), actor));
}

}  // namespace vexor
