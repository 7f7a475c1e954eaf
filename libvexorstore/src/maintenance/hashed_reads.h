// HashedReads: reads objects whole and compares their hashes with their ids, many at once.
#pragma once

#include <functional>

#include "maintenance/object_table.h"
#include "pack/object_reader.h"

namespace vexor::maintenance {

// Threads: one at a time. Memory: 16 MiB of contents and what the reader holds.
class HashedReads {
 public:
  // Exactly one of the two is called for each object, some time after add(). `good`: the content is the
  // object's; empty for blobs, whose content nobody needs. `bad`: what is wrong; other errors than damage
  // end add() and flush().
  using Good = std::function<Result<void>(ObjectTable::Place, Bytes content)>;
  using Bad = std::function<void(ObjectTable::Place, const Error&)>;
  HashedReads(pack::ObjectReader& reader, const ObjectTable& table, Good good, Bad bad)
      : reader_(reader), table_(table), good_(std::move(good)), bad_(std::move(bad)) {}

  Result<void> add(ObjectTable::Place place);
  Result<void> flush();
  std::uint64_t bytes() const { return bytes_; }  // of contents read so far

 private:
  struct Waiting {
    ObjectTable::Place place;
    std::shared_ptr<const std::string> content;
  };
  Result<void> take(ObjectTable::Place place);
  Result<void> hash_stream(ObjectTable::Place place, std::uint64_t object_bytes);
  Result<void> tell(const Waiting& one, const ObjectId& hashed);
  Result<void> fail(ObjectTable::Place place, Error error);

  pack::ObjectReader& reader_;
  const ObjectTable& table_;
  Good good_;
  Bad bad_;
  std::vector<Waiting> waiting_;
  std::uint64_t waiting_bytes_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace vexor::maintenance
