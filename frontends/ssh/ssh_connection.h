// One SSH connection, from key exchange to exit status. Blocks its thread; see ssh_server.h.
#pragma once

#include <atomic>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include "ssh/ssh_server.h"

namespace vexor::frontend {

struct SshConnectionContext {
  Service& service;
  const SshOptions& options;
  ssh_bind bind;
  std::atomic<bool>& stopping;
  std::atomic<unsigned>& unauthenticated;
};

// Takes the socket over.
void serve_ssh_connection(const SshConnectionContext& context, int socket, const std::string& address);

}  // namespace vexor::frontend
