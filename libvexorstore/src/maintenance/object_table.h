// ObjectTable: the objects of a pool that a check looks at, in memory: ids to places, and who is a delta on whom.
//
// Memory: about 35 octets an object, 40 with SHA-256 ids more. Threads: one at a time.
#pragma once

#include <optional>
#include <vector>

#include "format/extent.h"

namespace vexor::maintenance {

class ObjectTable {
 public:
  using Place = std::uint32_t;  // 0, 1, ... in order of numbers

  explicit ObjectTable(HashAlgorithm algorithm);
  // Numbers must ascend.
  void add(format::ObjectNumber number, const format::ExtentObject& object);
  // After the last add(): from now on find() knows all of them.
  void close();

  std::uint32_t size() const { return static_cast<std::uint32_t>(numbers_.size()); }
  std::optional<Place> find(Bytes id_raw) const;
  format::ObjectNumber number(Place place) const { return numbers_[place]; }
  ObjectType type(Place place) const { return types_[place]; }
  bool is_delta(Place place) const { return bases_[place] != format::kNoObject; }
  Bytes id_raw(Place place) const { return Bytes(ids_).substr(place * id_bytes_, id_bytes_); }
  ObjectId id(Place place) const { return ObjectId::from_raw(algorithm_, id_raw(place)); }
  // Every place once: an object whose base is not in the table, then the deltas on it, depth first, so that
  // whoever reads in this order has the base of each delta at hand.
  std::vector<Place> family_order() const;

 private:
  std::size_t slot_of(Bytes id_raw) const;
  std::optional<Place> place_of(format::ObjectNumber number) const;

  HashAlgorithm algorithm_;
  std::size_t id_bytes_;
  std::uint64_t seed_;  // ids are a client's choice: their slots are not
  std::string ids_;
  std::vector<format::ObjectNumber> numbers_;
  std::vector<format::ObjectNumber> bases_;
  std::vector<ObjectType> types_;
  std::vector<Place> slots_;  // open addressing, at most half full
};

}  // namespace vexor::maintenance
