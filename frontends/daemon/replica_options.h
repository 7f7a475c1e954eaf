// What follows from the settings of a member of a replica set, for the parts of it.
#pragma once

#include "daemon/replica_settings.h"
#include "replication/transport/etcd_coordinator.h"
#include "replication/transport/grpc_transport.h"

namespace vexor::frontend {

replication::Options timers_of(const ReplicaSettings& settings);
replication::EtcdOptions etcd_of(const ReplicaSettings& settings);
// Errors: kInvalidArgument, without certificates for an address that is not loopback's.
Result<void> check_etcd(const replication::EtcdOptions& options);
// Of what this member shows to others: "members" and "etcd", with the Unix time in seconds when it ends. Errors: kInvalidArgument (a file that cannot be
// read, a key that is another one's).
Result<std::vector<std::pair<std::string, std::int64_t>>> certificate_ends(const ReplicaSettings& settings);
// With an incarnation drawn for it. Errors: kInvalidArgument.
Result<replication::TransportOptions> transport_of(const ReplicaSettings& settings);

}  // namespace vexor::frontend
