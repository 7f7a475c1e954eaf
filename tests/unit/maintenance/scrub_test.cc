// Scrubbing: what is damaged is found, what is whole is said to be, and nothing is changed.
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "support/tamper.h"
#include "support/upkeep.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;
namespace fs = std::filesystem;

MaintenanceOptions scrub(std::uint64_t interval_seconds = 0) {
  MaintenanceOptions options = only(MaintenanceTask::kScrub);
  options.policy->scrub_interval_seconds = interval_seconds;
  return options;
}

class Scrub : public testing::Test {
 protected:
  Scrub() : backend_(sys::make_memory_backend()), store_(open(*backend_)) {
    id_ = store_->create_repository("a/b", {}, {}).value().id;
    for (int round = 0; round < 20; ++round) {
      const Push made = make_push(tip_, round, 3, "refs/heads/main", tip_ ? *tip_ : ObjectId::null(kAlgorithm));
      EXPECT_TRUE(run_push(*store_, "a/b", made.request));
      tip_ = made.tip;
    }
  }

  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  std::optional<ObjectId> tip_;
};

TEST_F(Scrub, says_when_all_was_found_whole) {
  EXPECT_EQ(scrub_state(*store_, id_).value().verified_at_ms, 0);
  const auto rows = family_rows(*backend_, Family::kExtents);
  const JournalSequence sequence = store_->last_sequence();
  for (const std::uint64_t step : {std::uint64_t{1} << 30U, std::uint64_t{1}}) {
    const auto figures = run_upkeep(*store_, scrub(), step);
    ASSERT_TRUE(figures.has_value()) << figures.error().message();
    EXPECT_EQ(figures.value().objects_scrubbed, 20U * 5);
    EXPECT_EQ(figures.value().damage_found, 0U);
  }
  const ScrubState state = scrub_state(*store_, id_).value();
  EXPECT_GT(state.verified_at_ms, 0);
  EXPECT_EQ(state.verified_sequence, sequence);
  EXPECT_EQ(state.round_began_ms, 0);
  EXPECT_EQ(scrub_summary(*store_).value().verified_pools, 2U);  // and the rows of no pool
  EXPECT_EQ(family_rows(*backend_, Family::kExtents), rows);
  EXPECT_EQ(store_->last_sequence(), sequence);
  // Within the interval it is not done again.
  EXPECT_EQ(run_upkeep(*store_, scrub(3600)).value().objects_scrubbed, 0U);
}

TEST_F(Scrub, finds_an_object_that_is_another) {
  ASSERT_TRUE(tamper(*backend_, *tip_, "tree 0000000000000000000000000000000000000000\n").has_value());
  const auto figures = run_upkeep(*store_, scrub());
  ASSERT_TRUE(figures.has_value()) << figures.error().message();
  EXPECT_EQ(figures.value().damage_found, 1U);
  EXPECT_EQ(figures.value().objects_scrubbed, 20U * 5);
  EXPECT_NE(damage_log(*store_).latest().back().find(tip_->hex()), std::string::npos);
  EXPECT_EQ(scrub_state(*store_, id_).value().damaged, 1U);
  EXPECT_EQ(scrub_state(*store_, id_).value().verified_at_ms, 0);
  // Damage is looked at again at once, however long the interval.
  EXPECT_EQ(run_upkeep(*store_, scrub(3600)).value().damage_found, 1U);
}

TEST_F(Scrub, finds_an_index_row_that_leads_elsewhere) {
  const auto repository = store::open_repository_snapshot(store_->core(), id_).value();
  sys::Batch batch;
  batch.put(Family::kIndex, format::index_key(repository.row.pool, *tip_), format::encode_index_row(0));
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  EXPECT_EQ(run_upkeep(*store_, scrub()).value().damage_found, 1U);
}

TEST_F(Scrub, goes_on_where_a_restart_cut_it_off) {
  {
    const auto run = begin_maintenance(*store_, scrub()).value();
    while (scrub_state(*store_, id_).value().round_began_ms == 0) ASSERT_FALSE(run->maintain_some(1).value());
    EXPECT_EQ(run->figures().objects_scrubbed, 20U * 5);
  }
  store_ = open(*backend_);
  const auto rest = run_upkeep(*store_, scrub());
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest.value().objects_scrubbed, 0U);
  EXPECT_GT(scrub_state(*store_, id_).value().verified_at_ms, 0);
}

