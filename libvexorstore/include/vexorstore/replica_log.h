// ReplicaLog: the journal of one store as replication sees it. Spec: docs/protocol/replication.md.
//
// A store that is no member of a replica set appends and applies each record in one batch. In a member, a
// record is first only *appended*: durable, with the rows of its objects, and invisible to every reader. When
// replication knows it to be committed it is *applied*: refs move, in the order of sequences. What was
// appended and not applied can be cut off again; what was applied never.
//
// Threads: methods may be called from any thread; append, cut, lead and follow one after the other. All
// block on storage.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "vexorstore/receipt.h"
#include "vexorstore/store.h"

namespace vexor {

// The rows of one entry up to this go in one message with it; more go apart, in pieces of about this.
constexpr std::size_t kLogRowsBytesMax = 256 * 1024;
constexpr std::size_t kReplicationStateBytesMax = 64 * 1024;

struct LogPosition {
  std::uint64_t epoch = 0;
  std::uint64_t sequence = 0;
  std::string hash = std::string(32, '\0');  // BLAKE2b-256 of the encoded record
};

struct LogEntry {
  LogPosition position;
  std::string record;  // encoded journal record: docs/format/journal.md
  // The rows that belong to it: docs/format/log-rows.md. Empty with `rows_apart`: too many for one message;
  // whoever appends the entry must have taken them before, by RowsReader and RowsWriter.
  std::string rows;
  bool rows_apart = false;
  // As of lead() or take_back() at the primary that appended it; nothing to any other server.
  std::uint64_t turn = 0;
  // Of the record's repository; for LogSink::appended() only, no part of the entry.
  CopyPolicy copies = CopyPolicy::kCluster;
};

// Copies of the rows of a large push that members keep for its record. Destruction: the record was appended, or never
// will be; members that have not seen it by then drop the rows.
class StagedCopies {
 public:
  virtual ~StagedCopies() = default;
};

// Gets what the primary appends.
class LogSink {
 public:
  virtual ~LogSink() = default;
  // Entries that are durable here, in order of sequence. Called by a thread that pushes wait for: must not
  // block.
  virtual void appended(std::vector<LogEntry> entries) = 0;
  // Whether a record with that policy may be appended now (C6, C7). Called with a lock of the store held: must not block,
  // nor call the store. Errors: kRefused (a plain sentence: too few servers answer).
  virtual Result<void> admit(CopyPolicy copies) = 0;
  // Whether a record that forgets may be appended now, under the same terms: who is behind would have to take a copy of the store for what
  // it has not got yet. Errors: kRefused (a plain sentence: who is behind).
  virtual Result<void> admit_forgetting() = 0;
  // A write failed: the store takes no change any more until it is opened again, and must not stay the primary. Called as appended() is.
  virtual void failed() = 0;
  // A change was refused because of what is appended. Blocks until that is committed, and nobody else can have
  // become the primary before: only then the refusal may be told (docs/protocol/replication.md, Q4). Any
  // thread. Errors: kUnavailable (the refusal may be wrong: look again at the primary).
  virtual Result<void> confirm_head() = 0;
  // The rows of a large push are in this store; its record is to come. Brings them to the members: blocks until they
  // are durable there or will not be in time, or this server stops being the primary; who has not got them then asks
  // for them when the record comes. `range`: a record that names the objects and nothing else, for
  // ReplicaLog::read_rows_of. Any thread. May be null.
  virtual std::unique_ptr<StagedCopies> stage(const std::string& range) = 0;
};

// The rows of one entry, in pieces of about kLogRowsBytesMax (one row may be larger: docs/format/extent.md).
class RowsReader {
 public:
  virtual ~RowsReader() = default;
  // Empty: the end. Errors: kCorrupt, kIo.
  virtual Result<std::string> next() = 0;
};

// Takes what a RowsReader of another server gave. Destruction without finish leaves nothing behind but rows
// that the next start sweeps.
class RowsWriter {
 public:
  virtual ~RowsWriter() = default;
  // Errors: kProtocol (not the rows of that record), kIo.
  virtual Result<void> add(Bytes piece) = 0;
  // The rows are durable; the entry can be appended. Errors: as of add(), and kNotFound (deltas upon objects of records that are
  // not here: whoever asked for the rows asks again).
  virtual Result<void> finish() = 0;
};

class ReplicaLog {
 public:
  virtual ~ReplicaLog() = default;

