// Members over gRPC with TLS on both sides: a connection in each direction for messages, and calls for rows.
//
// A member is who its certificate says: the name node-ID.vexor among its alternative names, signed by the CA of
// the set. Evidence of death (docs/protocol/replication.md, "Takeover"): both connections to a process ended, and
// its machine refuses a new one.
//
// Threads: two for each other member, and gRPC's. Spec: replication/transport/peer.proto.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "replication/host/replica_host.h"
#include "replication/transport/remote_session.h"
#include "vexorstore/purge.h"

namespace vexor::replication {

struct TransportOptions {
  NodeId self = 0;
  Incarnation incarnation = 0;
  std::string listen;  // HOST:PORT
  std::map<NodeId, std::string> peers;  // HOST:PORT; without self
  // Files in PEM; all empty: no TLS, and any caller is who it says (tests on loopback only).
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  std::uint64_t copy_bytes_per_second = 64U << 20U;  // that a copy of this member's store may take; not 0
  bool link_rows = true;                      // rows of large pushes go to another site as docs/format/link-rows.md has it
  std::uint64_t site_bytes_per_second = 0;    // that entries and rows of large pushes may take to another site; 0: any
};

class GrpcTransport final : public Transport {
 public:
  // Listens, and refuses everybody until serve(). Errors: kIo.
  static Result<std::unique_ptr<GrpcTransport>> start(const TransportOptions& options);
  ~GrpcTransport() override;

  // Puts a member's report into the journal, if this server takes changes (else kUnavailable).
  using TakePurgeReport = std::function<Result<void>(std::uint64_t request, const PurgeReport& report)>;
  // From now on messages go to the host. Call stop() before the host ends.
  void serve(ReplicaHost& host, OpenForwarded open, TakePurgeReport take_report = {}, RunForwarded run = {});
  // Ends all connections, and calls that are under way.
  void stop();
  int port() const;

  // A session at another member, for a client of this one. Must end before the transport. A push is ended, as if the
  // connection were lost, when `member` is not the primary any more. Errors: kUnavailable.
  Result<std::unique_ptr<protocol::Session>> forward(NodeId member, const ForwardedRequest& request);

  // Has the primary `to` run a command; waits for its end. Errors: kUnavailable (nothing was done), kIndeterminate (the connection was
  // lost, or it took too long: it may have been done), and those of the command.
  Result<std::string> run_command(NodeId to, const ForwardedCommand& command);

  // Has the primary `to` put this member's report into the journal. Errors: kUnavailable.
  Result<void> report_purge(NodeId to, std::uint64_t request, const PurgeReport& report);

  void send(NodeId to, const Message& message) override;
  Result<void> fetch_rows(NodeId from, Bytes record, RowsWriter& writer) override;
  std::unique_ptr<RowsCall> offer_rows(NodeId to, const RowsOffer& offer) override;
  void leader_changed(NodeId leader) override;
  // Null: no such member. Must end before the transport.
  std::unique_ptr<CopyPeer> copy_peer(NodeId from);

 private:
  GrpcTransport();
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace vexor::replication
