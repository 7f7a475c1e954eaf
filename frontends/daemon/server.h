// A server as a process: the store, what the configuration asks for besides, signals and the end.
#pragma once

#include "daemon/config.h"

namespace vexor::frontend {

// Prints why and returns the exit code: 2 for what the operator wrote, else 1.
int fail(const char* program, const Error& error);

// Opens the store, prints the ready line, serves until SIGTERM or SIGINT. Returns the exit code.
int run_server(const ServerConfig& config, const char* program);

}  // namespace vexor::frontend
