// What a client brings to a member that cannot do it: run at another one, told here. Pushes go to the primary; reads,
// to a member whose store may be read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "vexorstore/protocol/session.h"
#include "vexorstore/result.h"

namespace vexor::replication {

struct ForwardedRequest {
  bool is_push = false;  // else a fetch or a listing of refs
  std::string repository;  // OWNER/NAME
  std::uint64_t account = 0;
  std::string account_name;
  std::string git_protocol;
  bool stateless = false;
  bool advertise_only = false;
  std::string session_id;
  // protocol::ReceivePackOptions::may_be_done_after
  std::optional<std::uint64_t> may_be_done_after{};
  // A read: not Git's, but the pack of what was forgotten since this journal sequence (vexorstore/recall.h). For an operator of that member.
  std::optional<std::uint64_t> recalls_at{};
};

// Opens what a member forwards. It is to check what the account may do, as for a client of its own, and not to
// forward it again. Any thread.
using OpenForwarded = std::function<Result<std::unique_ptr<protocol::Session>>(const ForwardedRequest&)>;

// A change that an operator or a user of another member asks for, in the frontends' own words.
struct ForwardedCommand {
  std::uint64_t account = 0;  // 0: an operator of that member
  std::string account_name;
  std::string text;
  std::string input;  // that came with it
};

// Runs it, and returns the answer; for a user, it is to check what the account may do. Any thread. Errors: kUnavailable (not the
// primary: nothing was done), and those of the command.
using RunForwarded = std::function<Result<std::string>(const ForwardedCommand&)>;

}  // namespace vexor::replication
