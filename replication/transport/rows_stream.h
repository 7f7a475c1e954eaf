// Rows between members: pieces with checksums, and both ends of an offer (peer.proto, OfferRows).
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>

#include "peer.grpc.pb.h"
#include "replication/host/replica_host.h"
#include "replication/transport/pace.h"

namespace vexor::replication {

std::uint32_t checksum_of(const std::string& octets);  // CRC-32
// `as_link`: in the form of docs/format/link-rows.md, unless that is larger.
peer::RowsPiece to_wire(std::string rows, bool as_link);
// The log rows of a piece; `room` holds them if the piece has another form. Errors: kProtocol (changed on its way), kCorrupt.
Result<Bytes> rows_of(const peer::RowsPiece& piece, std::string& room);

// Runs its argument with the host, unless that is gone: then false.
using WithHost = std::function<bool(const std::function<void(ReplicaHost&)>&)>;
// Takes what member `from` offers, until that ends the call.
grpc::Status run_rows_offer(const WithHost& with_host, NodeId from, grpc::ServerReaderWriter<peer::RowsAnswer, peer::RowsInput>& stream);

struct RowsWay {
  bool as_link = false;  // if the other one takes it
  Pace* pace = nullptr;  // null: any
};
std::unique_ptr<RowsCall> make_rows_call(std::unique_ptr<grpc::ClientContext> context, peer::Peer::Stub& member, const RowsOffer& offer, const RowsWay& way);

}  // namespace vexor::replication
