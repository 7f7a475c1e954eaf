#include "pack/push.h"

#include <algorithm>

#include "base/check.h"
#include "format/object_parse.h"
#include "store/forgotten.h"

namespace vexor::pack {

PushSource::PushSource(store::StoreCore& core, const store::RepositorySnapshot& repository, ObjectReader& reader,
                       PackReceiver* receiver, store::SetPtr visible)
    : core_(core), repository_(repository), reader_(reader), receiver_(receiver),
      visible_(std::move(visible)), stored_(core, reader) {}

// An id that is there already keeps its number, whoever brought it; but the bytes must agree.
Result<void> PushSource::compare_with_stored(std::uint32_t entry, ObjectNumber number) {
  const PushEntry& mine = receiver_->entries()[entry];
  VEXOR_TRY(const StoredEntry theirs, reader_.entry(number));
  bool same = theirs.object.type == mine.type && theirs.object.object_bytes == mine.object_bytes;
  if (same && mine.object_bytes <= core_.options.limits.delta_object_bytes_max) {
    VEXOR_TRY(const auto left, receiver_->read(entry));
    VEXOR_TRY(const auto right, reader_.read(number));
    same = *left == *right;
  }
  if (!same) return Error(Errc::kCollision, "object " + mine.id.hex() + " differs from the stored object of that id");
  return success();
}

// A thin pack's bases were read in the snapshot that the pack arrived in; a sweep since may have erased
// one that nothing reached any more, or a record forgotten it: then it is here still, and maybe on no other server.
Result<void> PushSource::check_bases() {
  const ObjectReader& before = receiver_->reader();
  VEXOR_TRY(const format::PoolUpkeepRow then, store::read_pool_upkeep(*before.snapshot(), before.pool()));
  VEXOR_TRY(const format::PoolUpkeepRow now, store::read_pool_upkeep(*reader_.snapshot(), reader_.pool()));
  VEXOR_TRY(const store::ForgettingRow forgotten_then, store::read_forgetting(*before.snapshot(), before.pool()));
  VEXOR_TRY(const store::SetPtr forgotten, store::forgotten_numbers(core_, *reader_.snapshot(), reader_.pool()));
  VEXOR_TRY(const store::ForgettingRow forgotten_now, store::read_forgetting(*reader_.snapshot(), reader_.pool()));
  const bool is_as_it_was = forgotten_then.records == forgotten_now.records;
  if (then.rewrites == now.rewrites && is_as_it_was) return success();
  for (const PushEntry& entry : receiver_->entries()) {
    if (!entry.is_delta || entry.base_entry != kNoEntry) continue;
    const bool is_forgotten = !is_as_it_was && forgotten && forgotten->contains(entry.base_number);
    if (is_forgotten || reader_.entry(entry.base_number).has_error()) return Error(Errc::kConflict, "a base of the pack was swept meanwhile: push again");
  }
  return success();
}

Result<void> PushSource::number_entries() {
  if (receiver_ == nullptr) return success();
  VEXOR_TRY(check_bases());
  receiver_->sort_ids();
  const std::vector<PushEntry>& entries = receiver_->entries();
  numbers_.assign(entries.size(), kNoObject);
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    if (receiver_->first_of_id(i) != i) continue;  // the pack holds an object twice
    VEXOR_TRY(const auto number, reader_.find(entries[i].id));
    if (!number) {
      new_entries_.push_back(i);
      continue;
    }
    VEXOR_TRY(compare_with_stored(i, *number));
    numbers_[i] = *number;
    known_entries_[*number] = i;
    pushed_.add(*number);
  }
  VEXOR_TRY(first_, core_.numbers.reserve(core_, repository_.row.pool, static_cast<std::uint32_t>(new_entries_.size())));
  for (std::uint32_t k = 0; k < new_entries_.size(); ++k) numbers_[new_entries_[k]] = first_ + k;
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    if (numbers_[i] == kNoObject) numbers_[i] = numbers_[receiver_->first_of_id(i)];
  }
  if (!new_entries_.empty()) pushed_.addRange(first_, std::uint64_t{first_} + new_entries_.size());
  return settle_chains();
}