  virtual LogPosition last() const = 0;            // appended
  virtual std::uint64_t applied() const = 0;       // sequence
  // Position of a record; sequence 0 is before the first. Errors: kNotFound.
  virtual Result<LogPosition> position(std::uint64_t sequence) const = 0;

  // The store takes changes and gives them to `sink`, which must outlive the call of follow() that ends this.
  // What was appended before and not applied stays and comes first. `epoch`: not below that of any record. `turn`: what entries are marked
  // with from now on: the sink may get one after the caller had the store cut it off, and tells by that.
  virtual Result<void> lead(std::uint64_t epoch, LogSink& sink, std::uint64_t turn = 0) = 0;
  // Of changes that are appended and have no outcome yet.
  enum class Waiting : std::uint8_t {
    kEnds,    // they are told that it is not known (kIndeterminate)
    kGoesOn,  // for settle(), give_up() or cut()
  };
  // The store takes no more changes: who comes with one is told that this is not the primary (kUnavailable). Also to be called
  // whenever another primary is followed than before: rows without a record are dropped.
  virtual Result<void> follow(Waiting waiting = Waiting::kEnds) = 0;
  // Of the primary: removes the records after `sequence`, which were given to nobody; who waits for them is told
  // that nothing changed (kUnavailable). What is appended from then on is marked with `turn`.
  virtual Result<void> take_back(std::uint64_t sequence, std::uint64_t turn = 0) = 0;

  // Of a follower, one after the other: after an error the first ones may be appended. Errors: kConflict (does not follow on what is before it), kNotFound (rows_apart,
  // and the rows are not here; or there are deltas upon objects of records that are not here), kProtocol (malformed), kIo.
  virtual Result<void> append(const std::vector<LogEntry>& entries) = 0;
  // Removes all records after `sequence`, with their rows; then tells who waits for one of them that nothing changed (kUnavailable): never
  // before, as a start after a crash would find it. Errors: kInvalidArgument (it is applied), kIo (some of it may be gone; who waits is
  // told that the outcome is not known).
  virtual Result<void> cut(std::uint64_t sequence) = 0;
  // Applies all up to `sequence`, which must have been appended. Those who wait go on waiting for settle().
  virtual Result<void> apply(std::uint64_t sequence) = 0;
  // Of the primary: tells who waits for record receipt.sequence what was reached. Others wait on, also for earlier ones: their
  // repositories may ask for more.
  virtual void settle(const Receipt& receipt) = 0;
  // Of the primary: whoever waits for the record is told that its outcome is not known (kIndeterminate).
  virtual void give_up(std::uint64_t sequence) = 0;

  // An entry as it can be sent now; its rows may have another form than when it was appended.
  // Errors: kNotFound.
  virtual Result<LogEntry> read(std::uint64_t sequence) const = 0;
  virtual Result<std::unique_ptr<RowsReader>> read_rows(std::uint64_t sequence) const = 0;
  // The rows of the objects that a record names, which need not be here itself.
  virtual Result<std::unique_ptr<RowsReader>> read_rows_of(Bytes record) const = 0;
  // Numbers the primaries that this store followed or was.
  virtual std::uint64_t reign() const = 0;
  // No record that may be cut off may have the same numbers. Void once another primary is followed than in `reign`
  // (nullopt: now): kConflict.
  virtual Result<std::unique_ptr<RowsWriter>> write_rows(Bytes record, std::optional<std::uint64_t> reign = std::nullopt) = 0;
  // Whether the rows of the record's objects were written; if so they stay until the record is appended, or another
  // primary is followed.
  virtual bool claim_rows(Bytes record) = 0;
  // Removes rows that were written and not claimed. Errors: kIo.
  virtual Result<void> drop_rows(Bytes record) = 0;

  // What replication must not forget: opaque, at most 64 KiB, synced. Empty: never saved.
  virtual Result<void> save_state(Bytes state) = 0;
  virtual Result<std::string> load_state() const = 0;
};

struct RecordPlace {
  LogPosition position;
  std::string previous_hash;
};
// Where an encoded journal record belongs. Errors: kCorrupt.
Result<RecordPlace> place_of_record(Bytes record);
// What LogSink::stage() was given for the push that became this record. Errors: kCorrupt.
Result<std::string> range_of_record(Bytes record);

// Makes the store a member, for good: from now on, and whenever it is opened again, it takes no changes
// until somebody calls lead(). At most one at a time; the store must outlive it.
Result<std::unique_ptr<ReplicaLog>> join_replica_set(Store& store);

}  // namespace vexor
