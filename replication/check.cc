#include "replication/check.h"

#include <cstdio>
#include <cstdlib>

namespace vexor::replication {
namespace {

void print_and_abort(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, condition);
  std::abort();
}

CheckHandler handler_now = print_and_abort;

}  // namespace

void set_check_handler(CheckHandler handler) {
  handler_now = handler;
}

void check_failed(const char* file, int line, const char* condition) {
  handler_now(file, line, condition);
  std::abort();
}

}  // namespace vexor::replication
