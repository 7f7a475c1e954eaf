// History: what refs were at an earlier moment, and putting them back.
//
// The journal and the reflog keep every value that a ref ever had; objects stay as the retention says
// (docs/operations/retention.md). Threads: any. All block on storage.
#pragma once

#include <string_view>

#include "vexorstore/store.h"

namespace vexor {

// A point in the life of a store: behind journal record `sequence`, before the next.
struct Moment {
  JournalSequence sequence = 0;
  std::int64_t time_ms = 0;  // of that record; Unix time
};

// Reads what a person writes: RFC 3339 ("2026-11-27T00:25:00Z"), seconds since 1970 (100000000 and more), a journal
// sequence (below that, or "seq:N"). A time stands for the last record that is not younger; a time to come for the last
// record. Where the wall clock went back, a record that is not younger and followed by a younger one is found, maybe not
// the last of these. Errors: kInvalidArgument (none of these, or a sequence that is not there yet), kNotFound (before the
// first record).
Result<Moment> find_moment(Store& store, std::string_view text);

// A journal record, as a person reads it.
struct JournalEntry {
  JournalSequence sequence = 0;
  std::int64_t time_ms = 0;       // Unix time
  std::string actor;              // account; empty: the operator, or the record was purged
  std::string operation;          // "ref-transaction", "repository-create", ...
  std::string repository;         // its name of now; empty: none, or it was purged
  std::string subject;            // what the record says of itself
  std::uint64_t new_objects = 0;
  struct RefMove {
    std::string name;
    ObjectId old_id, new_id;      // null: there was no such ref, or it is symbolic
  };
  std::uint64_t ref_count = 0;
  std::vector<RefMove> refs;      // the first kJournalEntryRefsMax of them; empty of what was purged
};
constexpr std::size_t kJournalEntryRefsMax = 20;
// Records behind `after`, in order, at most `max`; also those of a member that it has not applied yet. Errors: kCorrupt.
Result<std::vector<JournalEntry>> read_journal(Store& store, JournalSequence after, std::size_t max);
// When one of them was made, Unix time in milliseconds; nullopt: there is none.
Result<std::optional<std::int64_t>> journal_time(Store& store, JournalSequence sequence);

// Whether the repository had been made by then.
Result<bool> existed_at(Store& store, RepositoryId repository, JournalSequence sequence);

struct RestoreOutcome {
  RepositoryInfo repository;         // as it is now
  JournalSequence sequence = 0;      // of the record that did it; 0: nothing had to change
  Receipt receipt;                   // of that record
  std::uint64_t changed_refs = 0;
};

// Sets all refs of a repository, HEAD and hidden ones included, to what they were at the moment, in one record. The
// repository of that name, or the most recently deleted one, which comes back. `new_name` not empty: a new private
// repository of that name in the same pool gets the refs, with the settings of the source but for grants, protection and
// visibility, and the source stays as it is. Objects are checked first: nothing is restored half.
// Errors: kNotFound (no such repository; it did not exist then; objects of then are past the retention), kConflict (the
// name is taken; pushes went on in between), and those of a commit.
Result<RestoreOutcome> restore_repository_at(Store& store, const std::string& name, JournalSequence sequence,
                                             const std::string& new_name, const Actor& actor);

struct UndoOutcome {
  ObjectId from, to;  // null: there was no such ref; for symrefs too
  JournalSequence sequence = 0;
  Receipt receipt;  // of that record
};
// Puts a ref back to what it was before its last update: a push, a forced one, a deletion, another undo. `ref`: its full
// name. Protection does not count: owners may. Errors: kNotFound (no such ref ever, or objects past the retention),
// kRefused (its last update made it), kConflict (the name is in the way of another ref's, or pushes went on).
Result<UndoOutcome> undo_ref(Store& store, const std::string& repository, const std::string& ref, const Actor& actor);

}  // namespace vexor
