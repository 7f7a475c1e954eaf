#include "maintenance/object_table.h"

#include <algorithm>
#include <bit>

#include "vexorstore/sys/random.h"

namespace vexor::maintenance {

namespace {

constexpr ObjectTable::Place kFree = 0xFFFFFFFFU;

std::uint64_t number_in(Bytes bytes) {
  ByteReader reader(bytes);
  return reader.u64be().value();  // there are as many
}

}  // namespace

ObjectTable::ObjectTable(HashAlgorithm algorithm)
    : algorithm_(algorithm),
      id_bytes_(hash_bytes(algorithm)),
      seed_(number_in(sys::random_bytes(sizeof seed_))) {}

void ObjectTable::add(format::ObjectNumber number, const format::ExtentObject& object) {
  ids_.append(object.id.raw());
  numbers_.push_back(number);
  bases_.push_back(object.is_delta ? object.base : format::kNoObject);
  types_.push_back(object.type);
}

std::size_t ObjectTable::slot_of(Bytes id_raw) const {
  const std::uint64_t mixed = (number_in(id_raw) ^ seed_) * (seed_ | 1U);
  return (mixed >> 32U ^ mixed) & (slots_.size() - 1);
}

void ObjectTable::close() {
  slots_.assign(std::bit_ceil(std::size_t{size()} * 2 + 1), kFree);
  for (Place place = 0; place < size(); ++place) {
    std::size_t slot = slot_of(id_raw(place));
    while (slots_[slot] != kFree) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = place;
  }
}

std::optional<ObjectTable::Place> ObjectTable::find(Bytes id_raw) const {
  for (std::size_t slot = slot_of(id_raw); slots_[slot] != kFree;
       slot = (slot + 1) & (slots_.size() - 1)) {
    if (this->id_raw(slots_[slot]) == id_raw) return slots_[slot];
  }
  return std::nullopt;
}

std::optional<ObjectTable::Place> ObjectTable::place_of(format::ObjectNumber number) const {
  const auto found = std::lower_bound(numbers_.begin(), numbers_.end(), number);
  if (found == numbers_.end() || *found != number) return std::nullopt;
  return static_cast<Place>(found - numbers_.begin());
}

std::vector<ObjectTable::Place> ObjectTable::family_order() const {
  std::vector<Place> base_of(size(), kFree);
  std::vector<std::uint32_t> starts(std::size_t{size()} + 2, 0);  // of each one's children, one on
  for (Place place = 0; place < size(); ++place) {
    if (!is_delta(place)) continue;
    base_of[place] = place_of(bases_[place]).value_or(kFree);
    if (base_of[place] != kFree) ++starts[base_of[place] + 2];
  }
  for (std::size_t i = 1; i < starts.size(); ++i) starts[i] += starts[i - 1];
  std::vector<Place> children(starts.back());
  for (Place place = 0; place < size(); ++place) {
    if (base_of[place] != kFree) children[starts[base_of[place] + 1]++] = place;
  }
  std::vector<Place> out;
  std::vector<Place> open;
  std::vector<bool> is_listed(size(), false);
  const auto walk = [&](Place root) {
    for (open.push_back(root); !open.empty();) {
      const Place at = open.back();
      open.pop_back();
      if (is_listed[at]) continue;
      is_listed[at] = true;
      out.push_back(at);
      for (std::uint32_t i = starts[at + 1]; i > starts[at]; --i) open.push_back(children[i - 1]);
    }
  };
  for (Place place = 0; place < size(); ++place) {
    if (base_of[place] == kFree) walk(place);
  }
  for (Place place = 0; place < size(); ++place) walk(place);  // rings, which only damage makes
  return out;
}

}  // namespace vexor::maintenance
