// A large push names its range before it writes: what fails after that takes the row away again.
#include "format/pool_rows.h"
#include "support/upkeep.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

// Makes no file of graph rows while `is_full`: these are written behind the quarantine row.
class FullDisk final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<std::unique_ptr<sys::BulkWriter>> bulk_writer(Family family) override {
    if (family != Family::kGraph || !is_full) return Forwarding::bulk_writer(family);
    rows_when_it_failed = family_rows(*memory, Family::kQuarantine).size();
    return Error(Errc::kIo, "the disk is full");
  }
  bool is_full = true;
  sys::StorageBackend* memory = nullptr;
  std::size_t rows_when_it_failed = 0;
};

TEST(Quarantine, a_large_push_that_fails_leaves_no_row) {
  const auto memory = sys::make_memory_backend();
  auto made = std::make_unique<FullDisk>(*memory);
  FullDisk& backend = *made;
  backend.memory = memory.get();
  const auto store = Store::open(std::move(made), StoreOptions{}).value();
  const RepositoryId id = store->create_repository("a/b", {}, {}).value().id;
  const Push large = make_push(std::nullopt, 1, 4500, "refs/heads/main", ObjectId::null(kAlgorithm));
  EXPECT_FALSE(run_push(*store, "a/b", large.request));
  EXPECT_EQ(backend.rows_when_it_failed, 1U) << "the test would show nothing";
  EXPECT_TRUE(family_rows(*memory, Family::kQuarantine).empty());
  EXPECT_TRUE(family_rows(*memory, Family::kExtents).empty());
  backend.is_full = false;
  EXPECT_TRUE(run_push(*store, "a/b", large.request));
  EXPECT_TRUE(family_rows(*memory, Family::kQuarantine).empty());
  expect_sound(*store, id);
}

}  // namespace
}  // namespace vexor
