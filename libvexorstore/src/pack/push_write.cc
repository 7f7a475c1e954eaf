// Writing the rows of a push.
#include <algorithm>

#include "base/check.h"
#include "crypto/digest.h"
#include "pack/push.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr std::uint64_t kBulkPayloadBytes = 4U << 20U;  // larger pushes go through sorted files
constexpr std::size_t kBulkObjects = 4000;

// Rows of one family, to a file or to a batch.
class RowSink {
 public:
  RowSink(sys::Batch& batch, std::unique_ptr<sys::BulkWriter> bulk, Family family)
      : batch_(batch), bulk_(std::move(bulk)), family_(family) {}
  Result<void> put(Bytes key, Bytes value) {
    if (bulk_) return bulk_->put(key, value);
    batch_.put(family_, key, value);
    return success();
  }
  std::unique_ptr<sys::BulkWriter> take() { return std::move(bulk_); }

 private:
  sys::Batch& batch_;
  std::unique_ptr<sys::BulkWriter> bulk_;
  Family family_;
};

class ExtentWriter {
 public:
  ExtentWriter(PoolId pool, ObjectNumber first, RowSink& sink) : pool_(pool), next_(first), sink_(sink) {}

  Result<void> add(const format::ExtentObject& object, PackReceiver& receiver, std::uint32_t entry) {
    if (object.payload_bytes > format::kExtentChunkBytes) {
      VEXOR_TRY(flush());
      return add_large(object, receiver, entry);
    }
    if (payload_.size() + object.payload_bytes > format::kExtentTargetBytes || objects_.size() >= 1024) {
      VEXOR_TRY(flush());
    }
    VEXOR_TRY(const Bytes raw, receiver.payload(entry, 0, static_cast<std::size_t>(object.payload_bytes), room_));
    objects_.push_back(object);
    payload_.append(raw);
    return success();
  }

  Result<void> flush() {
    if (objects_.empty()) return success();
    std::string value = format::encode_extent_header(next_, objects_);
    value.append(payload_);
    VEXOR_TRY(sink_.put(format::extent_key(pool_, next_), value));
    next_ += static_cast<ObjectNumber>(objects_.size());
    objects_.clear();
    payload_.clear();
    return success();
  }

 private:
  Result<void> add_large(const format::ExtentObject& object, PackReceiver& receiver, std::uint32_t entry) {
    std::uint64_t done = 0;
    std::string value = format::encode_extent_header(next_, {object});
    for (std::uint32_t chunk = 0; done < object.payload_bytes; ++chunk) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(format::kExtentChunkBytes, object.payload_bytes - done));
      VEXOR_TRY(const Bytes raw, receiver.payload(entry, done, count, room_));
      value.append(raw);
      VEXOR_TRY(sink_.put(format::extent_key(pool_, next_, chunk), value));
      value.clear();
      done += count;
    }
    ++next_;
    return success();
  }

  PoolId pool_;
  ObjectNumber next_;
  RowSink& sink_;
  std::vector<format::ExtentObject> objects_;
  std::string payload_;
  std::string room_;
};

}  // namespace

