#include "pack/reachability.h"

#include "base/check.h"
#include "format/object_parse.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr std::uint8_t kRowVersion = 1;
constexpr std::size_t kChainMax = 64;
constexpr std::uint32_t kModeTree = 0040000;
constexpr std::uint32_t kModeGitlink = 0160000;
constexpr std::uint32_t kModeTypeMask = 0170000;

}  // namespace

std::string encode_bitmap_row(const BitmapRow& row) {
  std::string out;
  put_u8(out, kRowVersion);
  put_u32be(out, row.base);
  put_varint(out, row.depth);
  std::string set(row.additions.getSizeInBytes(true), '\0');
  set.resize(row.additions.write(set.data(), true));
  put_bytes(out, set);
  return out;
}

Result<BitmapRow> decode_bitmap_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kRowVersion) return Error(Errc::kCorrupt, "bitmap row: unknown version");
  BitmapRow row;
  VEXOR_TRY(row.base, reader.u32be());
  VEXOR_TRY(const std::uint64_t depth, reader.varint());
  row.depth = static_cast<std::uint32_t>(depth);
  VEXOR_TRY(const Bytes set, reader.bytes());
  try {
    row.additions = Roaring::readSafe(set.data(), set.size());
  } catch (const std::exception&) {
    return Error(Errc::kCorrupt, "bitmap row: unreadable set");
  }
  return row;
}

std::string encode_graph_row(const GraphRow& row) {
  std::string out;
  put_u8(out, kRowVersion);
  put_u32be(out, row.tree);
  put_varint(out, row.generation);
  put_u64be(out, static_cast<std::uint64_t>(row.commit_time));
  put_varint(out, row.parents.size());
  for (const ObjectNumber parent : row.parents) put_u32be(out, parent);
  return out;
}

Result<GraphRow> decode_graph_row(Bytes value) {
  ByteReader reader(value);
  VEXOR_TRY(const std::uint8_t version, reader.u8());
  if (version != kRowVersion) return Error(Errc::kCorrupt, "graph row: unknown version");
  GraphRow row;
  VEXOR_TRY(row.tree, reader.u32be());
  VEXOR_TRY(row.generation, reader.varint());
  VEXOR_TRY(const std::uint64_t time, reader.u64be());
  row.commit_time = static_cast<std::int64_t>(time);
  VEXOR_TRY(const std::uint64_t count, reader.varint());
  if (count > reader.remaining() / 4) return Error(Errc::kCorrupt, "graph row: parents");
  for (std::uint64_t i = 0; i < count; ++i) {
    VEXOR_TRY(const ObjectNumber parent, reader.u32be());
    row.parents.push_back(parent);
  }
  return row;
}

Result<ObjectType> StoreSource::type(ObjectNumber number) {
  VEXOR_TRY(const StoredEntry entry, reader_.entry(number));
  return entry.object.type;
}

Result<GraphRow> StoreSource::graph(ObjectNumber commit) {
  VEXOR_TRY(const auto row, reader_.snapshot()->get(Family::kGraph, format::number_key(reader_.pool(), commit)));
  if (!row) return Error(Errc::kCorrupt, "a commit without its graph row");
  return decode_graph_row(row->bytes());
}

Result<std::optional<BitmapRow>> StoreSource::bitmap_row(ObjectNumber number) const {
  VEXOR_TRY(const auto row, reader_.snapshot()->get(Family::kBitmaps, format::number_key(reader_.pool(), number)));
  if (!row) return std::optional<BitmapRow>();
  VEXOR_TRY(BitmapRow decoded, decode_bitmap_row(row->bytes()));
  return std::optional<BitmapRow>(std::move(decoded));
}

Result<SetPtr> StoreSource::stored_set(ObjectNumber number) {
  const std::string key = format::number_key(reader_.pool(), number);
  if (SetPtr cached = core_.sets.find(key)) return cached;
  VEXOR_TRY(auto row, bitmap_row(number));
  if (!row) return SetPtr();
  auto set = std::make_shared<Roaring>(std::move(row->additions));
  ObjectNumber base = row->base;
  for (std::size_t steps = 0; base != kNoObject; ++steps) {
    if (steps > kChainMax) return Error(Errc::kCorrupt, "bitmap chain without end");
    if (const SetPtr cached = core_.sets.find(format::number_key(reader_.pool(), base))) {
      *set |= *cached;
      break;
    }
    VEXOR_TRY(auto next, bitmap_row(base));
    if (!next) return Error(Errc::kCorrupt, "a bitmap's base is missing");
    *set |= next->additions;
    base = next->base;
  }
  SetPtr out = std::move(set);
  core_.sets.insert(key, out);
  return out;
}

