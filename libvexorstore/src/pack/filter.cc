#include "pack/filter.h"

#include <charconv>
#include <unordered_set>

#include "base/hex.h"
#include "crypto/digest.h"
#include "format/object_parse.h"
#include "format/path_pattern.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr std::uint32_t kModeTree = 0040000;
constexpr std::uint32_t kModeGitlink = 0160000;
constexpr std::uint32_t kModeTypeMask = 0170000;
constexpr std::uint64_t kPendingPathBytesMax = 64U << 20U;  // of the trees that a sparse filter has still to visit
constexpr std::size_t kVisitBytes = 16;                     // of a digest: who finds two paths with one gets more objects

// git's size syntax: digits and an optional k, m or g.
std::optional<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t value = 0;
  const auto done = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = text.substr(static_cast<std::size_t>(done.ptr - text.data()));
  const char u = unit.size() == 1 ? static_cast<char>(unit[0] | 0x20) : '?';
  const unsigned shift = unit.empty() ? 0 : u == 'k' ? 10 : u == 'm' ? 20 : u == 'g' ? 30 : 64;
  if (done.ec != std::errc() || shift == 64 || value >> (63 - shift) != 0) return std::nullopt;
  return value << shift;
}

std::optional<std::string> url_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto done = std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16);
    if (done.ec != std::errc() || done.ptr != text.data() + i + 3) return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out;
}

Result<void> parse_into(std::string_view spec, const Limits& limits, unsigned nesting, Filter& out) {
  const auto invalid = [](const std::string& why) { return Error(Errc::kInvalidArgument, "invalid filter-spec: " + why); };
  if (out.size() >= limits.filter_terms_max || nesting > limits.filter_terms_max) {
    return Error(Errc::kLimitExceeded, "too many combined filters");
  }
  FilterTerm term;
  if (spec.starts_with("combine:")) {
    spec.remove_prefix(8);
    if (spec.empty()) return invalid("combine: needs filters");
    while (!spec.empty()) {
      const std::size_t plus = spec.find('+');
      const auto part = url_decode(spec.substr(0, plus));
      spec.remove_prefix(plus == std::string_view::npos ? spec.size() : plus + 1);
      if (!part || part->empty()) return invalid("a part of combine: is empty or badly encoded");
      VEXOR_TRY(parse_into(*part, limits, nesting + 1, out));
    }
    return success();
  }
  if (spec == "blob:none") {
    term.kind = FilterTerm::Kind::kBlobNone;
  } else if (spec.starts_with("blob:limit=")) {
    const auto size = parse_size(spec.substr(11));
    if (!size) return invalid("blob:limit needs a size");
    term.kind = FilterTerm::Kind::kBlobLimit;
    term.number = *size;
  } else if (spec.starts_with("tree:")) {
    const auto depth = parse_size(spec.substr(5));
    if (!depth) return invalid("tree needs a depth");
    term.kind = FilterTerm::Kind::kTreeDepth;
    term.number = *depth;
  } else if (spec.starts_with("object:type=")) {
    const auto type = parse_object_type(spec.substr(12));
    if (!type) return invalid("object:type needs commit, tree, blob or tag");
    term.kind = FilterTerm::Kind::kObjectType;
    term.object_type = *type;
  } else if (spec.starts_with("sparse:oid=")) {
    term.kind = FilterTerm::Kind::kSparse;
    term.blob = spec.substr(11);
  } else {
    return invalid("known are blob:none, blob:limit, tree, object:type, sparse:oid and combine");
  }
  out.push_back(std::move(term));
  return success();
}

// What a sparse filter saw and has still to visit. Paths are as many and as long as whoever pushed them chose, so what
// is held and what is done have limits.
class SparseVisits {
 public:
  struct Item {
    ObjectNumber tree;
    std::string path;
    bool matched;
  };
  SparseVisits(const Limits& limits, std::uint64_t pattern_bytes) : limits_(limits), pattern_bytes_(pattern_bytes) {}