Result<void> write_objects(store::StoreCore& core, const store::RepositorySnapshot& repository,
                           PackReceiver& receiver, PushSource& source, const ReachabilityWalker& walker, store::Change& change) {
  const auto& entries = receiver.entries();
  const auto& fresh = source.new_entries();
  const PoolId pool = repository.row.pool;
  const bool bulk = receiver.spool().size() > kBulkPayloadBytes || fresh.size() > kBulkObjects;
  if (!fresh.empty()) change.quarantine_row = format::encode_quarantine_row({repository.row.algorithm, static_cast<std::uint32_t>(fresh.size())});
  if (bulk && !fresh.empty()) {
    VEXOR_TRY(core.committer->put_quarantine(format::number_key(pool, source.first()), change.quarantine_row));
  }
  const auto sink = [&](Family family) -> Result<RowSink> {
    if (!bulk) return RowSink(change.rows, nullptr, family);
    VEXOR_TRY(auto writer, core.backend->bulk_writer(family));
    return RowSink(change.rows, std::move(writer), family);
  };

  VEXOR_TRY(RowSink extents, sink(Family::kExtents));
  ExtentWriter writer(pool, source.first(), extents);
  std::string shapes;
  std::string ids;
  for (const std::uint32_t index : fresh) {
    const PushEntry& entry = entries[index];
    format::ExtentObject object;
    object.type = entry.type;
    object.is_delta = entry.is_delta;
    object.id = entry.id;
    object.entry_bytes = entry.entry_bytes;
    object.object_bytes = entry.object_bytes;
    object.payload_bytes = entry.payload_bytes;
    object.depth = entry.depth;
    if (entry.is_delta) {
      object.base = entry.base_entry != kNoEntry ? source.numbers()[entry.base_entry] : entry.base_number;
      VEXOR_CHECK(object.base != kNoObject);
    }
    VEXOR_TRY(writer.add(object, receiver, index));
    shapes.push_back(static_cast<char>(format::object_shape(entry.type, entry.object_bytes)));
    ids.append(entry.id.raw());
  }
  VEXOR_TRY(writer.flush());

  VEXOR_TRY(RowSink index, sink(Family::kIndex));
  std::vector<std::uint32_t> sorted(fresh);
  std::sort(sorted.begin(), sorted.end(), [&](std::uint32_t a, std::uint32_t b) { return entries[a].id < entries[b].id; });
  for (const std::uint32_t entry : sorted) {
    const std::string key = format::index_key(pool, entries[entry].id);
    VEXOR_TRY(index.put(key, format::encode_index_row(source.numbers()[entry])));
    if (!bulk) change.preconditions.push_back({Family::kIndex, key, std::nullopt});
  }

  VEXOR_TRY(RowSink graph, sink(Family::kGraph));
  VEXOR_TRY(std::vector<ObjectNumber> commits, source.commits_parents_first());
  std::unordered_map<ObjectNumber, std::uint64_t> generations;
  for (const ObjectNumber commit : commits) {
    VEXOR_TRY(const GraphRow row, source.graph(commit));
    std::uint64_t generation = 1;
    for (const ObjectNumber parent : row.parents) {
      if (parent == kNoObject || !source.allowed(parent)) continue;  // what nobody may see may have no row
      const auto found = generations.find(parent);
      if (found != generations.end()) {
        generation = std::max(generation, found->second + 1);
      } else {
        VEXOR_TRY(const GraphRow stored, source.graph(parent));
        generation = std::max(generation, stored.generation + 1);
      }
    }
    generations.emplace(commit, generation);
  }
  std::sort(commits.begin(), commits.end());  // rows go in key order
  for (const ObjectNumber commit : commits) {
    VEXOR_TRY(GraphRow row, source.graph(commit));
    row.generation = generations[commit];
    row.additions = walker.additions_of(commit);
    if (!row.additions) {  // it was there and known to be whole: its row says more than this one
      VEXOR_TRY(const bool is_whole, source.has_whole_row(commit));
      if (is_whole) continue;
    }
    if (commit >= source.first() && commit - source.first() < fresh.size()) {
      VEXOR_TRY(graph.put(format::number_key(pool, commit), encode_graph_row(row)));
    } else {  // takes the place of a row that may be good enough for others, if this push is committed
      change.record.changes.push_back({Family::kGraph, format::number_key(pool, commit), encode_graph_row(row)});
    }
  }
  if (!shapes.empty()) change.rows.put(Family::kShapes, format::number_key(pool, source.first()), shapes);

  change.record.pool = pool;
  change.record.first_object = source.first();
  change.record.object_count = static_cast<std::uint32_t>(fresh.size());
  change.record.objects_digest = fresh.empty() ? std::string() : blake2b_256(ids);
  change.extends_index = !fresh.empty();
  if (bulk) {
    change.bulk.push_back(extents.take());
    change.bulk.push_back(index.take());
    change.bulk.push_back(graph.take());
  }
  return success();
}

}  // namespace vexor::pack
