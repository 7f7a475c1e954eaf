// Administration: every operation that vexorctl, the admin socket and "ssh git@host" offer, as one
// function from a JSON request to a JSON answer. Requests: docs/operations/administer.md.
//
// Threads: any. All block.
#pragma once

#include <boost/json.hpp>

#include "vexorstore/maintenance.h"
#include "vexorstore/store.h"

namespace vexor::frontend {

namespace json = boost::json;

// `request`: {"op": "repo.create", "name": "a/b", ...}. The answer is an object with "message" (a
// sentence), "rows" (a table) or "fields"; that of a change in a replica set has its "receipt" too. Errors:
// kInvalidArgument (unknown operation, missing or unknown key), and what the store says.
Result<json::object> run_command(Store& store, const json::object& request, const Actor& actor, const ProgressSink& progress);

// Whether an operation changes the store's content: a member of a replica set has its primary do that. Purges, which ask for the server's own
// configuration, and what is each server's own (maintenance, checkpoints) are not among them.
bool is_forwarded_to_primary(std::string_view op);

// A user's own command line over SSH ("help", "repo create x", ...), as that account; the text to
// print. Errors: kInvalidArgument (with what to type instead), kRefused, kNotFound.
Result<std::string> run_user_command(Store& store, const AccountInfo& account, std::string_view line, const std::string& input);

// "main" is "refs/heads/main"; "HEAD" and full names are as they are.
std::string full_ref_name(const std::string& name);

// A table or list for people from an answer of run_command.
std::string render(const json::object& answer);

}  // namespace vexor::frontend
