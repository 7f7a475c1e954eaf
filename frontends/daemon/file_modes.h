// Modes of the files and directories of a server: whom the system lets in.
//
// Threads: one, before others are started: the umask is the process's.
#pragma once

#include "daemon/config.h"

namespace vexor::frontend {

// What the process makes from now on is for its own user only.
void close_new_files();

// Makes the data directory with what is missing above it. It is for the server's user, and others may pass through where sshd's
// user must reach the socket. Errors: kIo.
Result<void> make_data_directory(const ServerConfig& config);

// Closes to others what an earlier version or a copy may have left open: the store, scratch files, copies.
void close_data(const ServerConfig& config);

}  // namespace vexor::frontend