  // A tree that was visited so already is passed over.
  Result<void> add(Item item) {
    std::string key = item.path;
    key.push_back(item.matched ? '\1' : '\0');
    put_u32be(key, item.tree);
    if (!seen_.insert(blake2b_256(key).substr(0, kVisitBytes)).second) return success();
    if (seen_.size() > limits_.filter_visits_max) return Error(Errc::kLimitExceeded, "the sparse filter visits too many trees");
    pending_bytes_ += item.path.size();
    if (pending_bytes_ > kPendingPathBytesMax) return Error(Errc::kLimitExceeded, "the sparse filter has too long paths to visit");
    pending_.push_back(std::move(item));
    return success();
  }
  std::optional<Item> next() {
    if (pending_.empty()) return std::nullopt;
    std::optional<Item> out(std::move(pending_.back()));
    pending_.pop_back();
    pending_bytes_ -= out->path.size();
    return out;
  }
  // Before the patterns are tried on a path of so many octets; 0: they are not, but an entry was looked at.
  Result<void> spend(std::uint64_t path_bytes) {
    if (path_bytes > limits_.filter_path_bytes_max) {
      return Error(Errc::kLimitExceeded, "path bytes of the sparse filter " + std::to_string(path_bytes) + " over " + std::to_string(limits_.filter_path_bytes_max));
    }
    work_ += pattern_bytes_ * path_bytes + 1;
    if (work_ > limits_.filter_work_max) return Error(Errc::kLimitExceeded, "the sparse filter tries its patterns on too many paths");
    return success();
  }

 private:
  const Limits& limits_;
  const std::uint64_t pattern_bytes_;
  std::unordered_set<std::string> seen_;  // digests of path, tree and whether the path matched
  std::vector<Item> pending_;
  std::uint64_t pending_bytes_ = 0;  // of their paths
  std::uint64_t work_ = 0;
};

class FilterRun {
 public:
  FilterRun(const store::RepositorySnapshot& repository, ObjectReader& reader, ObjectSource& source,
            const Roaring& visible, const Roaring& send)
      : repository_(repository), reader_(reader), source_(source), visible_(visible), send_(send) {}

  // Objects asked for by name, and what their tags lead to: these are sent whatever the filter says.
  Result<void> add_named(const std::vector<ObjectNumber>& wants) {
    for (ObjectNumber want : wants) {
      VEXOR_TRY(ObjectType type, source_.type(want));
      for (std::uint32_t steps = 0; type == ObjectType::kTag && steps < reader_.limits().tree_depth_max; ++steps) {
        named_.add(want);
        VEXOR_TRY(const auto content, source_.read(want));
        VEXOR_TRY(const format::TagView tag, format::parse_tag(*content, repository_.row.algorithm));
        VEXOR_TRY(const auto target, source_.find(tag.target));
        if (!target) return Error(Errc::kCorrupt, "a tag's target is missing");
        want = *target;
        VEXOR_TRY(type, source_.type(want));
      }
      named_.add(want);
      if (type == ObjectType::kTree) named_trees_.add(want);
    }
    return success();
  }
  const Roaring& named() const { return named_; }

  // What of `send` the term leaves out.
  Result<Roaring> dropped(const FilterTerm& term) {
    switch (term.kind) {
      case FilterTerm::Kind::kTreeDepth: return beyond_depth(term.number);
      case FilterTerm::Kind::kSparse: return outside_patterns(term.blob);
      default: return by_shape(term);
    }
  }

 private:
  // Calls f(number, shape) for every object of `send` from the pool's shape rows.
  template <class F>
  Result<void> each_shape(F&& f) {
    const std::string prefix = format::pool_key(reader_.pool());
    const auto cursor = reader_.snapshot()->cursor(Family::kShapes);
    for (cursor->seek(prefix); cursor->valid() && cursor->key().starts_with(prefix); cursor->next()) {
      VEXOR_TRY(const ObjectNumber first, format::number_of_key(cursor->key()));
      const Bytes shapes = cursor->value();
      for (std::size_t i = 0; i < shapes.size(); ++i) {
        const auto number = first + static_cast<ObjectNumber>(i);
        if (!send_.contains(number)) continue;
        VEXOR_TRY(f(number, octet(shapes, i)));
      }
    }
    return cursor->status();
  }

