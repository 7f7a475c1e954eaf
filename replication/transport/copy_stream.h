// Copies of a store between members: both ends (peer.proto, OpenCopy, ReadCopy, CloseCopy).
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>

#include "peer.grpc.pb.h"
#include "replication/transport/rows_stream.h"

namespace vexor::replication {

grpc::Status answer_open_copy(const WithHost& with_host, NodeId caller, const peer::CopyRequest& request, peer::CopyOffer& offer);
// At most `bytes_per_second` on the average.
grpc::Status answer_read_copy(const WithHost& with_host, NodeId caller, const peer::CopyRead& request, std::uint64_t bytes_per_second,
                              const grpc::ServerContext& context, grpc::ServerWriter<peer::CopyPiece>& writer);

// How long the other one may take, or it is taken for one that hangs.
struct CopyWaits {
  std::chrono::milliseconds piece{60'000};
  std::chrono::milliseconds first_piece{900'000};  // at most: it reads what is before the offset first, and is given time by how much that is
};

// `self`: this member. The stub must outlive it.
std::unique_ptr<CopyPeer> make_copy_peer(NodeId self, peer::Peer::Stub& member, const CopyWaits& waits = {});

}  // namespace vexor::replication
