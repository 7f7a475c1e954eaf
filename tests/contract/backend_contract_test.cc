// The storage seam's header as code: every backend passes it.
#include <gtest/gtest.h>

#include "vexorstore/sys/backends.h"

namespace vexor::sys {
namespace {

struct MemoryMaker {
  std::unique_ptr<StorageBackend> open() { return make_memory_backend(); }
};

struct RocksdbMaker {
  std::filesystem::path directory = std::filesystem::temp_directory_path() / ("vexor-contract-" + std::to_string(::getpid()));
  RocksdbMaker() { std::filesystem::remove_all(directory); }
  ~RocksdbMaker() { std::filesystem::remove_all(directory); }
  std::unique_ptr<StorageBackend> open() { return open_rocksdb_backend(directory).value(); }
};

template <class Maker>
class BackendContract : public testing::Test {
 protected:
  Maker maker;
  std::unique_ptr<StorageBackend> backend = maker.open();

  std::string read(Family family, Bytes key) {
    const auto row = backend->snapshot().value()->get(family, key).value();
    return row ? std::string(row->bytes()) : "(none)";
  }
};

using Makers = testing::Types<MemoryMaker, RocksdbMaker>;
TYPED_TEST_SUITE(BackendContract, Makers);

TYPED_TEST(BackendContract, a_batch_is_visible_as_a_whole_and_families_are_apart) {
  Batch batch;
  batch.put(Family::kRefs, "k", "1");
  batch.put(Family::kGraph, "k", "2");
  ASSERT_TRUE(this->backend->commit(batch, Durability::kSynced).has_value());
  EXPECT_EQ(this->read(Family::kRefs, "k"), "1");
  EXPECT_EQ(this->read(Family::kGraph, "k"), "2");
  EXPECT_EQ(this->read(Family::kIndex, "k"), "(none)");
}

TYPED_TEST(BackendContract, a_snapshot_does_not_move) {
  Batch first;
  first.put(Family::kRefs, "k", "old");
  ASSERT_TRUE(this->backend->commit(first, Durability::kBuffered).has_value());
  const auto snapshot = this->backend->snapshot().value();
  Batch second;
  second.put(Family::kRefs, "k", "new");
  second.put(Family::kRefs, "l", "new");
  ASSERT_TRUE(this->backend->commit(second, Durability::kBuffered).has_value());
  EXPECT_EQ(snapshot->get(Family::kRefs, "k").value()->bytes(), "old");
  EXPECT_FALSE(snapshot->get(Family::kRefs, "l").value().has_value());
  EXPECT_EQ(this->read(Family::kRefs, "k"), "new");
}

TYPED_TEST(BackendContract, operations_of_a_batch_apply_in_order) {
  Batch batch;
  batch.put(Family::kRefs, "a", "1");
  batch.put(Family::kRefs, "b", "1");
  batch.erase_range(Family::kRefs, "a", "b");
  batch.put(Family::kRefs, "a", "2");
  batch.erase(Family::kRefs, "b");
  ASSERT_TRUE(this->backend->commit(batch, Durability::kBuffered).has_value());
  EXPECT_EQ(this->read(Family::kRefs, "a"), "2");
  EXPECT_EQ(this->read(Family::kRefs, "b"), "(none)");
}

TYPED_TEST(BackendContract, cursors_walk_in_byte_order) {
  Batch batch;
  for (const std::string key : {"b", "a", "\xff", "ab"}) batch.put(Family::kIndex, key, key);
  ASSERT_TRUE(this->backend->commit(batch, Durability::kBuffered).has_value());
  const auto snapshot = this->backend->snapshot().value();
  const auto cursor = snapshot->cursor(Family::kIndex);
  std::string seen;
  for (cursor->seek(""); cursor->valid(); cursor->next()) seen += std::string(cursor->key()) + ",";
  EXPECT_EQ(seen, "a,ab,b,\xff,");
  cursor->seek("aa");
  EXPECT_EQ(cursor->key(), "ab");
  cursor->seek_for_prev("aa");
  EXPECT_EQ(cursor->key(), "a");
  cursor->seek_for_prev("A");
  EXPECT_FALSE(cursor->valid());
  EXPECT_TRUE(cursor->status().has_value());
}

TYPED_TEST(BackendContract, bulk_rows_are_invisible_until_ingested_and_dropped_without) {
  auto writer = this->backend->bulk_writer(Family::kExtents).value();
  ASSERT_TRUE(writer->put("a", "1").has_value());
  ASSERT_TRUE(writer->put("b", "2").has_value());
  EXPECT_TRUE(writer->put("a", "3").has_error());
  EXPECT_EQ(this->read(Family::kExtents, "a"), "(none)");
  auto empty = this->backend->bulk_writer(Family::kGraph).value();
  std::vector<std::unique_ptr<BulkWriter>> writers;
  writers.push_back(std::move(writer));
  writers.push_back(std::move(empty));
  ASSERT_TRUE(this->backend->ingest(std::move(writers)).has_value());
  EXPECT_EQ(this->read(Family::kExtents, "b"), "2");
  {
    auto dropped = this->backend->bulk_writer(Family::kExtents).value();
    ASSERT_TRUE(dropped->put("z", "1").has_value());
  }
  EXPECT_EQ(this->read(Family::kExtents, "z"), "(none)");
}

TYPED_TEST(BackendContract, a_value_stays_readable_after_its_row_is_gone) {
  Batch batch;
  batch.put(Family::kExtents, "k", std::string(100000, 'x'));
  ASSERT_TRUE(this->backend->commit(batch, Durability::kBuffered).has_value());
  const auto snapshot = this->backend->snapshot().value();
  const auto value = snapshot->get(Family::kExtents, "k").value();
  Batch erase;
  erase.erase(Family::kExtents, "k");
  ASSERT_TRUE(this->backend->commit(erase, Durability::kBuffered).has_value());
  EXPECT_EQ(value->bytes(), std::string(100000, 'x'));
}

TYPED_TEST(BackendContract, a_persistent_store_reopens_with_what_was_synced) {
  if (!this->backend->capabilities().persistent) GTEST_SKIP() << "not persistent, and says so";
  Batch batch;
  batch.put(Family::kJournal, "k", "kept");
  ASSERT_TRUE(this->backend->commit(batch, Durability::kSynced).has_value());
  this->backend.reset();
  this->backend = this->maker.open();
  EXPECT_EQ(this->read(Family::kJournal, "k"), "kept");
}

}  // namespace
}  // namespace vexor::sys
