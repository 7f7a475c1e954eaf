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

// As of a machine whose clock was ahead when the round began, and has been set right.
TEST_F(Scrub, a_round_that_is_dated_in_the_future_is_not_fresh) {
  ASSERT_TRUE(run_upkeep(*store_, scrub()).has_value());
  const auto repository = store::open_repository_snapshot(store_->core(), id_).value();
  const std::string key = format::scrub_key(repository.row.pool);
  const auto stored = backend_->snapshot().value()->get(Family::kMeta, key).value();
  ASSERT_TRUE(stored.has_value());
  auto row = format::decode_scrub_row(stored->bytes()).value();
  row.verified_ms += 86'400'000;
  sys::Batch batch;
  batch.put(Family::kMeta, key, format::encode_scrub_row(row));
  ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  EXPECT_EQ(run_upkeep(*store_, scrub(3600)).value().objects_scrubbed, 20U * 5);
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

// What no checksum shows: rows that are whole, and are not those that the journal tells of.
class ScrubJournal : public Scrub {
 protected:
  // Damage that scrubbing finds.
  std::uint64_t found() {
    const auto figures = run_upkeep(*store_, scrub(), 1U << 12U);
    EXPECT_TRUE(figures.has_value());
    EXPECT_EQ(figures.value().records_scrubbed, store_->last_sequence());
    return figures.value().damage_found;
  }
  std::string latest() { return damage_log(*store_).latest().back(); }
  void change(const std::function<void(sys::Batch&)>& work) {
    sys::Batch batch;
    work(batch);
    ASSERT_TRUE(backend_->commit(batch, sys::Durability::kSynced).has_value());
  }
  std::string row(Family family, const std::string& key) { return family_rows(*backend_, family).at(key); }
  std::string main_key() const { return format::ref_key(id_, "refs/heads/main"); }
};

TEST_F(ScrubJournal, finds_nothing_in_a_whole_store) {
  const Push branch = make_push(std::nullopt, 100, 3, "refs/heads/gone", ObjectId::null(kAlgorithm));
  ASSERT_TRUE(run_push(*store_, "a/b", branch.request));
  ASSERT_TRUE(store_->fork_repository("a/b", "c/d", {}).has_value());
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge)).has_value());
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kFreeze)).has_value());
  EXPECT_EQ(found(), 0U);
}

TEST_F(ScrubJournal, finds_objects_that_are_missing_with_all_that_names_them) {
  ASSERT_TRUE(run_upkeep(*store_, only(MaintenanceTask::kMerge)).has_value());
  const Push lost = make_push(tip_, 50, 3, "refs/heads/main", *tip_);
  const auto before = family_rows(*backend_, Family::kExtents);
  const auto index = family_rows(*backend_, Family::kIndex);
  ASSERT_TRUE(run_push(*store_, "a/b", lost.request));
  change([&](sys::Batch& batch) {
    for (const auto& [key, value] : family_rows(*backend_, Family::kExtents)) {
      if (!before.contains(key)) batch.erase(Family::kExtents, key);
    }
    for (const auto& [key, value] : family_rows(*backend_, Family::kIndex)) {
      if (!index.contains(key)) batch.erase(Family::kIndex, key);
    }
  });
  EXPECT_EQ(found(), 1U);
  EXPECT_NE(latest().find("journal record " + std::to_string(store_->last_sequence()) + ", repository 1: not all of its objects"), std::string::npos) << latest();
}

TEST_F(ScrubJournal, finds_an_object_in_the_place_of_another) {
  // Two extents change places: each object still hashes to its id, and the index is made to agree.
  const auto extents = family_rows(*backend_, Family::kExtents);
  const auto first = *extents.begin();
  change([&](sys::Batch& batch) {
    const auto from = format::number_of_key(first.first).value();
    auto header = format::decode_extent_header(from, kAlgorithm, first.second).value();
    ASSERT_GE(header.objects.size(), 2U);
    std::string payload;
    std::size_t a = header.objects.size();
    for (std::size_t i = 0; i + 1 < header.objects.size(); ++i) {
      if (!header.objects[i].is_delta && !header.objects[i + 1].is_delta && header.objects[i].type == header.objects[i + 1].type) a = i;
    }
    ASSERT_LT(a, header.objects.size());
    const auto piece = [&](std::size_t i) { return first.second.substr(header.header_bytes + header.objects[i].payload_offset, header.objects[i].payload_bytes); };
    for (std::size_t i = 0; i < header.objects.size(); ++i) payload += piece(i == a ? a + 1 : i == a + 1 ? a : i);
    std::swap(header.objects[a], header.objects[a + 1]);
    batch.put(Family::kExtents, first.first, format::encode_extent_header(from, header.objects) + payload);
    const auto repository = store::open_repository_snapshot(store_->core(), id_).value();
    for (const std::size_t i : {a, a + 1}) {
      batch.put(Family::kIndex, format::index_key(repository.row.pool, header.objects[i].id), format::encode_index_row(from + static_cast<format::ObjectNumber>(i)));
    }
  });
  EXPECT_EQ(found(), 1U);
  EXPECT_NE(latest().find("its objects are others"), std::string::npos) << latest();
}

