// The receipt of a change in the answer to who asked for it. Docs: docs/protocol/admin-socket.md.
#pragma once

#include <boost/json.hpp>

#include "vexorstore/receipt.h"

namespace vexor::frontend {

// Adds "receipt": its fields, and "text", as a push is told it. Nothing for a server of its own, nor where nothing was committed.
void add_receipt(boost::json::object& answer, const Receipt& receipt);
// The "text" of an answer's receipt; empty: it has none.
std::string receipt_text_of(const boost::json::object& answer);
// Whether it has one of a change that is made and on fewer servers than "copies = all" asks for.
bool has_short_receipt(const boost::json::object& answer);

}  // namespace vexor::frontend
