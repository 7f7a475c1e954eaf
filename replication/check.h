// VEXOR_CHECK: an invariant of our own, checked in production. Never on what a peer sent.
#pragma once

namespace vexor::replication {

// Called when a check fails; must not return. Prints and aborts, unless a test (the simulator, to
// name the seed) sets another at its start.
using CheckHandler = void (*)(const char* file, int line, const char* condition);
void set_check_handler(CheckHandler handler);
[[noreturn]] void check_failed(const char* file, int line, const char* condition);

}  // namespace vexor::replication

#define VEXOR_CHECK(condition)                                            \
  do {                                                                    \
    if (!(condition)) [[unlikely]]                                        \
      ::vexor::replication::check_failed(__FILE__, __LINE__, #condition); \
  } while (false)