TEST_F(ScrubJournal, finds_a_ref_that_is_another_or_missing) {
  const std::string now = row(Family::kRefs, main_key());
  change([&](sys::Batch& batch) { batch.erase(Family::kRefs, main_key()); });
  EXPECT_EQ(found(), 1U);
  EXPECT_NE(latest().find("it is missing"), std::string::npos) << latest();
  std::string old = now;
  old.back() = static_cast<char>(old.back() ^ 1);
  change([&](sys::Batch& batch) { batch.put(Family::kRefs, main_key(), old); });
  EXPECT_EQ(found(), 1U);
  EXPECT_NE(latest().find("it is another"), std::string::npos) << latest();
  change([&](sys::Batch& batch) { batch.put(Family::kRefs, main_key(), now); });
  EXPECT_EQ(found(), 0U);
}

TEST_F(ScrubJournal, finds_a_deleted_ref_that_is_there) {
  const std::string before = row(Family::kRefs, main_key());
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(*tip_, "refs/heads/main")));
  EXPECT_EQ(found(), 0U);
  change([&](sys::Batch& batch) { batch.put(Family::kRefs, main_key(), before); });
  EXPECT_EQ(found(), 1U);
  EXPECT_NE(latest().find("it was deleted, and is there"), std::string::npos) << latest();
}

TEST_F(ScrubJournal, finds_a_reflog_row_that_is_missing) {
  change([&](sys::Batch& batch) { batch.erase(Family::kReflog, family_rows(*backend_, Family::kReflog).rbegin()->first); });
  EXPECT_GT(found(), 0U);
}

TEST_F(ScrubJournal, finds_a_record_that_is_missing_or_another) {
  const auto journal = family_rows(*backend_, Family::kJournal);
  change([&](sys::Batch& batch) { batch.erase(Family::kJournal, format::journal_key(5)); });
  EXPECT_EQ(found(), 1U);
  format::JournalRecord record = format::decode_journal_record(journal.at(format::journal_key(5))).value();
  record.subject += "?";
  change([&](sys::Batch& batch) { batch.put(Family::kJournal, format::journal_key(5), format::encode_journal_record(record)); });
  EXPECT_EQ(found(), 1U);
  EXPECT_NE(latest().find("journal record 6 does not follow"), std::string::npos) << latest();
}

TEST_F(ScrubJournal, finds_a_repository_that_is_missing) {
  change([&](sys::Batch& batch) { batch.erase(Family::kRepositories, "r" + format::pool_key(id_)); });
  EXPECT_EQ(found(), 1U);
  EXPECT_NE(latest().find("repository 1, which no record purged, has no row"), std::string::npos) << latest();
}

TEST_F(ScrubJournal, looks_at_large_objects_once) {
  PackBuilder pack;
  const ObjectId blob = pack.add(ObjectType::kBlob, sys::random_bytes(3 << 20));
  const ObjectId tree = pack.add(ObjectType::kTree, std::string("100644 a") + std::string(1, '\0') + std::string(blob.raw()));
  const ObjectId large = pack.add(ObjectType::kCommit, "tree " + tree.hex() + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n");
  ASSERT_TRUE(run_push(*store_, "a/b", push_request(ObjectId::null(kAlgorithm), large, "refs/heads/large", pack.finish())));
  EXPECT_EQ(found(), 0U);
}

// The records of a round end before the purge, which is told apart from a loss all the same.
TEST_F(ScrubJournal, takes_a_purge_during_the_round_for_no_loss) {
  const auto run = begin_maintenance(*store_, scrub()).value();
  ASSERT_FALSE(run->maintain_some(1).value());
  ASSERT_TRUE(store_->delete_repository("a/b", {}).has_value());
  ASSERT_TRUE(store_->purge_repository("a/b", {}).has_value());
  while (!run->maintain_some(1).value()) {
  }
  EXPECT_EQ(run->figures().damage_found, 0U) << latest();
}

TEST_F(ScrubJournal, takes_no_sweep_for_a_loss) {
  ASSERT_TRUE(run_push(*store_, "a/b", delete_request(*tip_, "refs/heads/main")));
  const auto swept = run_upkeep(*store_, only(MaintenanceTask::kSweep));
  ASSERT_TRUE(swept.has_value());
  ASSERT_GT(swept.value().objects_swept, 0U);
  EXPECT_EQ(found(), 0U);
}

TEST_F(ScrubJournal, takes_no_purge_for_a_loss) {
  ASSERT_TRUE(store_->create_repository("c/d", {}, {}).has_value());
  const Push other = make_push(std::nullopt, 100, 3, "refs/heads/main", ObjectId::null(kAlgorithm));
  ASSERT_TRUE(run_push(*store_, "c/d", other.request));
  ASSERT_TRUE(store_->fork_repository("a/b", "e/f", {}).has_value());
  for (const std::string name : {"a/b", "c/d"}) {
    ASSERT_TRUE(store_->delete_repository(name, {}).has_value());
    ASSERT_TRUE(store_->purge_repository(name, {}).has_value());
    EXPECT_EQ(found(), 0U);
  }
}

TEST_F(ScrubJournal, goes_on_where_a_restart_cut_it_off) {
  const auto next = [&] {
    const auto rows = family_rows(*backend_, Family::kMeta);
    const auto row = rows.find(format::scrub_key(0));
    return row == rows.end() ? 0 : format::decode_scrub_row(row->second).value().next;
  };
  {
    const auto run = begin_maintenance(*store_, scrub()).value();
    while (next() == 0) ASSERT_FALSE(run->maintain_some(1).value());
    EXPECT_EQ(run->figures().records_scrubbed, store_->last_sequence());
    EXPECT_EQ(next(), store_->last_sequence() + 1);
  }
  store_ = open(*backend_);
  EXPECT_EQ(run_upkeep(*store_, scrub()).value().records_scrubbed, 0U);
  EXPECT_EQ(found(), 0U);  // the next round begins with the first
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
