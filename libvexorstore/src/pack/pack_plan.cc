#include "pack/pack_plan.h"

#include <algorithm>

#include "base/bytes_io.h"
#include "crypto/digest.h"

namespace vexor::pack {

namespace {

constexpr std::uint64_t kSparseFactor = 8;

std::vector<ObjectNumber> numbers_of(const Roaring& set) {
  std::vector<ObjectNumber> out(set.cardinality());
  set.toUint32Array(out.data());
  return out;
}

std::string serialized(const Roaring& set) {
  std::string out(set.getSizeInBytes(true), '\0');
  out.resize(set.write(out.data(), true));
  return out;
}

}  // namespace

EntryOffsets::EntryOffsets(const std::vector<ObjectNumber>& numbers) : numbers_(numbers) {
  if (numbers.empty()) return;
  first_ = numbers.front();
  const std::uint64_t span = std::uint64_t{numbers.back()} - first_ + 1;
  is_dense_ = span <= kSparseFactor * numbers.size();
  offsets_.assign(is_dense_ ? static_cast<std::size_t>(span) : numbers.size(), 0);
}

std::uint64_t EntryOffsets::find(ObjectNumber number) const {
  if (is_dense_) return number >= first_ && number - first_ < offsets_.size() ? offsets_[number - first_] : 0;
  const auto at = std::lower_bound(numbers_.begin(), numbers_.end(), number);
  return at != numbers_.end() && *at == number ? offsets_[static_cast<std::size_t>(at - numbers_.begin())] : 0;
}

PackPlan::PackPlan(std::string key_in, Roaring send_in, SetPtr have_in, PackOptions options_in)
    : key(std::move(key_in)), send(std::move(send_in)), have(std::move(have_in)), options(options_in), numbers(numbers_of(send)),
      offsets(numbers) {}

Result<std::string> make_pack_key(const sys::StorageSnapshot& snapshot, PoolId pool, const Roaring& send, const SetPtr& have,
                                  PackOptions options) {
  std::string key;
  put_u64be(key, pool);
  // A rewrite of the pool's payloads makes other bytes of the same sets.
  VEXOR_TRY(const format::PoolUpkeepRow upkeep, store::read_pool_upkeep(snapshot, pool));
  put_u64be(key, upkeep.rewrites);
  put_u8(key, options.ofs_delta ? 1 : 0);
  std::string sets;
  put_bytes(sets, serialized(send));
  if (have) put_bytes(sets, serialized(*have));
  return key + blake2b_256(sets);
}

}  // namespace vexor::pack
