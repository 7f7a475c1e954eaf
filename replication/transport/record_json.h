// The coordination record as the coordinator keeps it: JSON, so that operators can read it there.
#pragma once

#include "replication/record.h"
#include "vexorstore/result.h"

namespace vexor::replication {

std::string to_json(const Record& record);
// Errors: kCorrupt.
Result<Record> record_from_json(const std::string& json);

}  // namespace vexor::replication