std::optional<std::uint32_t> PushSource::entry_of(ObjectNumber number) const {
  if (is_new(number)) return new_entries_[number - first_];
  const auto found = known_entries_.find(number);
  if (found == known_entries_.end()) return std::nullopt;
  return found->second;
}

std::optional<ObjectNumber> PushSource::find_pushed(const ObjectId& id) const {
  if (receiver_ == nullptr) return std::nullopt;
  const auto entry = receiver_->find(id);
  if (!entry) return std::nullopt;
  return numbers_[*entry];
}

Result<std::optional<ObjectNumber>> PushSource::find(const ObjectId& id) {
  if (const auto number = find_pushed(id)) return number;
  return reader_.find(id);
}

const GraphRow* PushSource::known_graph(ObjectNumber commit) const {
  const auto cached = graph_cache_.find(commit);
  return cached == graph_cache_.end() ? nullptr : &cached->second;
}

Result<ObjectType> PushSource::type(ObjectNumber number) {
  if (const auto entry = entry_of(number)) return receiver_->entries()[*entry].type;
  return stored_.type(number);
}

Result<std::shared_ptr<const std::string>> PushSource::read(ObjectNumber number) {
  if (const auto entry = entry_of(number)) return receiver_->read(*entry);
  return reader_.read(number);
}

// Rows of pushed commits are made from the pushed bytes: a row written for another repository may
// lack parents that this one has.
Result<const GraphRow*> PushSource::pushed_graph(ObjectNumber commit) {
  const auto cached = graph_cache_.find(commit);
  if (cached != graph_cache_.end()) return &cached->second;
  VEXOR_TRY(const auto content, read(commit));
  VEXOR_TRY(const format::CommitView view, format::parse_commit(*content, repository_.row.algorithm));
  const Limits& limits = reader_.limits();
  if (view.parents.size() > limits.commit_parents_max) {
    return Error(Errc::kLimitExceeded, "parents of a commit " + std::to_string(view.parents.size()) + " over " + std::to_string(limits.commit_parents_max));
  }
  parents_ += view.parents.size();
  if (parents_ > limits.parents_per_push_max) return Error(Errc::kLimitExceeded, "parents of the commits of a push over " + std::to_string(limits.parents_per_push_max));
  GraphRow row;
  row.commit_time = view.commit_time;
  VEXOR_TRY(const auto tree, find(view.tree));
  row.tree = tree.value_or(kNoObject);
  for (const ObjectId& parent : view.parents) {
    VEXOR_TRY(const auto number, find(parent));
    if (number) {
      VEXOR_TRY(const ObjectType parent_type, type(*number));
      if (parent_type != ObjectType::kCommit) return Error(Errc::kProtocol, "commit names " + parent.hex() + " as a parent, which is no commit");
    }
    row.parents.push_back(number.value_or(kNoObject));
  }
  return &graph_cache_.emplace(commit, std::move(row)).first->second;
}

Result<GraphRow> PushSource::graph(ObjectNumber commit) {
  if (!entry_of(commit)) return stored_.graph(commit);
  VEXOR_TRY(const GraphRow* row, pushed_graph(commit));
  return *row;
}

Result<bool> PushSource::has_whole_row(ObjectNumber commit) const {
  if (!visible_->contains(commit)) return false;  // the sweep may have erased what such a row names
  VEXOR_TRY(const auto row, reader_.snapshot()->get(sys::Family::kGraph, format::number_key(reader_.pool(), commit)));
  if (!row) return false;
  VEXOR_TRY(const GraphRow decoded, decode_graph_row(row->bytes()));
  return decoded.tree != kNoObject && std::find(decoded.parents.begin(), decoded.parents.end(), kNoObject) == decoded.parents.end();
}

Result<std::optional<BitmapRow>> PushSource::bitmap_row(ObjectNumber number) {
  const auto mine = bitmaps_.find(number);
  if (mine != bitmaps_.end()) return std::optional<BitmapRow>(mine->second);
  return stored_.bitmap_row(number);
}

