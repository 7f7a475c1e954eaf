// Rows between members: pieces with checksums, and both ends of an offer (peer.proto, OfferRows).
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>

#include "peer.grpc.pb.h"
#include "replication/host/replica_host.h"

namespace vexor::replication {

std::uint32_t checksum_of(const std::string& octets);  // CRC-32
peer::RowsPiece to_wire(std::string rows);
// Whether the piece is as it was sent.
bool is_intact(const peer::RowsPiece& piece);

// Runs its argument with the host, unless that is gone: then false.
using WithHost = std::function<bool(const std::function<void(ReplicaHost&)>&)>;
// Takes what another member offers, until that ends the call.
grpc::Status run_rows_offer(const WithHost& with_host, grpc::ServerReaderWriter<peer::RowsAnswer, peer::RowsInput>& stream);

std::unique_ptr<RowsCall> make_rows_call(std::unique_ptr<grpc::ClientContext> context, peer::Peer::Stub& member, const RowsOffer& offer);

}  // namespace vexor::replication
