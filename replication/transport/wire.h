// Between the types of the core and those of peer.proto. What comes from a peer is checked.
#pragma once

#include "peer.pb.h"
#include "replication/messages.h"
#include "vexorstore/result.h"

namespace vexor::replication {

void put_entry_id(peer::EntryId& to, const EntryId& id);
Result<EntryId> take_entry_id(const peer::EntryId& from);

peer::Envelope to_wire(const Message& message);
// Errors: kProtocol (malformed, or over a limit of replication/limits.h).
Result<Message> from_wire(const peer::Envelope& envelope);

}  // namespace vexor::replication