// A stored set counts only where this repository sees its tip: otherwise it would vouch for
// objects that another repository of the pool keeps to itself.
Result<SetPtr> PushSource::stored_set(ObjectNumber number) {
  SetPtr set;
  const auto mine = bitmaps_.find(number);
  if (mine != bitmaps_.end()) {
    const auto kept = tip_sets_.find(number);
    if (kept != tip_sets_.end()) {
      set = kept->second;
    } else {
      auto composed = std::make_shared<Roaring>(mine->second.additions);
      for (ObjectNumber base = mine->second.base; base != kNoObject;) {
        if (const auto below = tip_sets_.find(base); below != tip_sets_.end()) {
          *composed |= *below->second;
          break;
        }
        VEXOR_TRY(const auto row, bitmap_row(base));
        if (!row) return Error(Errc::kCorrupt, "a bitmap's base is missing");
        *composed |= row->additions;
        base = row->base;
      }
      set = composed;
      keep_set(number, std::move(composed));
    }
  } else if (visible_->contains(number)) {
    VEXOR_TRY(set, stored_.stored_set(number));
  }
  return set;
}

namespace {

// A push's objects for one thread more. Only while the push changes nothing of its own.
class PushView final : public ObjectSource {
 public:
  PushView(PushSource& push, store::StoreCore& core, PackReceiver& receiver, const ObjectReader& reader, std::size_t cache_bytes)
      : push_(push), reader_(reader.snapshot(), reader.pool(), reader.algorithm(), reader.limits()), stored_(core, reader_),
        entries_(receiver.entry_reader(reader_, cache_bytes)) {}
  Result<std::optional<ObjectNumber>> find(const ObjectId& id) override {
    if (const auto number = push_.find_pushed(id)) return number;
    return reader_.find(id);
  }
  Result<ObjectType> type(ObjectNumber number) override {
    if (const auto entry = push_.entry_of(number)) return entries_.entry(*entry).type;
    return stored_.type(number);
  }
  Result<std::shared_ptr<const std::string>> read(ObjectNumber number) override {
    if (const auto entry = push_.entry_of(number)) return entries_.read(*entry);
    return reader_.read(number);
  }
  Result<GraphRow> graph(ObjectNumber commit) override {
    if (const GraphRow* row = push_.known_graph(commit)) return *row;
    return stored_.graph(commit);
  }
  Result<SetPtr> stored_set(ObjectNumber) override { return SetPtr(); }

 private:
  PushSource& push_;
  ObjectReader reader_;
  StoreSource stored_;
  EntryReader entries_;
};

}  // namespace

std::unique_ptr<ObjectSource> PushSource::view(std::size_t cache_bytes) {
  VEXOR_CHECK(receiver_ != nullptr);
  return std::make_unique<PushView>(*this, core_, *receiver_, reader_, cache_bytes);
}

Result<std::vector<ObjectNumber>> PushSource::commits_parents_first() {
  std::vector<ObjectNumber> out;
  if (receiver_ == nullptr) return out;
  Roaring commits;
  for (std::uint32_t i = 0; i < receiver_->entries().size(); ++i) {
    if (receiver_->entries()[i].type == ObjectType::kCommit) commits.add(numbers_[i]);
  }
  Roaring placed;
  std::vector<ObjectNumber> stack;
  for (const ObjectNumber start : commits) {
    stack.push_back(start);
    while (!stack.empty()) {
      const ObjectNumber commit = stack.back();
      bool is_ready = true;
      if (!placed.contains(commit)) {
        VEXOR_TRY(const GraphRow* row, pushed_graph(commit));
        for (const ObjectNumber parent : row->parents) {
          if (!commits.contains(parent) || placed.contains(parent)) continue;
          stack.push_back(parent);
          is_ready = false;
        }
      }
      if (!is_ready) continue;
      stack.pop_back();
      if (placed.addChecked(commit)) out.push_back(commit);
    }
  }
  return out;
}

}  // namespace vexor::pack
