// Re-delta, plan: which objects there are, what they were called, and their order.
#include <algorithm>

#include "base/check.h"
#include "compress/zlib_stream.h"
#include "format/object_parse.h"
#include "maintenance/redelta.h"
#include "pack/reachability_walker.h"

namespace vexor::maintenance {

using sys::Family;

namespace {

constexpr std::uint64_t kSpoolMemoryBytes = 64U << 20U;
constexpr std::uint64_t kReaderCacheBytes = 128U << 20U;
constexpr std::int64_t kReaderMs = 5LL * 60 * 1000;
constexpr std::uint64_t kObjectsMax = 32U << 20U;  // more are left as they are: the table would take 2 GiB
constexpr std::uint64_t kNewObjectsMin = 64;       // fewer are not worth a pass
constexpr std::size_t kUsersMax = 63;
constexpr std::uint32_t kDepthMax = 250;  // has an octet in the table
constexpr std::uint32_t kModeTree = 0040000;
constexpr std::uint32_t kModeGitlink = 0160000;
constexpr std::uint32_t kModeTypeMask = 0170000;

std::uint32_t saturated(std::uint64_t value) { return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX)); }

}  // namespace

std::uint32_t hash_name(std::uint32_t hash, Bytes more) {
  for (const char c : more) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) continue;
    hash = (hash >> 2U) + (static_cast<std::uint32_t>(static_cast<unsigned char>(c)) << 24U);
  }
  return hash;
}

void ObjectTable::resize(std::size_t numbers) {
  flags.resize(numbers);
  bytes.resize(numbers);
  payload_bytes.resize(numbers);
  entry_bytes.resize(numbers);
  base.resize(numbers, kNoObject);
}

std::uint64_t IdTable::prefix(Bytes id) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < sizeof out; ++i) out = out << 8U | octet(id, i);
  return out;
}

void IdTable::build(std::vector<std::uint64_t> prefixes, const ObjectTable& objects) {
  prefixes_ = std::move(prefixes);
  std::size_t slots = 16;
  while (slots < prefixes_.size() * 2) slots *= 2;
  slots_.assign(slots, kNoObject);
  for (ObjectNumber number = 0; number < prefixes_.size(); ++number) {
    if (!objects.is_candidate(number)) continue;  // of an object that was forgotten and came again, the one that refs reach
    std::size_t at = prefixes_[number] & (slots - 1);
    while (slots_[at] != kNoObject) at = (at + 1) & (slots - 1);
    slots_[at] = number;
  }
}

ObjectNumber IdTable::find(Bytes id) const {
  const std::uint64_t wanted = prefix(id);
  for (std::size_t at = wanted & (slots_.size() - 1); slots_[at] != kNoObject; at = (at + 1) & (slots_.size() - 1)) {
    if (prefixes_[slots_[at]] == wanted) return slots_[at];
  }
  return kNoObject;
}

RedeltaTask::RedeltaTask(PoolTaskContext& context)
    : context_(context), compact_(context), spool_(context.core.options.scratch_directory, kSpoolMemoryBytes),
      depth_max_(std::min(context.policy.redelta_depth, kDepthMax)) {}

Result<bool> RedeltaTask::step(Budget& budget) {
  switch (phase_) {
    case Phase::kBegin: {
      VEXOR_TRY(begin());
      break;
    }
    case Phase::kScan: {
      VEXOR_TRY(scan(budget));
      break;
    }
    case Phase::kName: {
      VEXOR_TRY(name_objects(budget));
      break;
    }
    case Phase::kSearch: {
      VEXOR_TRY(search(budget));
      break;
    }
    case Phase::kWrite:
    case Phase::kPending: {
      VEXOR_TRY(write(budget));
      break;
    }
    case Phase::kDone: {
      reader_.reset();  // its snapshot would keep what was replaced
      return compact_.step(budget);
    }
  }
  return false;
}

Result<pack::ObjectReader*> RedeltaTask::reader() {
  const std::int64_t now_ms = context_.core.clock.monotonic_time_ms();
  if (!reader_ || now_ms - reader_since_ms_ > kReaderMs) {
    VEXOR_TRY(auto snapshot, context_.core.backend->snapshot());
    Limits limits = context_.core.options.limits;
    limits.fetch_cache_bytes = std::max(limits.fetch_cache_bytes, kReaderCacheBytes);
    reader_ = std::make_unique<pack::ObjectReader>(std::move(snapshot), context_.pool, context_.algorithm, limits);
    reader_since_ms_ = now_ms;
  }
  return reader_.get();
}

