// Open connections by client address. Any thread.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace vexor::frontend {

class AddressCounts {
 public:
  // Holds one place of an address while it lives.
  class Place {
   public:
    Place() = default;
    Place(AddressCounts* counts, std::string address) : counts_(counts), address_(std::move(address)) {}
    Place(Place&& other) noexcept : counts_(std::exchange(other.counts_, nullptr)), address_(std::move(other.address_)) {}
    Place& operator=(Place&& other) noexcept {
      std::swap(counts_, other.counts_);
      std::swap(address_, other.address_);
      return *this;
    }
    ~Place() {
      if (counts_ != nullptr) counts_->leave(address_);
    }
    explicit operator bool() const { return counts_ != nullptr; }

   private:
    AddressCounts* counts_ = nullptr;
    std::string address_;
  };

  // An empty place when `max` connections of the address are open already. `*this` must outlive it.
  Place enter(const std::string& address, unsigned max) {
    const std::lock_guard lock(mutex_);
    unsigned& open = open_[address];
    if (open >= max) return {};
    ++open;
    return {this, address};
  }

 private:
  void leave(const std::string& address) {
    const std::lock_guard lock(mutex_);
    const auto found = open_.find(address);
    if (found != open_.end() && --found->second == 0) open_.erase(found);
  }
  std::mutex mutex_;
  std::unordered_map<std::string, unsigned> open_;  // guarded by mutex_
};

}  // namespace vexor::frontend
