// InFlight: things under way that others may join, by what names them. Holds none of them alive.
//
// Threads: any.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace vexor::store {

template <class T>
class InFlight {
 public:
  // The one that goes by `key`, or what `make` makes. `make` must not come back here.
  std::shared_ptr<T> join(const std::string& key, const std::function<std::shared_ptr<T>()>& make) {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[key];
    if (auto found = entry.weak.lock()) return found;
    auto made = make();
    entry = {made, made.get()};
    return made;
  }
  // Nobody joins `which` any more. Its destructor calls this at the latest.
  void forget(const std::string& key, const T* which) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end() && found->second.which == which) entries_.erase(found);
  }

 private:
  struct Entry {
    std::weak_ptr<T> weak;
    const T* which = nullptr;
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace vexor::store