Result<void> RedeltaTask::begin() {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  std::uint64_t numbers = 0;
  std::uint64_t end = 0;
  const std::string prefix = format::pool_key(context_.pool);
  const auto cursor = snapshot->cursor(Family::kShapes);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
    numbers += cursor->value().size();
    end = first + cursor->value().size();
  }
  VEXOR_TRY(cursor->status());
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(*snapshot, context_.pool));
  const std::uint64_t objects = numbers - std::min(numbers, upkeep.swept_objects);
  const std::uint64_t growth = context_.policy.redelta_growth_percent;
  const std::uint64_t due = growth == 0 ? 0 : upkeep.redelta_objects + std::max(kNewObjectsMin, upkeep.redelta_objects * growth / 100);
  if (objects < std::max<std::uint64_t>(due, 2) || end > kObjectsMax) {
    phase_ = Phase::kDone;
    return success();
  }
  looked_at_ = objects;
  VEXOR_TRY(read_sets(snapshot));
  objects_.resize(end);
  prefixes_.resize(end);
  context_.total = end;
  phase_ = Phase::kScan;
  return success();
}

// What each repository shows, and besides what its hidden refs reach: each of these is a viewer.
Result<void> RedeltaTask::read_sets(const store::SnapshotPtr& snapshot) {
  pack::ObjectReader reader(snapshot, context_.pool, context_.algorithm, context_.core.options.limits);
  pack::StoreSource source(context_.core, reader);
  pack::ReachabilityWalker walker(source, context_.algorithm, context_.core.options.limits, nullptr);
  for (const RepositoryId user : context_.users) {
    const auto row = snapshot->get(Family::kRepositories, "r" + format::pool_key(user));
    if (row.has_error()) return row.error().clone();
    if (!row.value()) continue;  // purged since
    store::RepositorySnapshot repository;
    repository.snapshot = snapshot;
    VEXOR_TRY(repository.row, format::decode_repository_row(row.value()->bytes()));
    VEXOR_TRY(const auto refs, store::read_refs(repository));
    Roaring shown;
    Roaring shown_composed;
    Roaring all;
    Roaring all_composed;
    for (const store::NamedRef& ref : refs) {
      if (!ref.row.symref_target.empty()) continue;
      const bool hidden = store::is_hidden(repository.row, ref.name);
      Roaring& set = hidden ? all : shown;
      VEXOR_TRY(const bool is_stored, source.add_stored(ref.row.number, set, hidden ? all_composed : shown_composed));
      if (!is_stored) {
        VEXOR_TRY(walker.add(ref.row.number, set));
      }
    }
    reached_ |= shown;
    reached_ |= all;
    if (!shown.isEmpty()) user_sets_.push_back(std::move(shown));
    if (!all.isEmpty()) user_sets_.push_back(std::move(all));
  }
  if (user_sets_.size() > kUsersMax) {
    // Too many for a bit each: what all see may be a base for all, and nothing else for anything.
    Roaring common = user_sets_.front();
    for (const Roaring& set : user_sets_) common &= set;
    user_sets_.clear();
    user_sets_.push_back(reached_);
    user_sets_.push_back(std::move(common));  // kSeenByAll
    common_bases_only_ = true;
  }
  return success();
}

Result<void> RedeltaTask::scan(Budget& budget) {
  VEXOR_TRY(const auto snapshot, context_.core.backend->snapshot());
  const std::uint64_t candidate_bytes_max = context_.policy.redelta_window_bytes / 4;
  VEXOR_TRY(ExtentScan scan, ExtentScan::begin(*snapshot, context_.pool, context_.algorithm, scan_next_));
  for (;;) {
    VEXOR_TRY(const bool more, scan.next());
    if (!more || scan.end() > objects_.size()) break;  // behind the plan: pushed since
    budget.use(scan.value().size());
    // What is cold is left in peace until it is thawed: no candidates, so nothing new is made upon it either.
    const bool is_cold = scan.header().is_cold;
    if (!is_cold) extents_.push_back({scan.first(), scan.end()});
    ObjectNumber number = scan.first();
    for (const format::ExtentObject& object : scan.header().objects) {
      if (!object.is_absent) {
        const bool is_bounded = object.payload_bytes < UINT32_MAX && object.payload_bytes <= compress::stream_bytes_max(object.entry_bytes);
        const bool candidate = !is_cold && reached_.contains(number) && object.object_bytes <= candidate_bytes_max && is_bounded;
        const unsigned flags = static_cast<unsigned>(object.type) | ObjectTable::kIsPresent;
        objects_.flags[number] = static_cast<std::uint8_t>(candidate ? flags | ObjectTable::kIsCandidate : flags);
        objects_.bytes[number] = saturated(object.object_bytes);
        objects_.payload_bytes[number] = saturated(object.payload_bytes);
        objects_.entry_bytes[number] = saturated(object.entry_bytes);
        objects_.base[number] = object.is_delta ? object.base : kNoObject;
        prefixes_[number] = IdTable::prefix(object.id.raw());
      }
      ++number;
    }
    scan_next_ = number;
    context_.done = number;
    if (budget.is_used_up()) return success();
  }
  ids_.build(std::move(prefixes_), objects_);
  objects_.name_hash.assign(objects_.size(), 0);
  objects_.age.assign(objects_.size(), UINT32_MAX);
  VEXOR_TRY(list_commits(*snapshot));
  phase_ = Phase::kName;
  return success();
}