  Result<Roaring> by_shape(const FilterTerm& term) {
    Roaring out;
    const unsigned limit_class = format::shape_size_class(format::object_shape(ObjectType::kBlob, term.number));
    VEXOR_TRY(each_shape([&](ObjectNumber number, std::uint8_t shape) -> Result<void> {
      const ObjectType type = format::shape_type(shape);
      if (term.kind == FilterTerm::Kind::kObjectType) {
        if (type != term.object_type) out.add(number);
        return success();
      }
      if (type != ObjectType::kBlob) return success();
      bool drop = true;
      if (term.kind == FilterTerm::Kind::kBlobLimit) {
        const unsigned size_class = format::shape_size_class(shape);
        drop = size_class > limit_class;
        if (size_class == limit_class) {  // the class alone does not decide
          VEXOR_TRY(const StoredEntry entry, reader_.entry(number));
          drop = entry.object.object_bytes >= term.number;
        }
      }
      if (drop) out.add(number);
      return success();
    }));
    return out;
  }

  // The root trees of the commits to send.
  Result<void> each_root(const std::function<Result<void>(ObjectNumber)>& f) {
    Roaring commits;
    VEXOR_TRY(each_shape([&](ObjectNumber number, std::uint8_t shape) -> Result<void> {
      if (format::shape_type(shape) == ObjectType::kCommit) commits.add(number);
      return success();
    }));
    for (const ObjectNumber commit : commits) {
      VEXOR_TRY(const GraphRow row, source_.graph(commit));
      VEXOR_TRY(f(row.tree));
    }
    return success();
  }

  Result<Roaring> beyond_depth(std::uint64_t depth) {
    Roaring kept;
    Roaring level;
    if (depth > 0) {
      VEXOR_TRY(each_root([&](ObjectNumber tree) -> Result<void> {
        level.add(tree);
        return success();
      }));
      // A tree asked for by name is not counted: depths begin with its entries.
      for (const ObjectNumber tree : named_trees_) {
        VEXOR_TRY(each_entry(tree, [&](const format::TreeEntry& entry, ObjectNumber number) -> Result<void> {
          ((entry.mode & kModeTypeMask) == kModeTree ? level : kept).add(number);
          return success();
        }));
      }
    }
    // Level by level, so that every tree is read once, at its smallest depth.
    for (std::uint64_t at = 0; at < depth && !level.isEmpty(); ++at) {
      kept |= level;
      Roaring next;
      if (at + 1 < depth) {
        for (const ObjectNumber tree : level) {
          if (!send_.contains(tree)) continue;
          VEXOR_TRY(each_entry(tree, [&](const format::TreeEntry& entry, ObjectNumber number) -> Result<void> {
            if (kept.contains(number)) return success();
            if ((entry.mode & kModeTypeMask) == kModeTree) {
              next.add(number);
            } else {
              kept.add(number);
            }
            return success();
          }));
        }
      }
      next -= kept;
      level = std::move(next);
    }
    return trees_and_blobs_but(kept, true);
  }

  Result<Roaring> outside_patterns(const std::string& name) {
    VEXOR_TRY(const auto text, sparse_text(name));
    const auto patterns = format::PathPatterns::parse(*text, reader_.limits().filter_patterns_max);
    if (!patterns) return Error(Errc::kLimitExceeded, "too many patterns in the sparse blob");
    Roaring kept;
    SparseVisits visits(reader_.limits(), text->size());
    const auto walk = [&](ObjectNumber root) -> Result<void> {
      if (send_.contains(root)) {
        VEXOR_TRY(visits.add({root, {}, false}));
      }
      while (const auto item = visits.next()) {
        VEXOR_TRY(each_entry(item->tree, [&](const format::TreeEntry& entry, ObjectNumber number) -> Result<void> {
          const bool is_tree = (entry.mode & kModeTypeMask) == kModeTree;
          if (!is_tree && kept.contains(number)) return visits.spend(0);
          VEXOR_TRY(visits.spend(item->path.size() + 1 + entry.name.size()));
          std::string path = item->path.empty() ? std::string(entry.name) : item->path + "/" + std::string(entry.name);
          const bool matched = patterns->match(path, is_tree).value_or(item->matched);
          if (is_tree && send_.contains(number)) return visits.add({number, std::move(path), matched});
          if (!is_tree && matched) kept.add(number);
          return success();
        }));
      }
      return success();
    };
    VEXOR_TRY(each_root(walk));
    for (const ObjectNumber tree : named_trees_) {
      VEXOR_TRY(walk(tree));
    }
    return trees_and_blobs_but(kept, false);
  }

