// Pushes that a client brings to a member that is not the primary: run there, told here.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "vexorstore/protocol/session.h"
#include "vexorstore/result.h"

namespace vexor::replication {

struct ForwardedPush {
  std::string repository;  // OWNER/NAME
  std::uint64_t account = 0;
  std::string account_name;
  std::string git_protocol;
  bool stateless = false;
  bool advertise_only = false;
  std::string session_id;
};

// Opens what a member forwards. It is to check what the account may do, as for a client of its own, and not to
// forward it again. Any thread.
using OpenForwarded = std::function<Result<std::unique_ptr<protocol::Session>>(const ForwardedPush&)>;

}  // namespace vexor::replication