ReachabilityWalker::ReachabilityWalker(ObjectSource& source, HashAlgorithm algorithm, const Limits& limits,
                                       std::function<bool(ObjectNumber)> allowed)
    : source_(source), algorithm_(algorithm), limits_(limits), allowed_(std::move(allowed)) {}

Result<ObjectNumber> ReachabilityWalker::resolve(const ObjectId& id, ObjectType type) const {
  VEXOR_TRY(const auto number, source_.find(id));
  if (!number || (allowed_ && !allowed_(*number))) {
    return Error(Errc::kProtocol, "missing " + std::string(object_type_name(type)) + " " + id.hex());
  }
  return *number;
}

Result<void> ReachabilityWalker::add(ObjectNumber tip, Roaring& known) {
  if (known.contains(tip)) return success();
  VEXOR_TRY(const ObjectType type, source_.type(tip));
  switch (type) {
    case ObjectType::kCommit: return add_commits(tip, known);
    case ObjectType::kTree: return add_tree(tip, kNoObject, known);
    case ObjectType::kTag: return add_tag(tip, known);
    case ObjectType::kBlob: known.add(tip); return success();
  }
  return Error(Errc::kCorrupt, "unknown object type");
}

Result<void> ReachabilityWalker::add_tag(ObjectNumber tag, Roaring& known) {
  for (std::size_t steps = 0; ; ++steps) {
    if (steps > limits_.tree_depth_max) return Error(Errc::kLimitExceeded, "tag chain too long");
    VEXOR_TRY(const auto content, source_.read(tag));
    VEXOR_TRY(const format::TagView view, format::parse_tag(*content, algorithm_));
    VEXOR_TRY(const ObjectNumber target, resolve(view.target, view.target_type));
    VEXOR_TRY(const ObjectType type, source_.type(target));
    if (type != view.target_type) return Error(Errc::kProtocol, "tag names " + view.target.hex() + " as another type than it is");
    known.add(tag);
    if (type != ObjectType::kTag) return add(target, known);
    if (known.contains(target)) return success();
    tag = target;
  }
}

Result<void> ReachabilityWalker::add_commits(ObjectNumber tip, Roaring& known) {
  struct Frame {
    ObjectNumber commit;
    GraphRow row;
    std::size_t next_parent = 0;
  };
  std::vector<Frame> stack;
  const auto enter = [&](ObjectNumber commit) -> Result<void> {
    if (known.contains(commit)) return success();
    VEXOR_TRY(const SetPtr stored, source_.stored_set(commit));
    if (stored) {
      known |= *stored;
      return success();
    }
    VEXOR_TRY(GraphRow row, source_.graph(commit));
    for (const ObjectNumber parent : row.parents) {
      if (parent == kNoObject || (allowed_ && !allowed_(parent))) {
        return Error(Errc::kProtocol, "missing parent of a commit");
      }
    }
    stack.push_back({commit, std::move(row), 0});
    return success();
  };
  VEXOR_TRY(enter(tip));
  while (!stack.empty()) {
    Frame& top = stack.back();
    if (top.next_parent < top.row.parents.size()) {
      const ObjectNumber parent = top.row.parents[top.next_parent++];
      VEXOR_TRY(enter(parent));  // may move `top`
      continue;
    }
    const Frame frame = std::move(top);
    stack.pop_back();
    if (known.contains(frame.commit)) continue;
    if (frame.row.tree == kNoObject || (allowed_ && !allowed_(frame.row.tree))) {
      return Error(Errc::kProtocol, "missing tree of a commit");
    }
    ObjectNumber known_tree = kNoObject;
    if (!frame.row.parents.empty()) {
      VEXOR_TRY(const GraphRow parent, source_.graph(frame.row.parents.front()));
      known_tree = parent.tree;
    }
    VEXOR_TRY(add_tree(frame.row.tree, known_tree, known));
    known.add(frame.commit);
  }
  return success();
}