  Result<std::shared_ptr<const std::string>> sparse_text(const std::string& name) {
    const auto refused = [] { return Error(Errc::kInvalidArgument, "unable to access sparse blob"); };
    const HashAlgorithm algorithm = repository_.row.algorithm;
    ObjectNumber number = kNoObject;
    if (const std::size_t colon = name.find(':'); colon != std::string::npos) {
      VEXOR_TRY(const auto ref, store::find_ref_by_short_name(repository_, name.substr(0, colon)));
      if (!ref || store::is_hidden(repository_.row, ref->name)) return refused();
      number = ref->row.peeled ? ref->row.peeled_number : ref->row.number;
      VEXOR_TRY(const ObjectType type, source_.type(number));
      if (type == ObjectType::kCommit) {
        VEXOR_TRY(const GraphRow row, source_.graph(number));
        number = row.tree;
      }
      Bytes path = Bytes(name).substr(colon + 1);
      while (!path.empty()) {
        const std::size_t slash = path.find('/');
        const Bytes part = path.substr(0, slash);
        path.remove_prefix(slash == Bytes::npos ? path.size() : slash + 1);
        VEXOR_TRY(const ObjectType at, source_.type(number));
        if (at != ObjectType::kTree) return refused();
        ObjectNumber next = kNoObject;
        VEXOR_TRY(each_entry(number, [&](const format::TreeEntry& entry, ObjectNumber child) -> Result<void> {
          if (entry.name == part) next = child;
          return success();
        }));
        if (next == kNoObject) return refused();
        number = next;
      }
    } else {
      auto id = ObjectId::from_hex(algorithm, name);
      if (id.has_error()) return refused();
      VEXOR_TRY(const auto found, reader_.find(id.value()));
      if (!found || !visible_.contains(*found)) return refused();
      number = *found;
    }
    VEXOR_TRY(const StoredEntry entry, reader_.entry(number));
    if (entry.object.type != ObjectType::kBlob) return refused();
    if (entry.object.object_bytes > reader_.limits().filter_pattern_bytes_max) return Error(Errc::kLimitExceeded, "the sparse blob is too large");
    return source_.read(number);
  }

  template <class F>
  Result<void> each_entry(ObjectNumber tree, F&& f) {
    VEXOR_TRY(const auto content, source_.read(tree));
    format::TreeReader entries(*content, repository_.row.algorithm);
    format::TreeEntry entry;
    for (;;) {
      VEXOR_TRY(const bool more, entries.next(entry));
      if (!more) return success();
      if ((entry.mode & kModeTypeMask) == kModeGitlink) continue;
      VEXOR_TRY(const auto number, source_.find(ObjectId::from_raw(repository_.row.algorithm, entry.id_raw)));
      if (!number) return Error(Errc::kCorrupt, "an entry of a tree is missing");
      VEXOR_TRY(f(entry, *number));
    }
  }

  Result<Roaring> trees_and_blobs_but(const Roaring& kept, bool trees_too) {
    Roaring out;
    VEXOR_TRY(each_shape([&](ObjectNumber number, std::uint8_t shape) -> Result<void> {
      const ObjectType type = format::shape_type(shape);
      if (type == ObjectType::kBlob || (trees_too && type == ObjectType::kTree)) out.add(number);
      return success();
    }));
    out -= kept;
    return out;
  }

  const store::RepositorySnapshot& repository_;
  ObjectReader& reader_;
  ObjectSource& source_;
  const Roaring& visible_;
  const Roaring& send_;
  Roaring named_;
  Roaring named_trees_;
};

}  // namespace

Result<Filter> parse_filter(std::string_view spec, const Limits& limits) {
  Filter out;
  VEXOR_TRY(parse_into(spec, limits, 0, out));
  return out;
}

Result<void> apply_filter(const store::RepositorySnapshot& repository, ObjectReader& reader, ObjectSource& source,
                          const Roaring& visible, const Filter& filter, const std::vector<ObjectNumber>& wants,
                          Roaring& send) {
  if (filter.empty()) return success();
  Roaring dropped;
  FilterRun run(repository, reader, source, visible, send);
  VEXOR_TRY(run.add_named(wants));
  for (const FilterTerm& term : filter) {
    VEXOR_TRY(const Roaring more, run.dropped(term));
    dropped |= more;
  }
  dropped -= run.named();
  send -= dropped;
  for (const ObjectNumber want : wants) send.add(want);
  return success();
}

}  // namespace vexor::pack
