// Checks that the rows sent for a record are those of its objects and all of them, and makes the index rows, which
// are not sent, from the extents. Spec: docs/format/log-rows.md.
#pragma once

#include <functional>

#include "format/extent.h"
#include "format/journal_record.h"
#include "store/store_core.h"

namespace vexor::log {

using format::ObjectNumber;

class RecordRows {
 public:
  RecordRows(const format::JournalRecord& record, HashAlgorithm algorithm) : record_(record), algorithm_(algorithm) {}

  // Extents come first and in order of keys. Errors: kProtocol (not of the record's range, out of order, or a
  // gap), kCorrupt.
  Result<void> add(sys::Family family, Bytes key, Bytes value);
  // All of the range was there, the ids are those that the record names, and each commit has its graph row.
  // Bitmaps are not counted: tips have them. Errors: kProtocol.
  Result<void> check() const;
  // Of deltas, those that are not of the record's range: they must be here (BaseCheck).
  const Roaring& outside_bases() const { return outside_bases_; }
  // In order of keys. Only after check().
  Result<void> write(const std::function<Result<void>(Bytes key, Bytes value)>& put);

 private:
  Result<void> add_extent(Bytes key, Bytes value);

  const format::JournalRecord& record_;
  HashAlgorithm algorithm_;
  std::string ids_;               // in number order
  std::uint64_t chunk_bytes_ = 0;  // of a large object that goes on in later rows
  std::uint32_t next_chunk_ = 0;
  std::uint64_t commits_ = 0;
  std::uint64_t graph_rows_ = 0;
  std::uint64_t shapes_ = 0;
  Roaring outside_bases_;
};

}  // namespace vexor::log