Result<void> RedeltaTask::list_commits(const sys::StorageSnapshot& snapshot) {
  const std::string prefix = format::pool_key(context_.pool);
  const auto cursor = snapshot.cursor(Family::kGraph);
  for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
    VEXOR_TRY(const ObjectNumber number, format::number_of_key(cursor->key()));
    if (!reached_.contains(number) || !objects_.is_present(number)) continue;
    VEXOR_TRY(const format::GraphRow row, format::decode_graph_row(cursor->value()));
    commits_.emplace_back(row.commit_time, number);
  }
  VEXOR_TRY(cursor->status());
  std::sort(commits_.begin(), commits_.end());
  return success();
}

// Newest commits first: an object gets the name that the newest commit has for it.
Result<void> RedeltaTask::name_objects(Budget& budget) {
  VEXOR_TRY(pack::ObjectReader * objects, reader());
  while (!commits_.empty()) {
    if (budget.is_used_up()) return success();
    const ObjectNumber commit = commits_.back().second;
    commits_.pop_back();
    objects_.age[commit] = next_age_++;
    const auto row = objects->snapshot()->get(Family::kGraph, format::number_key(context_.pool, commit));
    if (row.has_error()) return row.error().clone();
    if (!row.value()) continue;
    VEXOR_TRY(const format::GraphRow graph, format::decode_graph_row(row.value()->bytes()));
    budget.use(row.value()->bytes().size());
    if (graph.tree < objects_.size()) {
      VEXOR_TRY(name_tree(graph.tree, budget));
    }
  }
  ids_ = IdTable();
  named_ = Roaring();
  make_order();
  return success();
}

Result<void> RedeltaTask::name_tree(ObjectNumber root, Budget& budget) {
  struct Item {
    ObjectNumber tree;
    std::uint32_t hash;  // of the path and a slash
  };
  if (!objects_.is_candidate(root) || !named_.addChecked(root)) return success();
  objects_.age[root] = next_age_++;
  std::vector<Item> stack{{root, 0}};
  while (!stack.empty()) {
    const Item item = stack.back();
    stack.pop_back();
    VEXOR_TRY(const auto content, reader_->read(item.tree));
    budget.use(content->size());
    format::TreeReader entries(*content, context_.algorithm);
    format::TreeEntry entry;
    for (;;) {
      VEXOR_TRY(const bool more, entries.next(entry));
      if (!more) break;
      const std::uint32_t kind = entry.mode & kModeTypeMask;
      if (kind == kModeGitlink) continue;
      const ObjectNumber number = ids_.find(entry.id_raw);
      if (!objects_.is_candidate(number) || !named_.addChecked(number)) continue;
      objects_.age[number] = next_age_++;
      objects_.name_hash[number] = hash_name(item.hash, entry.name);
      if (kind == kModeTree && objects_.type(number) == ObjectType::kTree) stack.push_back({number, hash_name(objects_.name_hash[number], "/")});
    }
  }
  return success();
}

void RedeltaTask::make_order() {
  for (ObjectNumber number = 0; number < objects_.size(); ++number) {
    if (objects_.is_candidate(number)) order_.push_back(number);
  }
  std::sort(order_.begin(), order_.end(), [&](ObjectNumber a, ObjectNumber b) {
    if (objects_.type(a) != objects_.type(b)) return objects_.type(a) > objects_.type(b);
    if (objects_.name_hash[a] != objects_.name_hash[b]) return objects_.name_hash[a] > objects_.name_hash[b];
    if (objects_.bytes[a] != objects_.bytes[b]) return objects_.bytes[a] > objects_.bytes[b];
    return std::pair(objects_.age[a], a) < std::pair(objects_.age[b], b);
  });
  objects_.rank.assign(objects_.size(), UINT32_MAX);
  for (std::size_t i = 0; i < order_.size(); ++i) objects_.rank[order_[i]] = static_cast<std::uint32_t>(i);
  objects_.name_hash = std::vector<std::uint32_t>();
  objects_.age = std::vector<std::uint32_t>();
  if (user_sets_.size() > 1) {
    objects_.seen_by.assign(objects_.size(), 0);
    for (std::size_t user = 0; user < user_sets_.size(); ++user) {
      for (const ObjectNumber number : user_sets_[user]) {
        if (number < objects_.size()) objects_.seen_by[number] |= std::uint64_t{1} << user;
      }
    }
  }
  user_sets_.clear();
  objects_.form.assign(objects_.size(), ObjectTable::kAsStored);
  objects_.depth.assign(objects_.size(), 0);
  objects_.new_base = objects_.base;
  objects_.spool_offset.assign(objects_.size(), 0);
  objects_.spool_bytes.assign(objects_.size(), 0);
  objects_.new_entry_bytes.assign(objects_.size(), 0);
  context_.total = order_.size();
  context_.done = 0;
  phase_ = Phase::kSearch;
}

std::unique_ptr<PoolTask> make_redelta_task(PoolTaskContext& context) { return std::make_unique<RedeltaTask>(context); }

}  // namespace vexor::maintenance