// Damage under a running RocksDB.
class ScrubFiles : public testing::Test {
 protected:
  ScrubFiles() : directory_(testing::TempDir() + "vexor-scrub-" + std::to_string(::getpid())) {
    fs::remove_all(directory_);
    sys::RocksdbOptions options;
    options.write_buffer_bytes = 256 << 10;
    options.block_cache_bytes = 64 << 10;
    options.damage = damage_;
    StoreOptions store;
    store.damage = damage_;
    store_ = Store::open(sys::open_rocksdb_backend(directory_, options).value(), store).value();
    id_ = store_->create_repository("a/b", {}, {}).value().id;
  }
  ~ScrubFiles() override {
    store_.reset();
    fs::remove_all(directory_);
  }
  bool push(int blobs) {
    const Push made = make_push(tip_, round_++, blobs, "refs/heads/main", tip_ ? *tip_ : ObjectId::null(kAlgorithm));
    if (!run_push(*store_, "a/b", made.request)) return false;
    tip_ = made.tip;
    return true;
  }
  // In the middle of every file of the family that is larger than `bytes_min`, or `shift` octets behind: the same
  // octet twice would be whole again.
  int flip(std::uintmax_t bytes_min, const std::string& family, int shift = 0) {
    int flipped = 0;
    for (const auto& file : fs::directory_iterator(directory_)) {
      std::error_code gone;  // compactions go on
      const std::uintmax_t bytes = file.file_size(gone);
      if (file.path().extension() != ".sst" || gone || bytes < bytes_min) continue;
      std::fstream io(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      const std::string all((std::istreambuf_iterator<char>(io)), {});
      if (all.find("name" + family) == std::string::npos) continue;  // rocksdb.column.family.name
      io.clear();
      const auto at = static_cast<std::streamoff>(bytes / 2) + shift % static_cast<int>(bytes_min / 4);
      io.seekg(at);
      const char was = static_cast<char>(io.get());
      io.seekp(at);
      io.put(static_cast<char>(was ^ 0x10));
      ++flipped;
    }
    return flipped;
  }

  fs::path directory_;
  std::shared_ptr<sys::DamageLog> damage_ = std::make_shared<sys::DamageLog>();
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  std::optional<ObjectId> tip_;
  int round_ = 0;
};

TEST_F(ScrubFiles, a_flipped_octet_is_found_and_no_read_shows_it) {
  ASSERT_TRUE(push(6000));  // so many go into files at once
  const auto whole = visible_objects(*store_, id_);
  ASSERT_EQ(run_upkeep(*store_, scrub()).value().damage_found, 0U);
  ASSERT_GT(flip(100 << 10, "extents"), 0);
  EXPECT_GT(run_upkeep(*store_, scrub()).value().damage_found, 0U);
  EXPECT_GT(damage_->count(), 0U);
  EXPECT_GT(scrub_state(*store_, id_).value().damaged, 0U);
  int failed = 0;
  for (const auto& [hex, content] : whole) {
    const auto read = store_->read_object(id_, ObjectId::from_hex(kAlgorithm, hex).value(), nullptr);
    if (read.has_value()) EXPECT_EQ(read.value(), content);
    else EXPECT_EQ(read.error().code(), Errc::kCorrupt);
    failed += read.has_error() ? 1 : 0;
  }
  EXPECT_GT(failed, 0);
  EXPECT_LT(failed, static_cast<int>(whole.size()));  // that read only
  EXPECT_TRUE(store_->create_repository("c/d", {}, {}).has_value());  // and writes go on
}

// Writes read nothing, and each file of these goes over all keys: a compaction takes what is damaged.
TEST_F(ScrubFiles, a_compaction_that_meets_damage_stops_no_write) {
  store_.reset();
  fs::remove_all(directory_);
  sys::RocksdbOptions options;
  options.write_buffer_bytes = 256 << 10;
  options.damage = damage_;
  const auto backend = sys::open_rocksdb_backend(directory_, options).value();
  const auto write = [&] {
    sys::Batch batch;
    for (int i = 0; i < 100; ++i) batch.put(Family::kIndex, sys::random_bytes(28), sys::random_bytes(1000));
    return backend->commit(batch, sys::Durability::kBuffered).has_value();
  };
  const auto has_met = [&] {
    const auto latest = damage_->latest();
    return std::any_of(latest.begin(), latest.end(), [](const std::string& line) { return line.starts_with("compaction"); });
  };
  for (int i = 1; i < 5000 && !has_met(); ++i) {
    ASSERT_TRUE(write()) << i;
    if (i % 20 == 0) flip(1000, "index", i);  // again, for a compaction may have just read those of before
  }
  ASSERT_TRUE(has_met());
  for (int i = 0; i < 400; ++i) ASSERT_TRUE(write()) << i;  // more files than RocksDB lets pile up
}

}  // namespace
}  // namespace vexor
