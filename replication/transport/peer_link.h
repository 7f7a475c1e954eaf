// The connection to one other member: what is sent to it, and whether it lives.
//
// Two ways: heartbeats, answers and small entries go over the first; large entries, which may take a slow link longer than a member may be
// silent, over another connection, and as long as they do all entries, so that they stay in order.
//
// Threads: on the first way one writes, one reads; one carries what is large; send() and the like from any. Limits: kQueueMax messages wait, of
// large entries kLargeWaitingMax octets; later ones are dropped (they may be lost).
#pragma once

#include <grpcpp/grpcpp.h>

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "peer.grpc.pb.h"
#include "replication/messages.h"

namespace vexor::replication {

class PeerLink {
 public:
  using Dead = std::function<void(Incarnation)>;
  // So many octets of entries were sent: when may the next message go?
  using Sent = std::function<std::chrono::steady_clock::time_point(std::size_t)>;
  // `large_channel`: a connection of its own.
  PeerLink(std::shared_ptr<grpc::Channel> channel, std::shared_ptr<grpc::Channel> large_channel, std::string address, NodeId self, Dead dead, Sent sent);
  ~PeerLink();

  void send(peer::Envelope envelope);
  // The other one's connection to us came or ended.
  void incoming(int change);
  // The other one has answered over the connection that there is.
  bool is_connected();
  peer::Peer::Stub& stub() { return *stub_; }
  const std::string& address() const { return address_; }

 private:
  static constexpr std::size_t kQueueMax = 4096;
  static constexpr std::size_t kLargeBytes = 1U << 20U;        // of messages with entries that wait
  static constexpr std::size_t kLargeWaitingMax = 8U << 20U;   // but for one that is larger alone
  static constexpr std::chrono::seconds kLargeIdle{10};  // then its connection ends

  void run();
  void converse();
  void carry_large();
  void converse_large(std::unique_lock<std::mutex>& lock);
  void look_for_death();
  bool is_refused() const;
  bool wait(std::chrono::milliseconds time);  // false: ending

  std::unique_ptr<peer::Peer::Stub> stub_;
  std::unique_ptr<peer::Peer::Stub> large_stub_;
  std::string address_;
  NodeId self_;
  Dead dead_;
  Sent sent_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<peer::Envelope> queue_;         // guarded by mutex_
  std::size_t queue_bytes_ = 0;              // guarded by mutex_; of messages with entries in `queue_`, and of the one that is written
  std::deque<peer::Envelope> large_;         // guarded by mutex_
  std::size_t large_bytes_ = 0;              // guarded by mutex_; of `large_`, and of what is on its way
  bool ending_ = false;                      // guarded by mutex_
  bool is_broken_ = false;                   // guarded by mutex_; the connection that there is
  bool is_greeted_ = false;                  // guarded by mutex_; over the same
  int incoming_ = 0;                         // guarded by mutex_
  Incarnation incarnation_ = 0;              // guarded by mutex_; 0: not known
  grpc::ClientContext* context_ = nullptr;   // guarded by mutex_
  grpc::ClientContext* large_context_ = nullptr;  // guarded by mutex_
  std::thread thread_;
  std::thread large_thread_;
};

}  // namespace vexor::replication
