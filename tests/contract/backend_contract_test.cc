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

TYPED_TEST(BackendContract, a_bulk_writer_that_is_finished_takes_no_rows_and_is_let_in_like_any_other) {
  auto writer = this->backend->bulk_writer(Family::kExtents).value();
  ASSERT_TRUE(writer->put("a", "1").has_value());
  ASSERT_TRUE(writer->finish().has_value());
  ASSERT_TRUE(writer->finish().has_value());
  EXPECT_TRUE(writer->put("b", "2").has_error());
  EXPECT_EQ(this->read(Family::kExtents, "a"), "(none)");
  auto empty = this->backend->bulk_writer(Family::kGraph).value();
  ASSERT_TRUE(empty->finish().has_value());
  std::vector<std::unique_ptr<BulkWriter>> writers;
  writers.push_back(std::move(writer));
  writers.push_back(std::move(empty));
  ASSERT_TRUE(this->backend->ingest(std::move(writers)).has_value());
  EXPECT_EQ(this->read(Family::kExtents, "a"), "1");
  EXPECT_EQ(this->read(Family::kExtents, "b"), "(none)");
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

TYPED_TEST(BackendContract, compacting_keeps_rows_and_gives_back_what_erased_ones_took) {
  const auto key = [](int i) { return "k" + std::to_string(100000 + i); };
  constexpr std::size_t kValueBytes = 4096;
  const auto value = [](int i) {
    std::string out(kValueBytes, '\0');
    std::uint32_t state = static_cast<std::uint32_t>(i) + 1;
    for (char& c : out) c = static_cast<char>((state = state * 1664525U + 1013904223U) >> 24U);
    return out;
  };
  auto writer = this->backend->bulk_writer(Family::kExtents).value();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(writer->put(key(i), value(i)).has_value());
  std::vector<std::unique_ptr<BulkWriter>> writers;
  writers.push_back(std::move(writer));
  ASSERT_TRUE(this->backend->ingest(std::move(writers)).has_value());
  Batch batch;
  batch.put(Family::kExtents, "a", "before the range");
  batch.put(Family::kExtents, "z", "behind it");
  for (int i = 0; i < 1000; ++i) {
    if (i % 2 == 0) batch.erase(Family::kExtents, key(i));
    else if (i % 10 == 1) batch.put(Family::kExtents, key(i), "short");
  }
  ASSERT_TRUE(this->backend->commit(batch, Durability::kSynced).has_value());
  std::string position;
  unsigned pieces = 0;
  for (bool more = true; more; ++pieces) {
    ASSERT_LT(pieces, 1000U);
    std::uint64_t bytes = 1;
    const auto done = this->backend->compact(Family::kExtents, "k", "l", position, bytes);
    ASSERT_TRUE(done.has_value()) << done.error().message();
    more = done.value();
  }
  EXPECT_LT(this->backend->approximate_bytes(Family::kExtents), 430 * kValueBytes);
  for (int i = 0; i < 1000; ++i) {
    const std::string expected = i % 2 == 0 ? "(none)" : i % 10 == 1 ? "short" : value(i);
    ASSERT_EQ(this->read(Family::kExtents, key(i)), expected) << i;
  }
  EXPECT_EQ(this->read(Family::kExtents, "a"), "before the range");
  EXPECT_EQ(this->read(Family::kExtents, "z"), "behind it");
}

TYPED_TEST(BackendContract, a_snapshot_does_not_move_when_its_rows_are_compacted) {
  Batch batch;
  batch.put(Family::kExtents, "k", std::string(100000, 'x'));
  ASSERT_TRUE(this->backend->commit(batch, Durability::kBuffered).has_value());
  const auto snapshot = this->backend->snapshot().value();
  Batch erase;
  erase.erase(Family::kExtents, "k");
  ASSERT_TRUE(this->backend->commit(erase, Durability::kSynced).has_value());
  std::string position;
  std::uint64_t bytes = 1U << 30U;
  EXPECT_FALSE(this->backend->compact(Family::kExtents, "a", "z", position, bytes).value());
  EXPECT_EQ(snapshot->get(Family::kExtents, "k").value()->bytes(), std::string(100000, 'x'));
  EXPECT_EQ(this->read(Family::kExtents, "k"), "(none)");
}

}  // namespace
}  // namespace vexor::sys
