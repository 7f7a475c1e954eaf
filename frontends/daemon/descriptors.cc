#include "daemon/descriptors.h"

#include <cerrno>
#include <limits>
#include <sys/resource.h>
#include <system_error>

namespace vexor::frontend {

DescriptorNeeds descriptor_needs(const ServerConfig& config) {
  DescriptorNeeds out;
  if (!config.https_listen.empty()) out.https = kDescriptorsOfGitConnection * config.https.connections_max;
  if (!config.ssh_listen.empty()) out.ssh = kDescriptorsOfGitConnection * config.ssh.connections_max;
  out.admin = kDescriptorsOfAdminConnection * config.admin.connections_max;
  if (!config.monitor_listen.empty()) out.monitor = config.monitor.connections_max;
  out.rocksdb = static_cast<std::uint64_t>(config.rocksdb.open_files_max);
  return out;
}

Result<void> check_descriptors(const DescriptorNeeds& needs, std::uint64_t limit) {
  if (needs.sum() <= limit) return success();
  const auto part = [](std::uint64_t count, const char* what) { return std::to_string(count) + what; };
  return Error(Errc::kInvalidArgument,
               "the configuration may need " + std::to_string(needs.sum()) + " file descriptors, and the hard limit of this process is " + std::to_string(limit) + ": " +
                   part(needs.https, " for https.connections_max, ") + part(needs.ssh, " for ssh.connections_max, ") + part(needs.admin, " for the admin socket, ") +
                   part(needs.monitor, " for the monitor, ") + part(needs.rocksdb, " for rocksdb.open_files_max, ") + part(needs.others, " for the rest") +
                   ". Raise the limit (LimitNOFILE= of a systemd unit, ulimit -Hn of a shell), or lower https.connections_max, ssh.connections_max or rocksdb.open_files_max");
}

Result<void> reserve_descriptors(const ServerConfig& config) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return Error(Errc::kIo, "cannot read the limit of file descriptors: " + std::generic_category().message(errno));
  const rlim_t needed = descriptor_needs(config).sum();
  const rlimit raised{needed, needed};
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < needed && setrlimit(RLIMIT_NOFILE, &raised) == 0) return success();  // root may
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return Error(Errc::kIo, "cannot raise the limit of file descriptors: " + std::generic_category().message(errno));
  const std::uint64_t hard = limit.rlim_max == RLIM_INFINITY ? std::numeric_limits<std::uint64_t>::max() : static_cast<std::uint64_t>(limit.rlim_max);
  return check_descriptors(descriptor_needs(config), hard);
}

}  // namespace vexor::frontend
