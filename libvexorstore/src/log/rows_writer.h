// Takes the rows of one record's objects into sorted files and lets them in: invisible, in quarantine, until
// the record is applied. Spec: docs/format/log-rows.md.
#pragma once

#include <map>

#include "log/record_rows.h"
#include "vexorstore/replica_log.h"

namespace vexor::log {

// What was taken in and waits for its record: the index rows, which must not be found before.
struct StagedRows {
  std::string objects_digest;
  std::unique_ptr<sys::BulkWriter> index;
  Roaring outside_bases;    // as of RecordRows: to be there when the record is appended
  bool is_claimed = false;  // a record that is about to be appended has them
};

using Staged = std::map<std::string, StagedRows>;  // by the key of the range

class StoredRowsWriter final : public RowsWriter {
 public:
  struct Place {
    // Runs what it is given, one at a time for a range, while the store follows the same primary as when the writer was made and
    // lacks the record; else returns kConflict: what a later primary sends may use the same numbers.
    std::function<Result<void>(const std::function<Result<void>()>& work)> in_turn;
    std::function<bool(const std::string& range)> is_staged;
    std::function<void(const std::string& range, StagedRows rows)> stage;
    // Of a record that is known: rows that it can not be appended with are to be asked for again. Rows that come ahead may lean on
    // records that come before theirs and are on their way still.
    std::function<Result<void>(const format::JournalRecord& record, const Roaring& bases)> check_bases;
  };
  StoredRowsWriter(store::StoreCore& core, format::JournalRecord record, Place place) : core_(core), record_(std::move(record)), place_(std::move(place)) {}
  Result<void> add(Bytes piece) override;
  Result<void> finish() override;

 private:
  Result<void> begin(HashAlgorithm algorithm);
  Result<void> put_in_quarantine();
  Result<void> add_row(sys::Family family, Bytes key, Bytes value);

  store::StoreCore& core_;
  format::JournalRecord record_;
  Place place_;
  HashAlgorithm algorithm_ = HashAlgorithm::kSha1;  // of the first piece
  std::optional<RecordRows> index_;
  std::vector<std::unique_ptr<sys::BulkWriter>> files_;  // in order of families
  std::string last_key_;                                 // in the last file
};

}  // namespace vexor::log
