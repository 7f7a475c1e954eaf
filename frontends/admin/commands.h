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
// sentence), "rows" (a table) or "fields". Errors: kInvalidArgument (unknown operation, missing or
// unknown key), and what the store says.
Result<json::object> run_command(Store& store, const json::object& request, const Actor& actor, const ProgressSink& progress);

// A user's own command line over SSH ("help", "repo create x", ...), as that account; the text to
// print. Errors: kInvalidArgument (with what to type instead), kRefused, kNotFound.
Result<std::string> run_user_command(Store& store, const AccountInfo& account, std::string_view line, const std::string& input);

// "main" is "refs/heads/main"; "HEAD" and full names are as they are.
std::string full_ref_name(const std::string& name);

// A table or list for people from an answer of run_command.
std::string render(const json::object& answer);

}  // namespace vexor::frontend
