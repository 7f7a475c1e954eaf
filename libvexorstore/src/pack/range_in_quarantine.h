// What a large push writes before its record: goes again unless the push is committed, or may be. Threads: one.
#pragma once

#include "store/store_core.h"

namespace vexor::pack {

class RangeInQuarantine {
 public:
  RangeInQuarantine(store::StoreCore& core, std::uint64_t reign) : core_(core), reign_(reign) {}
  ~RangeInQuarantine() { drop(); }
  RangeInQuarantine(const RangeInQuarantine&) = delete;
  RangeInQuarantine& operator=(const RangeInQuarantine&) = delete;
  void begin(format::PoolId pool, format::ObjectNumber first, std::uint32_t count) {
    range_.pool = pool;
    range_.first_object = first;
    range_.object_count = count;
  }
  bool is_there() const { return range_.object_count > 0; }
  void keep() { range_.object_count = 0; }
  // What cannot be erased now is swept at the next start.
  void drop() {
    if (is_there()) (void)core_.committer->drop_staged(range_, reign_);
    keep();
  }
  // Why it was not committed: some errors are told before any index row went in, so that nobody has seen the range; after others it may be.
  void settle(const Error& why) {
    const Errc code = why.code();
    if (code == Errc::kConflict || code == Errc::kUnavailable || code == Errc::kLimitExceeded || code == Errc::kRefused) drop();
    else keep();
  }

 private:
  store::StoreCore& core_;
  std::uint64_t reign_;
  format::JournalRecord range_;
};

}  // namespace vexor::pack
