// Readers of one pack at different paces: all get the same bytes, whoever makes them, in bounded memory.
#include "pack/shared_pack.h"

#include <random>
#include <thread>

#include "pack/reachability.h"
#include "support/push_builder.h"
#include "support/upkeep.h"

namespace vexor::pack {
namespace {

using namespace test;

constexpr std::size_t kBigBytes = 1'500'000;  // more than an extent's row: its bytes go on in chunks
constexpr int kBigs = 36;

std::string noise(std::size_t bytes, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string out(bytes, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

// Some 54 MB that do not compress, among small objects with deltas.
class SharedPacks : public testing::Test {
 protected:
  SharedPacks() : backend_(sys::make_memory_backend()), store_(open(*backend_)) {
    id_ = store_->create_repository("a/b", {}, {}).value().id;
    PackBuilder pack;
    std::string tree;
    auto enter = [&](const std::string& name, const ObjectId& blob) { tree += "100644 " + name + std::string(1, '\0') + std::string(blob.raw()); };
    for (int i = 0; i < kBigs; ++i) {
      const std::string text(2000, static_cast<char>('a' + i % 26));
      const std::string number = std::to_string(100 + i);
      enter("a" + number, pack.add(ObjectType::kBlob, noise(kBigBytes, static_cast<std::uint32_t>(i))));
      const ObjectId base = pack.add(ObjectType::kBlob, number + text);
      enter("a" + number + "b", base);
      enter("a" + number + "c", pack.add_delta(ObjectType::kBlob, base, number + text, number + text + "more"));
    }
    const ObjectId tree_id = pack.add(ObjectType::kTree, tree);
    const ObjectId commit = pack.add(ObjectType::kCommit, "tree " + tree_id.hex() + "\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\nx\n");
    EXPECT_TRUE(run_push(*store_, "a/b", push_request(ObjectId::null(kAlgorithm), commit, "refs/heads/main", pack.finish())));
  }

  struct Reader {
    explicit Reader(Store& store, RepositoryId id, std::size_t line = 0)
        : repository(store::open_repository_snapshot(store.core(), id).value()),
          objects(repository.snapshot, repository.row.pool, kAlgorithm, store.core().options.limits, &store.core().extents) {
      const SetPtr visible = visible_set(store.core(), repository, objects).value();
      stream = PackStream::open(store.core(), objects, *visible, nullptr, PackOptions{}, line).value();
    }
    void read(int pieces) {
      for (int i = 0; i < pieces && !stream->done(); ++i) ASSERT_TRUE(stream->next(bytes).has_value());
    }
    const std::string& read_all() {
      read(1'000'000);
      return bytes;
    }
    store::RepositorySnapshot repository;
    ObjectReader objects;
    std::unique_ptr<PackStream> stream;
    std::string bytes;
  };
  std::unique_ptr<Reader> reader(std::size_t line = 0) { return std::make_unique<Reader>(*store_, id_, line); }
  std::uint64_t kept() { return store_->core().shared_pack_bytes.load(); }
  // What one reader that is alone gets, from a store of its own that knows no trailer.
  std::string alone(std::size_t line = 0) {
    const auto other = open(*backend_);
    return Reader(*other, id_, line).read_all();
  }
  static bool has_good_trailer(const std::string& pack) {
    PackChecksum sum(kAlgorithm);
    sum.update(Bytes(pack).substr(0, pack.size() - 20));
    return sum.finish() == pack.substr(pack.size() - 20);
  }

  static constexpr std::uint64_t kPieceRoom = SharedPack::kPieceBytes * 2;
  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
};

TEST_F(SharedPacks, readers_in_step_keep_only_what_is_between_them) {
  const std::string expected = alone();
  ASSERT_TRUE(has_good_trailer(expected));
  const auto first = reader();
  const auto second = reader();
  for (int i = 0; !first->stream->done(); ++i) {
    first->read(2);
    if (i >= 64) {
      EXPECT_LE(kept(), 4 * kPieceRoom) << i;
    }
    second->read(2);
  }
  second->read_all();
  EXPECT_EQ(first->bytes == expected, true);
  EXPECT_EQ(second->bytes == expected, true);
  EXPECT_EQ(kept(), 0U);
}

TEST_F(SharedPacks, the_second_reader_needs_no_work_for_what_the_first_made) {
  const auto first = reader();
  const auto second = reader();
  EXPECT_FALSE(second->stream->next_if_ready(second->bytes));
  first->read(10);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(second->stream->next_if_ready(second->bytes)) << i;
  EXPECT_FALSE(second->stream->next_if_ready(second->bytes));
  EXPECT_EQ(first->bytes, second->bytes);
}

TEST_F(SharedPacks, one_that_stands_still_costs_no_more_than_the_limit_and_gets_the_same) {
  const std::string expected = alone(kPktLineBytesMax);
  const auto slow = reader(kPktLineBytesMax);
  const auto fast = reader(kPktLineBytesMax);
  slow->read(3);
  while (!fast->stream->done()) {
    fast->read(1);
    ASSERT_LE(kept(), (SharedPack::kPiecesMax + 1) * kPieceRoom);
  }
  EXPECT_EQ(fast->bytes == expected, true);
  EXPECT_EQ(slow->read_all() == expected, true);
}

TEST_F(SharedPacks, stragglers_at_every_place_make_what_is_gone_and_catch_up) {
  const std::string expected = alone();
  std::vector<std::unique_ptr<Reader>> readers;
  for (int at = 0; at < 24; ++at) {
    readers.push_back(reader());
    readers.back()->read(at);
  }
  const auto fast = reader();
  fast->read(175);  // the pieces that the others want next are gone
  ASSERT_FALSE(fast->stream->done());
  for (const auto& straggler : readers) ASSERT_FALSE(straggler->stream->next_if_ready(straggler->bytes));
  for (const auto& straggler : readers) straggler->read(170);
  fast->read(2);
  for (const auto& straggler : readers) EXPECT_EQ(straggler->read_all() == expected, true);
  EXPECT_EQ(fast->read_all() == expected, true);
}

TEST_F(SharedPacks, those_who_stay_go_on_when_the_one_ahead_leaves) {
  const std::string expected = alone();
  auto ahead = reader();
  const auto behind = reader();
  ahead->read(100);
  behind->read(20);
  ahead.reset();
  EXPECT_EQ(behind->read_all() == expected, true);
  auto late = reader();  // joins nobody: that production is over
  EXPECT_EQ(late->read_all() == expected, true);
  late.reset();
  EXPECT_EQ(kept(), 0U);
}

TEST_F(SharedPacks, framed_and_unframed_readers_are_kept_apart) {
  const auto framed = reader(kPktLineBytesMax);
  const auto narrow = reader(1000);
  const auto raw = reader();
  framed->read(3), narrow->read(3), raw->read(3);
  EXPECT_EQ(raw->bytes.substr(0, 4), "PACK");
  EXPECT_EQ(narrow->bytes.substr(0, 9), "03e8\1PACK");
  EXPECT_EQ(framed->bytes.substr(0, 9), "fff0\1PACK");
}

TEST_F(SharedPacks, a_failure_is_told_to_all_and_forgotten_with_them) {
  const std::string expected = alone();
  // The row behind which all others come: damaged for who opens a snapshot now.
  const auto rows = family_rows(*backend_, sys::Family::kExtents);
  const auto& [key, value] = *std::next(rows.begin(), static_cast<std::ptrdiff_t>(rows.size() / 2));
  sys::Batch erase;
  erase.erase(sys::Family::kExtents, key);
  ASSERT_TRUE(backend_->commit(erase, sys::Durability::kSynced).has_value());
  {
    const auto first = reader();
    const auto second = reader();
    Result<void> told = success();
    while (told.has_value() && !first->stream->done()) told = first->stream->next(first->bytes);
    ASSERT_TRUE(told.has_error());
    EXPECT_EQ(told.error().code(), Errc::kCorrupt);
    told = success();
    while (told.has_value() && !second->stream->done()) told = second->stream->next(second->bytes);
    ASSERT_TRUE(told.has_error());
    EXPECT_EQ(told.error().code(), Errc::kCorrupt);
    sys::Batch restore;
    restore.put(sys::Family::kExtents, key, value);
    ASSERT_TRUE(backend_->commit(restore, sys::Durability::kSynced).has_value());
    EXPECT_EQ(reader()->read_all() == expected, true);  // while those are still there
  }
  EXPECT_EQ(kept(), 0U);
}

TEST_F(SharedPacks, threads_of_all_paces_get_the_same) {
  const std::string expected = alone();
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937 random(static_cast<std::uint32_t>(i));
      const auto mine = reader();
      while (!mine->stream->done()) {
        mine->read(static_cast<int>(random() % 8));
        // Each at another pace, so that some fall behind what is kept.
        if (random() % 16 < static_cast<unsigned>(i)) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
        if (i == 5 && mine->bytes.size() > expected.size() / 2) return;  // leaves
      }
      if (mine->bytes == expected) good.fetch_add(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good.load(), 5);
  EXPECT_EQ(kept(), 0U);
}

}  // namespace
}  // namespace vexor::pack
