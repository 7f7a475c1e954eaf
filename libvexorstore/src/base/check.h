// VEXOR_CHECK: an invariant of our own, checked in production. Never on data from peer or disk.
#pragma once

#include <cstdio>
#include <cstdlib>

#define VEXOR_CHECK(condition)                                                                \
  do {                                                                                        \
    if (!(condition)) [[unlikely]] {                                                          \
      std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition);      \
      std::abort();                                                                           \
    }                                                                                         \
  } while (false)
