// Reading records again whose repository is gone while forks keep its objects.
#include "log/pool_algorithms.h"

#include "support/replica_pair.h"
#include "support/upkeep.h"

namespace vexor {
namespace {

using namespace test;
using sys::Family;

// Counts walks over the rows of repositories.
class CountingBackend final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<std::shared_ptr<const sys::StorageSnapshot>> snapshot() override {
    VEXOR_TRY(auto inner, Forwarding::snapshot());
    return std::shared_ptr<const sys::StorageSnapshot>(std::make_shared<Counted>(*this, std::move(inner)));
  }
  mutable std::atomic<int> walks = 0;

 private:
  struct Counted final : sys::StorageSnapshot {
    Counted(CountingBackend& backend_in, std::shared_ptr<const sys::StorageSnapshot> inner_in) : backend(backend_in), inner(std::move(inner_in)) {}
    Result<std::optional<sys::PinnedValue>> get(Family family, Bytes key) const override { return inner->get(family, key); }
    std::unique_ptr<sys::Cursor> cursor(Family family) const override {
      if (family == Family::kRepositories) ++backend.walks;
      return inner->cursor(family);
    }
    CountingBackend& backend;
    std::shared_ptr<const sys::StorageSnapshot> inner;
  };
};

class PurgedParent : public testing::Test {
 protected:
  PurgedParent() {
    auto counting = std::make_unique<CountingBackend>(*primary_.backend);
    counting_ = counting.get();
    primary_.log.reset();
    primary_.store = std::move(Store::open(std::move(counting), StoreOptions{})).value();
    primary_.log = std::move(join_replica_set(*primary_.store)).value();
    EXPECT_TRUE(primary_.log->lead(1, primary_.sink).has_value());
    replicate(primary_, {}, [&] { EXPECT_TRUE(primary_.store->create_repository("a/b", {}, {}).has_value()); });
    ObjectId tip = ObjectId::null(kAlgorithm);
    for (int round = 0; round < 10; ++round) {
      const Push push = make_push(round == 0 ? std::nullopt : std::optional(tip), round, 3, "refs/heads/main", tip);
      replicate(primary_, {}, [&] { EXPECT_TRUE(run_push(*primary_.store, "a/b", push.request)); });
      tip = push.tip;
    }
    replicate(primary_, {}, [&] {
      EXPECT_TRUE(primary_.store->fork_repository("a/b", "c/fork", {}).has_value());
      EXPECT_TRUE(primary_.store->fork_repository("a/b", "d/fork", {}).has_value());
      purge("a/b");
    });
  }
  void purge(const std::string& name) {
    EXPECT_TRUE(primary_.store->delete_repository(name, {}).has_value());
    EXPECT_TRUE(primary_.store->purge_repository(name, {}).has_value());
  }
  // Walks that reading all pushes takes.
  int read_pushes() {
    counting_->walks = 0;
    for (std::uint64_t sequence = 2; sequence <= 11; ++sequence) EXPECT_TRUE(primary_.log->read(sequence).has_value());
    return counting_->walks;
  }
  Member primary_;
  CountingBackend* counting_ = nullptr;
};

// Each of 20,000 repositories was looked at twice for every record: seconds, on the thread that sends heartbeats.
TEST_F(PurgedParent, who_has_the_pool_is_looked_for_once) {
  EXPECT_EQ(read_pushes(), 1);
  EXPECT_EQ(read_pushes(), 0);
  replicate(primary_, {}, [&] { purge("c/fork"); });
  EXPECT_EQ(read_pushes(), 1) << "another one has it";
  Member follower;
  for (std::uint64_t sequence = 1; sequence <= primary_.log->last().sequence; ++sequence) {
    ship(*primary_.log, *follower.log, primary_.log->read(sequence).value());
    ASSERT_TRUE(follower.log->apply(sequence).has_value());
  }
  const RepositoryId fork = follower.store->find_repository("d/fork").value()->id;
  EXPECT_EQ(visible_objects(*follower.store, fork), visible_objects(*primary_.store, fork));
  expect_sound(*follower.store, fork);
}

TEST_F(PurgedParent, a_pool_that_is_gone_is_not_looked_for_again) {
  EXPECT_EQ(read_pushes(), 1);
  replicate(primary_, {}, [&] {
    purge("c/fork");
    purge("d/fork");
  });
  log::PoolAlgorithms algorithms;
  const auto snapshot = primary_.store->core().backend->snapshot().value();
  const auto record = format::decode_journal_record(snapshot->get(Family::kJournal, format::journal_key(2)).value()->bytes()).value();
  counting_->walks = 0;
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(algorithms.of(*snapshot, record).value().has_value());
  EXPECT_EQ(counting_->walks, 1);
}

// The record that makes the repository is in the tail too: it is still to come.
TEST_F(PurgedParent, a_pool_that_is_not_there_yet_is_looked_for_again) {
  const auto snapshot = primary_.store->core().backend->snapshot().value();
  auto record = format::decode_journal_record(snapshot->get(Family::kJournal, format::journal_key(2)).value()->bytes()).value();
  record.repository = 1000;
  record.pool = 1000;
  record.sequence = primary_.log->applied() + 1;
  log::PoolAlgorithms algorithms;
  EXPECT_FALSE(algorithms.of(*snapshot, record).value().has_value());
  record.pool = 1;  // as if it was applied: the pool has the forks
  EXPECT_EQ(algorithms.of(*snapshot, record).value(), kAlgorithm);
  record.pool = 1000;
  format::RepositoryRow row;
  row.number = 1001;
  row.pool = 1000;
  row.name = "e/new";
  sys::Batch batch;
  batch.put(Family::kRepositories, "r" + format::pool_key(row.number), format::encode_repository_row(row));
  ASSERT_TRUE(primary_.backend->commit(batch, sys::Durability::kSynced).has_value());
  EXPECT_EQ(algorithms.of(*primary_.backend->snapshot().value(), record).value(), kAlgorithm);
}

}  // namespace
}  // namespace vexor
