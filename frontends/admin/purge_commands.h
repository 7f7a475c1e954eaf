// Purges by two persons, as the admin socket offers them: a person is an account, and shows its password.
#pragma once

#include <boost/json.hpp>
#include <functional>

#include "vexorstore/purge.h"

namespace vexor::frontend {

namespace json = boost::json;

struct PurgeCommandOptions {
  PurgePolicy policy;
  // Numbers of the servers that must be rid of it; empty: this is a server of its own. Blocks on nothing. May be null.
  std::function<std::vector<std::uint64_t>()> members;
};

// {"op": "purge.request", "name", "reason", "user", "password"}, "purge.approve" and "purge.close" with "request", "user",
// "password"; "purge.list"; "purge.certificate" with "request". Errors: kInvalidArgument, kRefused (the password), and what the
// store says.
Result<json::object> run_purge_command(Store& store, const PurgeCommandOptions& options, const json::object& request);

}  // namespace vexor::frontend
