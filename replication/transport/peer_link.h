// The connection to one other member: what is sent to it, and whether it lives.
//
// Threads: one writes, one reads; send() and the like from any. Limits: kQueueMax messages wait, later ones
// are dropped (they may be lost).
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
  PeerLink(std::shared_ptr<grpc::Channel> channel, std::string address, NodeId self, Dead dead, Sent sent);
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

  void run();
  void converse();
  void look_for_death();
  bool is_refused() const;
  bool wait(std::chrono::milliseconds time);  // false: ending

  std::unique_ptr<peer::Peer::Stub> stub_;
  std::string address_;
  NodeId self_;
  Dead dead_;
  Sent sent_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<peer::Envelope> queue_;         // guarded by mutex_
  bool ending_ = false;                      // guarded by mutex_
  bool is_broken_ = false;                   // guarded by mutex_; the connection that there is
  bool is_greeted_ = false;                  // guarded by mutex_; over the same
  int incoming_ = 0;                         // guarded by mutex_
  Incarnation incarnation_ = 0;              // guarded by mutex_; 0: not known
  grpc::ClientContext* context_ = nullptr;   // guarded by mutex_
  std::thread thread_;
};

}  // namespace vexor::replication
