#include "replication/transport/peer_link.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace vexor::replication {

namespace {

constexpr std::chrono::milliseconds kRetry{20};
constexpr int kRefusalTries = 50;  // times kRetry: how long the other direction may take to end
constexpr int kConnectMsMax = 200;
constexpr int kAddressesMax = 8;  // of a name with more of them there is no evidence

}  // namespace

PeerLink::PeerLink(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<grpc::Channel> large_channel, std::string address, NodeId self, Dead dead, Sent sent)
    : stub_(peer::Peer::NewStub(channel)), large_stub_(peer::Peer::NewStub(large_channel)), address_(std::move(address)), self_(self), dead_(std::move(dead)), sent_(std::move(sent)),
      thread_([this] { run(); }), large_thread_([this] { carry_large(); }) {}

PeerLink::~PeerLink() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (context_ != nullptr) context_->TryCancel();
    if (large_context_ != nullptr) large_context_->TryCancel();
    wake_.notify_all();
  }
  thread_.join();
  large_thread_.join();
}

void PeerLink::send(peer::Envelope envelope) {
  const bool has_entries = envelope.has_append() && envelope.append().entries_size() != 0;
  const std::size_t bytes = has_entries ? envelope.ByteSizeLong() : 0;
  const std::lock_guard lock(mutex_);
  if (context_ == nullptr) return;
  if (has_entries && (queue_bytes_ + bytes >= kLargeBytes || large_bytes_ > 0)) {  // heartbeats wait behind what is queued
    if (large_bytes_ > 0 && large_bytes_ + bytes > kLargeWaitingMax) return;
    large_bytes_ += bytes;
    large_.push_back(std::move(envelope));
  } else {
    if (queue_.size() >= kQueueMax) return;
    queue_bytes_ += bytes;
    queue_.push_back(std::move(envelope));
  }
  wake_.notify_all();
}

void PeerLink::incoming(int change) {
  const std::lock_guard lock(mutex_);
  incoming_ += change;
  wake_.notify_all();
}

bool PeerLink::is_connected() {
  const std::lock_guard lock(mutex_);
  return is_greeted_ && !is_broken_ && context_ != nullptr;
}

bool PeerLink::wait(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !wake_.wait_for(lock, time, [&] { return ending_; });
}

void PeerLink::run() {
  ::pthread_setname_np(::pthread_self(), "replica link");
  do {
    converse();
    look_for_death();
  } while (wait(kRetry));
}

void PeerLink::converse() {
  grpc::ClientContext context;
  context.AddMetadata("vexor-node", std::to_string(self_));
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    context_ = &context;
    is_broken_ = is_greeted_ = false;
    queue_.clear();
    queue_bytes_ = 0;
  }
  const auto stream = stub_->Deliver(&context);
  std::thread reader([&] {
    peer::Hello hello;
    while (stream->Read(&hello)) {
      const std::lock_guard lock(mutex_);
      incarnation_ = hello.incarnation();
      is_greeted_ = true;
    }
    const std::lock_guard lock(mutex_);
    is_broken_ = true;
    wake_.notify_all();
  });
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return ending_ || is_broken_ || !queue_.empty(); });
    if (ending_ || is_broken_) break;
    const peer::Envelope envelope = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    const bool written = stream->Write(envelope);
    const bool has_entries = envelope.has_append() && envelope.append().entries_size() != 0;
    const std::size_t bytes = has_entries ? envelope.ByteSizeLong() : 0;
    const auto until = has_entries ? sent_(bytes) : std::chrono::steady_clock::time_point{};
    lock.lock();
    queue_bytes_ -= bytes;
    if (!written || wake_.wait_until(lock, until, [&] { return ending_ || is_broken_; })) break;
  }
  context_ = nullptr;
  if (large_context_ != nullptr) large_context_->TryCancel();  // what is lost here is lost there, and would be found out later
  lock.unlock();
  context.TryCancel();
  reader.join();
  (void)stream->Finish();
}

void PeerLink::carry_large() {
  ::pthread_setname_np(::pthread_self(), "replica large");
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return ending_ || !large_.empty(); });
    if (ending_) return;
    converse_large(lock);
    large_.clear();
    large_bytes_ = 0;
    if (wake_.wait_for(lock, kRetry, [&] { return ending_; })) return;
  }
}

// Until nothing came for a while, or the connection breaks.
void PeerLink::converse_large(std::unique_lock<std::mutex>& lock) {
  grpc::ClientContext context;
  context.AddMetadata("vexor-node", std::to_string(self_));
  large_context_ = &context;
  lock.unlock();
  const auto stream = large_stub_->Deliver(&context);
  peer::Hello hello;
  bool goes_on = stream->Read(&hello);
  lock.lock();
  while (goes_on && wake_.wait_for(lock, kLargeIdle, [&] { return ending_ || !large_.empty(); }) && !ending_) {
    const peer::Envelope envelope = std::move(large_.front());
    large_.pop_front();
    const std::size_t bytes = envelope.ByteSizeLong();
    lock.unlock();
    goes_on = stream->Write(envelope);
    const auto until = goes_on ? sent_(bytes) : std::chrono::steady_clock::time_point{};
    lock.lock();
    wake_.wait_until(lock, until, [&] { return ending_ || context_ == nullptr; });
    large_bytes_ -= bytes;
  }
  large_context_ = nullptr;
  lock.unlock();
  if (!goes_on) context.TryCancel();
  stream->WritesDone();
  while (stream->Read(&hello)) {}
  (void)stream->Finish();
  lock.lock();
}

// The process that was there ended if its machine says that nobody listens and it holds no connection any more.
void PeerLink::look_for_death() {
  for (int tries = 0; tries < kRefusalTries; ++tries) {
    if (!is_refused()) return;
    Incarnation dead = 0;
    {
      const std::lock_guard lock(mutex_);
      if (ending_ || incarnation_ == 0) return;
      if (incoming_ == 0) dead = std::exchange(incarnation_, 0);
    }
    if (dead != 0) return dead_(dead);
    if (!wait(std::chrono::milliseconds(5))) return;
  }
}

namespace {

bool is_refused_at(const addrinfo& address) {
  const int fd = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  int error = ::connect(fd, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  pollfd poll{fd, POLLOUT, 0};
  if (error == EINPROGRESS && ::poll(&poll, 1, kConnectMsMax) == 1) {
    socklen_t size = sizeof error;
    ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  ::close(fd);
  return error == ECONNREFUSED;
}

}  // namespace

// By all addresses of the name: it may listen on one of them only.
bool PeerLink::is_refused() const {
  const std::size_t colon = address_.rfind(':');
  if (colon == std::string::npos) return false;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address_.substr(0, colon).c_str(), address_.substr(colon + 1).c_str(), &hints, &found) != 0) return false;
  bool refused = true;
  int looks = 0;
  for (const addrinfo* at = found; at != nullptr && refused; at = at->ai_next) refused = ++looks <= kAddressesMax && is_refused_at(*at);
  ::freeaddrinfo(found);
  return refused;
}

}  // namespace vexor::replication
