// Reads the rows of one record's objects from the store, in the order that a RowsWriter wants: extents, graph,
// bitmaps, shapes. Spec: docs/format/log-rows.md.
#pragma once

#include "format/journal_record.h"
#include "maintenance/pool_extents.h"
#include "pack/object_reader.h"
#include "store/number_order.h"
#include "vexorstore/replica_log.h"

namespace vexor::log {

using format::ObjectNumber;

// An octet for each object of the record, in order of numbers (format/extent.h, object_shape); fewer if rows are missing. Errors: kIo, kCorrupt.
Result<std::string> shapes_of(const sys::StorageSnapshot& snapshot, const format::JournalRecord& record);
// Whether a commit of the record has no row in the graph any more: those of commits that nothing reaches go before what they name is forgotten
// or swept, and some of these commits stay (maintenance/unreached.h). Without the row nobody takes the record.
Result<bool> lacks_graph_rows(const sys::StorageSnapshot& snapshot, const format::JournalRecord& record);

// Extents that maintenance merged with those of other records are taken apart again, and cold ones deflated; a delta upon
// an object of a later record becomes a whole one, as the reader does not have that yet.
class StoredRowsReader final : public RowsReader {
 public:
  // `is_original`: the range is in quarantine, where maintenance changes nothing: what its push leaned on was there before.
  StoredRowsReader(store::SnapshotPtr snapshot, format::JournalRecord record, HashAlgorithm algorithm, const Limits& limits, bool is_original);
  Result<std::string> next() override;

 private:
  enum class Phase { kExtents, kGraph, kBitmaps, kShapes, kEnd };

  Result<bool> step();  // false: no more
  Result<bool> extent_step();
  Result<bool> row_step(sys::Family family);
  Result<void> add_shapes();
  Result<void> take_apart(const pack::LoadedExtent& extent);
  Result<bool> is_early(const format::ExtentObject& object);  // upon an object that the reader may not have
  void emit(sys::Family family, Bytes key, Bytes value);
  std::uint64_t end() const { return std::uint64_t{record_.first_object} + record_.object_count; }

  store::SnapshotPtr snapshot_;
  format::JournalRecord record_;
  HashAlgorithm algorithm_;
  const bool is_original_;
  pack::ObjectReader reader_;
  store::LateRecords late_;
  Phase phase_ = Phase::kExtents;
  std::unique_ptr<sys::Cursor> cursor_;
  maintenance::ExtentPacker packer_;
  bool was_taken_apart_ = false;  // the extent that later chunks belong to
  sys::Batch piece_;
};

}  // namespace vexor::log
