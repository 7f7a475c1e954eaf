// Copies of a store between members: both ends (peer.proto, OpenCopy, ReadCopy, CloseCopy).
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "peer.grpc.pb.h"
#include "replication/transport/rows_stream.h"

namespace vexor::replication {

grpc::Status answer_open_copy(const WithHost& with_host, NodeId caller, const peer::CopyRequest& request, peer::CopyOffer& offer);
// At most `bytes_per_second` on the average.
grpc::Status answer_read_copy(const WithHost& with_host, NodeId caller, const peer::CopyRead& request, std::uint64_t bytes_per_second,
                              const grpc::ServerContext& context, grpc::ServerWriter<peer::CopyPiece>& writer);

// `self`: this member. The stub must outlive it.
std::unique_ptr<CopyPeer> make_copy_peer(NodeId self, peer::Peer::Stub& member);

}  // namespace vexor::replication
