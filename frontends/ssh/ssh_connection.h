// One SSH connection, from key exchange to exit status. Blocks its thread; see ssh_server.h.
#pragma once

#include <atomic>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <utility>

#include "common/address_counts.h"
#include "ssh/ssh_server.h"

namespace vexor::frontend {

struct SshConnectionContext {
  Service& service;
  const SshOptions& options;
  ssh_bind bind;
  std::atomic<bool>& stopping;
};

// What a connection counts for until it has logged in. It moves, and lets go at the login or at the end.
class StrangerPlace {
 public:
  StrangerPlace(std::atomic<unsigned>& all, AddressCounts::Place place) : all_(&all), place_(std::move(place)) { all_->fetch_add(1); }
  StrangerPlace(StrangerPlace&& other) noexcept : all_(std::exchange(other.all_, nullptr)), place_(std::move(other.place_)) {}
  StrangerPlace& operator=(StrangerPlace&&) = delete;
  ~StrangerPlace() { leave(); }
  void leave() {
    if (all_ != nullptr) all_->fetch_sub(1);
    all_ = nullptr;
    const AddressCounts::Place gone = std::move(place_);
  }

 private:
  std::atomic<unsigned>* all_;
  AddressCounts::Place place_;
};

// Takes the socket over.
void serve_ssh_connection(const SshConnectionContext& context, int socket, const std::string& address, StrangerPlace place);

}  // namespace vexor::frontend
