// Both ends of a forwarded session (remote_session.h).
#pragma once

#include <grpcpp/grpcpp.h>

#include "peer.grpc.pb.h"
#include "replication/transport/remote_session.h"

namespace vexor::replication {

// Runs a session for the member at the other end of the stream, until it is done or that one is gone.
grpc::Status run_forwarded(const OpenForwarded& open, grpc::ServerReaderWriter<peer::SessionOutput, peer::SessionInput>& stream);

// A session that runs at another member. `context` is cancelled when it is destroyed. Of a read, blocks until that member has
// said something, and returns its refusal. A member that cannot be reached shows itself in the session (kUnavailable).
Result<std::unique_ptr<protocol::Session>> make_remote_session(std::shared_ptr<grpc::ClientContext> context, peer::Peer::Stub& member,
                                                       const ForwardedRequest& request);

}  // namespace vexor::replication
