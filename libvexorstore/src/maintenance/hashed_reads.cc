#include "maintenance/hashed_reads.h"

#include "crypto/object_hasher.h"

namespace vexor::maintenance {

namespace {

constexpr std::size_t kBatchObjects = 256;
constexpr std::uint64_t kBatchBytes = 8U << 20U;
constexpr std::uint64_t kStreamBytes = 8U << 20U;  // of a whole blob that is read in pieces

}  // namespace

// What stored octets can cause is a finding; a disk that does not answer is not.
Result<void> HashedReads::fail(ObjectTable::Place place, Error error) {
  if (error.code() == Errc::kIo || error.code() == Errc::kUnavailable) return error;
  bad_(place, error);
  return success();
}

Result<void> HashedReads::add(ObjectTable::Place place) {
  if (auto taken = take(place); taken.has_error()) return fail(place, std::move(taken).error());
  if (waiting_.size() >= kBatchObjects || waiting_bytes_ >= kBatchBytes) return flush();
  return success();
}

Result<void> HashedReads::take(ObjectTable::Place place) {
  VEXOR_TRY(const pack::StoredEntry entry, reader_.entry(table_.number(place)));
  const format::ExtentObject& object = entry.object;
  bytes_ += object.object_bytes;
  const bool is_blob = object.type == ObjectType::kBlob;
  if (is_blob && !object.is_delta && object.object_bytes > kStreamBytes) {
    return hash_stream(place, object.object_bytes);
  }
  VEXOR_TRY(auto content, reader_.read(table_.number(place)));
  waiting_bytes_ += content->size();
  waiting_.push_back({place, std::move(content)});
  return success();
}

Result<void> HashedReads::hash_stream(ObjectTable::Place place, std::uint64_t object_bytes) {
  VEXOR_TRY(auto hasher, ObjectHasher::begin(table_.id(place).algorithm(), table_.type(place),
                                             object_bytes));
  VEXOR_TRY(reader_.stream(table_.number(place),
                           [&](Bytes piece) { return hasher->update(piece); }));
  VEXOR_TRY(const ObjectId hashed, hasher->finish());
  return tell({place, std::make_shared<const std::string>()}, hashed);
}

Result<void> HashedReads::tell(const Waiting& one, const ObjectId& hashed) {
  if (hashed.raw() == table_.id_raw(one.place)) {
    const bool is_blob = table_.type(one.place) == ObjectType::kBlob;
    return good_(one.place, is_blob ? Bytes() : Bytes(*one.content));
  }
  bad_(one.place, Error(Errc::kCorrupt, "its bytes hash to something else"));
  return success();
}

Result<void> HashedReads::flush() {
  const auto batch = std::exchange(waiting_, {});
  waiting_bytes_ = 0;
  if (batch.empty()) return success();
  std::vector<HashRequest> requests;
  for (const Waiting& one : batch) requests.push_back({table_.type(one.place), *one.content, {}});
  const HashAlgorithm algorithm = table_.id(batch.front().place).algorithm();
  const bool all = hash_objects(algorithm, requests).has_value();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (!all) {  // one of them is an attack: which?
      auto alone = hash_object(algorithm, requests[i].type, requests[i].content);
      if (alone.has_error()) {
        VEXOR_TRY(fail(batch[i].place, std::move(alone).error()));
        continue;
      }
      requests[i].id = alone.value();
    }
    VEXOR_TRY(tell(batch[i], requests[i].id));
  }
  return success();
}

}  // namespace vexor::maintenance
