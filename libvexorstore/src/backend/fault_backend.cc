#include "vexorstore/sys/fault_backend.h"

namespace vexor::sys {

void FaultBackend::fail_at(std::uint64_t countdown, Mode mode) {
  countdown_ = countdown;
  mode_ = mode;
  failed_ = false;
}

bool FaultBackend::step(bool& perform) {
  perform = true;
  if (failed_) {
    perform = false;
    return true;
  }
  if (countdown_ == 0 || --countdown_ != 0) return false;
  failed_ = true;
  perform = mode_ == Mode::kAfter;
  return true;
}

Result<void> FaultBackend::commit(const Batch& batch, Durability durability) {
  bool perform = true;
  const bool fails = step(perform);
  if (perform) {
    VEXOR_TRY(inner_.commit(batch, durability));
  }
  if (fails) return Error(Errc::kIndeterminate, "a fault was asked for");
  return success();
}

Result<std::unique_ptr<BulkWriter>> FaultBackend::bulk_writer(Family family) {
  bool perform = true;
  if (step(perform)) return Error(Errc::kIo, "a fault was asked for");
  return inner_.bulk_writer(family);
}

Result<void> FaultBackend::ingest(std::vector<std::unique_ptr<BulkWriter>> writers) {
  bool perform = true;
  const bool fails = step(perform);
  if (perform) {
    VEXOR_TRY(inner_.ingest(std::move(writers)));
  }
  if (fails) return Error(Errc::kIo, "a fault was asked for");
  return success();
}

Result<bool> FaultBackend::compact(Family family, Bytes first, Bytes end, std::string& position, std::uint64_t& bytes) {
  bool perform = true;
  if (step(perform)) return Error(Errc::kIo, "a fault was asked for");
  return inner_.compact(family, first, end, position, bytes);
}

}  // namespace vexor::sys
