// Changes to repositories' rows, as the records of several operations make them.
#pragma once

#include "store/store_core.h"

namespace vexor::store {

// OWNER/NAME of letters, digits, '.', '_' and '-'. Errors: kInvalidArgument.
Result<void> check_repository_name(const std::string& name);
Change begin_change(format::OperationKind kind, const Actor& actor, RepositoryId repository, const std::string& subject);
void put_row(Change& change, sys::Family family, std::string key, std::string value);
// The repository's row must be what the caller read.
void expect_row(Change& change, const RepositoryRow& row);
// Replaces a repository's row if it is still what the caller read.
void replace_row(Change& change, const RepositoryRow& before, const RepositoryRow& after);
// The rows of a new repository, whose name must be free.
void new_rows(Change& change, const RepositoryRow& row);
// Takes a deletion back: the repository has the name it had, which must be free. Returns its row as it becomes.
RepositoryRow undelete(Change& change, const RepositoryRow& before);
// A conflict is told with the name. `told`: as of Committer::submit.
Result<Receipt> submit_named(StoreCore& core, Change change, const std::string& name, Receipt* told = nullptr);

// The most recently deleted repository of that name. Errors: kNotFound.
Result<RepositoryRow> find_deleted(const sys::StorageSnapshot& snapshot, const std::string& name);

}  // namespace vexor::store
