#include "common/login_limits.h"

#include <algorithm>

namespace vexor::frontend {

namespace {
constexpr std::int64_t kHalvingsMax = 31;  // leave nothing of any count
constexpr unsigned kDoublingsMax = 20;
}  // namespace

LoginLimits::Failures LoginLimits::decayed(Failures entry, std::int64_t now_ms) {
  const std::int64_t halvings = (now_ms - entry.halved_ms) / kHalfLifeMs;
  if (halvings <= 0) return entry;
  entry.count >>= static_cast<unsigned>(std::min(halvings, kHalvingsMax));
  entry.halved_ms += halvings * kHalfLifeMs;
  return entry;
}

bool LoginLimits::is_blocked(const std::string& key, std::int64_t now_ms) const {
  const auto found = failures_.find(key);
  return found != failures_.end() && found->second.until_ms > now_ms;
}

// Those that are forgotten by now; then those that nobody waits for.
void LoginLimits::make_room(std::int64_t now_ms) {
  std::erase_if(failures_, [now_ms](const auto& item) { return decayed(item.second, now_ms).count == 0 && item.second.until_ms <= now_ms; });
  if (failures_.size() < kTrackedMax) return;
  std::erase_if(failures_, [now_ms](const auto& item) { return item.second.until_ms <= now_ms; });
}

void LoginLimits::add_failure(const std::string& key, std::int64_t now_ms) {
  if (key.empty()) return;
  if (failures_.size() >= kTrackedMax) make_room(now_ms);
  if (failures_.size() >= kTrackedMax && !failures_.contains(key)) return;
  Failures& entry = failures_[key];
  entry = decayed(entry, now_ms);
  if (entry.count == 0) entry.halved_ms = now_ms;
  ++entry.count;
  if (entry.count <= kFreeFailures) return;
  const unsigned doublings = std::min(entry.count - kFreeFailures - 1, kDoublingsMax);
  entry.until_ms = now_ms + std::min(kBlockMsMax, kBlockMsFirst << doublings);
}

}  // namespace vexor::frontend
