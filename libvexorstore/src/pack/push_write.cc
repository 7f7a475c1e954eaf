// Writing the rows of a push.
#include <algorithm>

#include "base/check.h"
#include "crypto/digest.h"
#include "pack/push.h"
#include "pack/whole_payloads.h"

namespace vexor::pack {

using sys::Family;

namespace {

constexpr std::uint64_t kBulkPayloadBytes = 4U << 20U;  // larger pushes go through sorted files
constexpr std::size_t kBulkObjects = 4000;
constexpr std::uint64_t kWindowBytes = 256 * 1024;  // of the spool, read at once

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

  // With the entry's payload as it came.
  Result<void> add(const format::ExtentObject& object, const PackReceiver& receiver, std::uint32_t entry) {
    if (object.payload_bytes > format::kExtentChunkBytes) {
      return add_large(object, [&](std::uint64_t done, std::size_t count) { return receiver.payload(entry, done, count, room_); });
    }
    VEXOR_TRY(const Bytes raw, small_payload(receiver, entry));
    return add_small(object, raw);
  }

  Result<void> add(const format::ExtentObject& object, Bytes payload) {
    if (object.payload_bytes > format::kExtentChunkBytes) {
      return add_large(object, [&](std::uint64_t done, std::size_t count) -> Result<Bytes> { return payload.substr(static_cast<std::size_t>(done), count); });
    }
    return add_small(object, payload);
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
  // Payloads lie one behind the other: many are read at once.
  Result<Bytes> small_payload(const PackReceiver& receiver, std::uint32_t entry) {
    const PushEntry& e = receiver.entries()[entry];
    if (e.spool_offset < window_offset_ || e.spool_offset + e.payload_bytes > window_offset_ + window_.size()) {
      const std::uint64_t rest = receiver.spool().size() - e.spool_offset;
      const auto count = static_cast<std::size_t>(std::min(rest, std::max<std::uint64_t>(e.payload_bytes, kWindowBytes)));
      VEXOR_TRY(window_, receiver.spool().read(e.spool_offset, count, window_room_));
      window_offset_ = e.spool_offset;
    }
    return window_.substr(static_cast<std::size_t>(e.spool_offset - window_offset_), static_cast<std::size_t>(e.payload_bytes));
  }

  Result<void> add_small(const format::ExtentObject& object, Bytes payload) {
    if (payload_.size() + payload.size() > format::kExtentTargetBytes || objects_.size() >= 1024) {
      VEXOR_TRY(flush());
    }
    objects_.push_back(object);
    payload_.append(payload);
    return success();
  }

  // `payload(done, count)`: so many octets behind so many.
  template <class Payload>
  Result<void> add_large(const format::ExtentObject& object, Payload payload) {
    VEXOR_TRY(flush());
    std::uint64_t done = 0;
    std::string value = format::encode_extent_header(next_, {object});
    for (std::uint32_t chunk = 0; done < object.payload_bytes; ++chunk) {
      const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(format::kExtentChunkBytes, object.payload_bytes - done));
      VEXOR_TRY(const Bytes raw, payload(done, count));
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
  std::uint64_t window_offset_ = 0;
  Bytes window_;
  std::string window_room_;
};

Result<RowSink> make_sink(store::StoreCore& core, Family family, bool is_large, store::Change& change) {
  if (!is_large) return RowSink(change.rows, nullptr, family);
  VEXOR_TRY(auto writer, core.backend->bulk_writer(family));
  return RowSink(change.rows, std::move(writer), family);
}

format::ExtentObject extent_object(const PushEntry& entry, const PushSource& source) {
  format::ExtentObject object;
  object.type = entry.type;
  object.is_delta = entry.is_delta && !entry.stored_whole;
  object.id = entry.id;
  object.entry_bytes = entry.entry_bytes;
  object.object_bytes = entry.object_bytes;
  object.payload_bytes = entry.payload_bytes;
  object.depth = entry.depth;
  if (object.is_delta) {
    object.base = source.base_of(entry);
    VEXOR_CHECK(object.base != kNoObject);
  }
  return object;
}

}  // namespace

ObjectRows::ObjectRows(store::StoreCore& core, PoolId pool, PackReceiver& receiver, const PushSource& source)
    : core_(core), pool_(pool), receiver_(receiver), source_(source),
      is_large_(receiver.spool().size() + source.whole_bytes() > kBulkPayloadBytes || source.new_entries().size() > kBulkObjects) {}

Result<void> ObjectRows::write() {
  VEXOR_TRY(write_extents());
  return write_index();
}

Result<void> ObjectRows::write_extents() {
  VEXOR_TRY(RowSink sink, make_sink(core_, Family::kExtents, is_large_, part_));
  ExtentWriter writer(pool_, source_.first(), sink);
  std::optional<WholePayloads> whole;
  std::string shapes;
  std::string ids;
  for (const std::uint32_t index : source_.new_entries()) {
    const PushEntry& entry = receiver_.entries()[index];
    format::ExtentObject object = extent_object(entry, source_);
    if (entry.stored_whole) {
      if (!whole) whole.emplace(source_, receiver_);
      VEXOR_TRY(const std::string payload, whole->make(index));
      object.entry_bytes = entry.object_bytes;
      object.payload_bytes = payload.size();
      VEXOR_TRY(writer.add(object, payload));
    } else {
      VEXOR_TRY(writer.add(object, receiver_, index));
    }
    shapes.push_back(static_cast<char>(format::object_shape(entry.type, entry.object_bytes)));
    ids.append(entry.id.raw());
  }
  VEXOR_TRY(writer.flush());
  if (is_large_) part_.bulk.push_back(sink.take());
  if (!shapes.empty()) part_.rows.put(Family::kShapes, format::number_key(pool_, source_.first()), shapes);
  if (!ids.empty()) part_.record.objects_digest = blake2b_256(ids);
  return success();
}

Result<void> ObjectRows::write_index() {
  const auto& entries = receiver_.entries();
  VEXOR_TRY(RowSink sink, make_sink(core_, Family::kIndex, is_large_, part_));
  for (const std::uint32_t entry : receiver_.by_id()) {
    if (receiver_.first_of_id(entry) != entry || !source_.is_new(source_.numbers()[entry])) continue;
    const std::string key = format::index_key(pool_, entries[entry].id);
    VEXOR_TRY(sink.put(key, format::encode_index_row(source_.numbers()[entry])));
    if (!is_large_) part_.preconditions.push_back({Family::kIndex, key, std::nullopt});
  }
  if (is_large_) part_.bulk.push_back(sink.take());
  return success();
}

Result<void> ObjectRows::move_to(store::Change& change) {
  const auto count = static_cast<std::uint32_t>(source_.new_entries().size());
  if (count > 0) change.quarantine_row = format::encode_quarantine_row({receiver_.reader().algorithm(), count});
  if (count > 0 && is_large_) {
    VEXOR_TRY(core_.committer->put_quarantine(format::number_key(pool_, source_.first()), change.quarantine_row, change.reign));
  }
  change.record.pool = pool_;
  change.record.first_object = source_.first();
  change.record.object_count = count;
  change.record.objects_digest = std::move(part_.record.objects_digest);
  change.extends_index = count > 0;
  change.rows.append(std::move(part_.rows));
  std::move(part_.preconditions.begin(), part_.preconditions.end(), std::back_inserter(change.preconditions));
  std::move(part_.bulk.begin(), part_.bulk.end(), std::back_inserter(change.bulk));
  return success();
}

namespace {

using Generations = std::unordered_map<ObjectNumber, std::uint64_t>;
Result<Generations> find_generations(PushSource& source, const std::vector<ObjectNumber>& commits) {
  Generations out;
  for (const ObjectNumber commit : commits) {
    VEXOR_TRY(const GraphRow* row, source.pushed_graph(commit));
    std::uint64_t generation = 1;
    for (const ObjectNumber parent : row->parents) {
      if (parent == kNoObject || !source.allowed(parent)) continue;  // what nobody may see may have no row
      const auto found = out.find(parent);
      if (found != out.end()) {
        generation = std::max(generation, found->second + 1);
      } else {
        VEXOR_TRY(const GraphRow stored, source.graph(parent));
        generation = std::max(generation, stored.generation + 1);
      }
    }
    out.emplace(commit, generation);
  }
  return out;
}

}  // namespace

Result<void> write_graph(store::StoreCore& core, PoolId pool, PushSource& source, const ReachabilityWalker& walker,
                         std::vector<ObjectNumber> commits, const Roaring& reached, bool is_large, store::Change& change) {
  VEXOR_TRY(RowSink graph, make_sink(core, Family::kGraph, is_large, change));
  VEXOR_TRY(const Generations generations, find_generations(source, commits));
  std::sort(commits.begin(), commits.end());  // rows go in key order
  for (const ObjectNumber commit : commits) {
    VEXOR_TRY(GraphRow row, source.graph(commit));
    row.generation = generations.at(commit);
    row.additions = walker.additions_of(commit);
    if (!row.additions) {  // it was there and known to be whole: its row says more than this one
      VEXOR_TRY(const bool is_whole, source.has_whole_row(commit));
      if (is_whole) continue;
    }
    if (source.is_new(commit)) {
      VEXOR_TRY(graph.put(format::number_key(pool, commit), encode_graph_row(row)));
    } else if (reached.contains(commit)) {  // takes the place of a row that may be good enough for others, if this push is committed
      change.record.changes.push_back({Family::kGraph, format::number_key(pool, commit), encode_graph_row(row)});
    }
  }
  if (is_large) change.bulk.push_back(graph.take());
  return success();
}

}  // namespace vexor::pack
