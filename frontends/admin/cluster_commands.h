// vexorctl cluster: the record of a replica set, in etcd. Docs: docs/operations/replication.md.
#pragma once

#include <string>
#include <vector>

#include "vexorstore/result.h"

namespace vexor::frontend {

struct ClusterArguments {
  std::string etcd;  // HOST:PORT,...
  std::string etcd_key = "/vexorstore/replica-set";
  std::string etcd_ca_file, etcd_certificate_file, etcd_key_file;  // PEM; empty: no TLS, loopback only
  std::vector<std::string> members;  // ID=HOST:PORT[,off-site]
  std::string copies;  // empty: two, for promote as before
  std::uint64_t epoch = 0;
  std::uint64_t node = 0;
  bool json = false;  // of status: the record alone, with its version
  bool off_site = false;   // of promote: the off-site member, in place of `node`
  bool accept_loss = false;
  struct Certificates {
    std::string directory;
    std::vector<std::uint64_t> members;
    std::vector<std::string> servers;  // NAME=HOST[,HOST...]: of other servers, as etcd's
    unsigned days = 825;
    bool renew = false;  // those that are there, too; but not the authority
  };
  Certificates certificates;
  std::string monitor;     // HOST:PORT, of the member to be promoted: tells what may be lost
  bool no_report = false;  // it is not asked
};

// Each returns what to print. Errors: kInvalidArgument, kConflict (changed meanwhile: look again),
// kUnavailable (etcd does not answer; a change may have happened).
// The first member is the primary. `epoch`: 0, or, when the record of a set was lost, more than any member has promised.
Result<std::string> cluster_init(const ClusterArguments& args);
Result<std::string> cluster_status(const ClusterArguments& args);
Result<std::string> cluster_join(const ClusterArguments& args);
Result<std::string> cluster_remove(const ClusterArguments& args);
Result<std::string> cluster_handover(const ClusterArguments& args);
Result<std::string> cluster_copies(const ClusterArguments& args);
// "Promotion" of docs/protocol/replication.md. Requires accept_loss, and `monitor` or no_report. What the monitor says of what may be lost is told, also
// in the error without accept_loss.
Result<std::string> cluster_promote(const ClusterArguments& args);
// Asks nobody but the disk: writes an authority (ca.pem, ca.key) unless there is one, and what it signs: nodeN.pem and nodeN.key for
// each member, NAME.pem and NAME.key for each server. Files are for their owner only. Errors: kInvalidArgument, kIo.
Result<std::string> cluster_certs(const ClusterArguments& args);

}  // namespace vexor::frontend