Result<void> ReachabilityWalker::add_tree(ObjectNumber tree, ObjectNumber known_tree, Roaring& known) {
  struct Item {
    ObjectNumber tree;
    ObjectNumber known_tree;
    std::uint32_t depth;
  };
  std::vector<Item> stack;
  if (known.contains(tree)) return success();
  stack.push_back({tree, known_tree, 1});
  while (!stack.empty()) {
    const Item item = stack.back();
    stack.pop_back();
    if (!known.addChecked(item.tree)) continue;
    if (item.depth > limits_.tree_depth_max) return Error(Errc::kLimitExceeded, "tree depth over the limit");
    VEXOR_TRY(const ObjectType kind_found, source_.type(item.tree));
    if (kind_found != ObjectType::kTree) return Error(Errc::kProtocol, "an entry that should be a tree is not");
    VEXOR_TRY(const auto content, source_.read(item.tree));
    std::shared_ptr<const std::string> other;
    if (item.known_tree != kNoObject && known.contains(item.known_tree)) {
      VEXOR_TRY(other, source_.read(item.known_tree));
    }
    format::TreeReader mine(*content, algorithm_);
    format::TreeReader theirs(other ? Bytes(*other) : Bytes(), algorithm_);
    format::TreeEntry entry;
    format::TreeEntry old;
    VEXOR_TRY(bool has_old, theirs.next(old));
    for (;;) {
      VEXOR_TRY(const bool more, mine.next(entry));
      if (!more) break;
      // Entries are sorted by name; the order of trees ("name/") only costs a missed pairing.
      while (has_old && old.name < entry.name) {
        VEXOR_TRY(has_old, theirs.next(old));
      }
      const bool paired = has_old && old.name == entry.name;
      if (paired && old.id_raw == entry.id_raw && old.mode == entry.mode) continue;
      const std::uint32_t kind = entry.mode & kModeTypeMask;
      if (kind == kModeGitlink) continue;
      const bool is_tree = kind == kModeTree;
      VEXOR_TRY(const ObjectNumber number,
                resolve(ObjectId::from_raw(algorithm_, entry.id_raw), is_tree ? ObjectType::kTree : ObjectType::kBlob));
      if (known.contains(number)) continue;
      if (!is_tree) {
        VEXOR_TRY(const ObjectType found, source_.type(number));
        if (found != ObjectType::kBlob) return Error(Errc::kProtocol, "an entry that should be a blob is not");
        known.add(number);
        continue;
      }
      ObjectNumber pair = kNoObject;
      if (paired && (old.mode & kModeTypeMask) == kModeTree) {
        VEXOR_TRY(const auto old_number, source_.find(ObjectId::from_raw(algorithm_, old.id_raw)));
        if (old_number) pair = *old_number;
      }
      stack.push_back({number, pair, item.depth + 1});
    }
  }
  return success();
}

Result<SetPtr> visible_set(store::StoreCore& core, const store::RepositorySnapshot& repository,
                           ObjectReader& reader) {
  std::string key = "v" + format::pool_key(repository.row.number);
  put_u64be(key, repository.ref_generation);
  for (const std::string& pattern : repository.row.hidden) put_bytes(key, pattern);
  if (SetPtr cached = core.sets.find(key)) return cached;
  VEXOR_TRY(const auto refs, store::read_refs(repository));
  StoreSource source(core, reader);
  ReachabilityWalker walker(source, repository.row.algorithm, core.options.limits, nullptr);
  auto set = std::make_shared<Roaring>();
  Roaring composed;  // bases whose chain was already added
  for (const store::NamedRef& ref : refs) {
    if (!ref.row.symref_target.empty() || store::is_hidden(repository.row, ref.name)) continue;
    ObjectNumber at = ref.row.number;
    bool stored = false;
    for (std::size_t steps = 0; at != kNoObject && steps <= kChainMax; ++steps) {
      if (composed.contains(at)) {
        stored = true;
        break;
      }
      VEXOR_TRY(const auto row, source.bitmap_row(at));
      if (!row) break;
      *set |= row->additions;
      composed.add(at);
      at = row->base;
      stored = at == kNoObject;
    }
    if (!stored) {
      VEXOR_TRY(walker.add(ref.row.number, *set));
    }
  }
  set->runOptimize();
  SetPtr out = std::move(set);
  core.sets.insert(key, out);
  return out;
}

}  // namespace vexor::pack
