// File descriptors: how many a configuration may need, and room for them. One that is missing would fail a push or RocksDB's
// writing of a file in the middle of the day.
#pragma once

#include "daemon/config.h"

namespace vexor::frontend {

constexpr std::uint64_t kDescriptorsOfGitConnection = 2;    // the socket, and the file of a large push
constexpr std::uint64_t kDescriptorsOfAdminConnection = 5;  // besides those, the three that a client passes
constexpr std::uint64_t kOtherDescriptors = 1024;           // listeners, links to members and etcd, RocksDB's logs, copies

struct DescriptorNeeds {
  std::uint64_t https = 0;
  std::uint64_t ssh = 0;
  std::uint64_t admin = 0;
  std::uint64_t monitor = 0;
  std::uint64_t rocksdb = 0;
  std::uint64_t others = kOtherDescriptors;
  std::uint64_t sum() const { return https + ssh + admin + monitor + rocksdb + others; }
};

// Of servers that do not listen, nothing.
DescriptorNeeds descriptor_needs(const ServerConfig& config);

// Whether `limit` descriptors are enough. Errors: kInvalidArgument (with the sum, and what to change).
Result<void> check_descriptors(const DescriptorNeeds& needs, std::uint64_t limit);

// Raises the process's soft limit to the hard one, and that, if it is too low and the process may, and checks it. Errors: kInvalidArgument, kIo.
Result<void> reserve_descriptors(const ServerConfig& config);

}  // namespace vexor::frontend
