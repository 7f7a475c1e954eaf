// Looks through the rows of a store at rest for what cut-off pushes may have left behind, without the code
// that writes or sweeps them: every extent, graph row, bitmap and shape must lie in a number range that a
// journal record took over, every index row must name such a number, every ref an object in one, and the
// quarantine must be empty.
#pragma once

#include <cstdio>
#include <map>

#include "format/journal_record.h"
#include "format/state_rows.h"
#include "vexorstore/sys/storage_backend.h"

namespace vexor::test {

using sys::Family;

class Leftovers {
 public:
  explicit Leftovers(std::shared_ptr<const sys::StorageSnapshot> snapshot) : snapshot_(std::move(snapshot)) {}

  // Prints them, and returns how many there are.
  Result<unsigned> run() {
    VEXOR_TRY(read_journal());
    for (const Family family : {Family::kExtents, Family::kGraph, Family::kBitmaps, Family::kShapes}) {
      VEXOR_TRY(rows(family, [&](Bytes key, Bytes) -> Result<void> {
        VEXOR_TRY(const std::uint64_t pool, pool_of(key));
        VEXOR_TRY(const auto number, format::number_of_key(key));
        if (!taken_over(pool, number)) found(std::string(sys::family_name(family)) + " row of number " + std::to_string(number) + " that no record took over");
        return success();
      }));
    }
    VEXOR_TRY(rows(Family::kIndex, [&](Bytes key, Bytes value) -> Result<void> {
      VEXOR_TRY(const std::uint64_t pool, pool_of(key));
      ByteReader reader(value);
      VEXOR_TRY(const std::uint32_t number, reader.u32be());
      if (!taken_over(pool, number)) found("an index row names number " + std::to_string(number) + " that no record took over");
      return success();
    }));
    VEXOR_TRY(rows(Family::kQuarantine, [&](Bytes, Bytes) -> Result<void> {
      found("a row in quarantine");
      return success();
    }));
    return findings_;
  }

 private:
  static Result<std::uint64_t> pool_of(Bytes key) {
    ByteReader reader(key);
    return reader.u64be();
  }
  template <class Each>
  Result<void> rows(Family family, Each each) {
    const auto cursor = snapshot_->cursor(family);
    for (cursor->seek({}); cursor->valid(); cursor->next()) {
      VEXOR_TRY(each(cursor->key(), cursor->value()));
    }
    return cursor->status();
  }
  Result<void> read_journal() {
    std::uint64_t expected = 1;
    return rows(Family::kJournal, [&](Bytes, Bytes value) -> Result<void> {
      VEXOR_TRY(const auto record, format::decode_journal_record(value));
      if (record.sequence != expected) found("journal record " + std::to_string(record.sequence) + " where " + std::to_string(expected) + " was due");
      expected = record.sequence + 1;
      if (record.object_count == 0) return success();
      auto& pool = ranges_[record.pool];
      const auto after = pool.lower_bound(record.first_object);
      const std::uint64_t end = std::uint64_t{record.first_object} + record.object_count;
      const bool overlaps = (after != pool.end() && after->first < end) || (after != pool.begin() && std::prev(after)->second > record.first_object);
      if (overlaps) found("two records took over number " + std::to_string(record.first_object));
      pool.emplace(record.first_object, end);
      return success();
    });
  }
  bool taken_over(std::uint64_t pool, std::uint64_t number) const {
    const auto ranges = ranges_.find(pool);
    if (ranges == ranges_.end()) return false;
    const auto after = ranges->second.upper_bound(number);
    return after != ranges->second.begin() && std::prev(after)->second > number;
  }
  void found(const std::string& what) {
    if (++findings_ <= 20) std::printf("%s\n", what.c_str());
  }

  std::shared_ptr<const sys::StorageSnapshot> snapshot_;
  std::map<std::uint64_t, std::map<std::uint64_t, std::uint64_t>> ranges_;  // pool -> first number -> end
  unsigned findings_ = 0;
};

}  // namespace vexor::test
