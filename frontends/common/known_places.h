// From where accounts logged in of late: what strangers guess elsewhere does not lock these out.
//
// Threads: one at a time. Times are monotonic, in milliseconds. Memory: kPlacesMax entries of some 100 octets.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace vexor::frontend {

class KnownPlaces {
 public:
  static constexpr std::int64_t kKnownMs = 14LL * 24 * 60 * 60 * 1000;
  static constexpr std::size_t kPlacesMax = 100'000;  // more are not noted until some are forgotten

  // `tag`: of an account and an address. A password that was right came from there.
  void add(const std::string& tag, std::int64_t now_ms) {
    if (places_.size() >= kPlacesMax && !places_.contains(tag)) {
      if (now_ms < full_until_ms_) return;
      std::erase_if(places_, [now_ms](const auto& item) { return item.second <= now_ms; });
      full_until_ms_ = now_ms + kLookAgainMs;
      if (places_.size() >= kPlacesMax) return;
    }
    places_[tag] = now_ms + kKnownMs;
  }
  bool contains(const std::string& tag, std::int64_t now_ms) const {
    const auto found = places_.find(tag);
    return found != places_.end() && found->second > now_ms;
  }

 private:
  static constexpr std::int64_t kLookAgainMs = 60 * 1000;
  std::unordered_map<std::string, std::int64_t> places_;  // known until
  std::int64_t full_until_ms_ = 0;
};

}  // namespace vexor::frontend
