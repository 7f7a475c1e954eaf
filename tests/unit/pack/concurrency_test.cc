// Many threads on one store: pushes to the same ref, pushes to different refs, readers all the while.
#include <atomic>
#include <functional>
#include <future>
#include <thread>
#include <utility>

#include "support/push_builder.h"
#include "vexorstore/maintenance.h"
#include "vexorstore/snapshot.h"

namespace vexor {
namespace {

using namespace test;

constexpr int kThreads = 4;
constexpr int kPushes = 12;

class Concurrency : public testing::Test {
 protected:
  Concurrency() : memory_(sys::make_memory_backend()), store_(open(*memory_)) {
    id_ = store_->create_repository("a/b", {}, {}).value().id;
    first_ = make_push(std::nullopt, 0, 5, "refs/heads/main", none_);
    EXPECT_TRUE(run_push(*store_, "a/b", first_.request));
  }
  const ObjectId none_ = ObjectId::null(kAlgorithm);
  std::unique_ptr<sys::StorageBackend> memory_;
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  Push first_;
};

TEST_F(Concurrency, one_of_those_that_race_for_a_ref_wins) {
  for (int round = 1; round <= 5; ++round) {
    const ObjectId before = open_snapshot(*store_, id_).value()->find_ref("refs/heads/main").value()->id;
    std::atomic<int> won{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        if (run_push(*store_, "a/b", make_push(before, round * 100 + i, 3, "refs/heads/main", before).request)) won.fetch_add(1);
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won.load(), 1);
  }
  EXPECT_EQ(verify_repository(*store_, id_).value().problem_count, 0U);
}

TEST_F(Concurrency, pushes_to_different_refs_all_succeed_while_readers_see_whole_states) {
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::vector<std::thread> writers;
  std::vector<std::thread> readers;
  for (int i = 0; i < kThreads; ++i) {
    writers.emplace_back([&, i] {
      const std::string ref = "refs/heads/w" + std::to_string(i);
      ObjectId tip = none_;
      for (int n = 0; n < kPushes; ++n) {
        // Half of the content is the same in all threads: they race to store the same objects.
        const Push push = make_push(tip.is_null() ? first_.tip : tip, n % 2 == 0 ? n : i * 1000 + n, n == 5 ? 4100 : 4, ref, tip);
        if (!run_push(*store_, "a/b", push.request)) failed.fetch_add(1);
        tip = push.tip;
      }
    });
  }
  for (int i = 0; i < 2; ++i) {
    readers.emplace_back([&] {
      while (!stop.load()) {
        const auto snapshot = open_snapshot(*store_, id_).value();
        const auto refs = snapshot->refs().value();
        for (const RefInfo& ref : refs) {
          if (!snapshot->find_object(ref.id).value()) failed.fetch_add(1);
        }
      }
    });
  }
  for (std::thread& thread : writers) thread.join();
  stop.store(true);
  for (std::thread& thread : readers) thread.join();
  EXPECT_EQ(failed.load(), 0);
  const auto report = verify_repository(*store_, id_).value();
  EXPECT_EQ(report.problem_count, 0U) << report.problems[0];
}

// Takes its time where a file's rows are to be on the disk.
class SlowDisk final : public Forwarding {
 public:
  using Forwarding::Forwarding;
  Result<std::unique_ptr<sys::BulkWriter>> bulk_writer(sys::Family family) override {
    VEXOR_TRY(auto inner, Forwarding::bulk_writer(family));
    return std::unique_ptr<sys::BulkWriter>(std::make_unique<File>(*this, std::move(inner)));
  }
  Result<void> ingest(std::vector<std::unique_ptr<sys::BulkWriter>> files) override {
    for (auto& file : files) {
      VEXOR_TRY(file->finish());
      file = std::move(static_cast<File&>(*file).inner);
    }
    return Forwarding::ingest(std::move(files));
  }
  std::function<void()> on_finish;

 private:
  struct File final : sys::BulkWriter {
    File(SlowDisk& disk_in, std::unique_ptr<sys::BulkWriter> inner_in) : disk(disk_in), inner(std::move(inner_in)) {}
    Result<void> put(Bytes key, Bytes value) override { return inner->put(key, value); }
    Result<void> finish() override {
      if (const auto pause = std::exchange(disk.on_finish, nullptr)) pause();
      return inner->finish();
    }
    sys::Family family() const override { return inner->family(); }
    std::uint64_t rows() const override { return inner->rows(); }
    std::uint64_t bytes() const override { return inner->bytes(); }
    SlowDisk& disk;
    std::unique_ptr<sys::BulkWriter> inner;
  };
};

TEST(LargePush, others_commit_while_its_files_go_to_the_disk) {
  const auto memory = sys::make_memory_backend();
  auto made = std::make_unique<SlowDisk>(*memory);
  SlowDisk& disk = *made;
  const auto store = Store::open(std::move(made), StoreOptions{}).value();
  ASSERT_TRUE(store->create_repository("a/large", {}, {}).has_value());
  ASSERT_TRUE(store->create_repository("a/small", {}, {}).has_value());
  std::promise<void> is_there;
  std::promise<void> may_go_on;
  disk.on_finish = [&] {
    is_there.set_value();
    may_go_on.get_future().wait();
  };
  auto large = std::async(std::launch::async, [&] { return run_push(*store, "a/large", make_push(std::nullopt, 1, 4500, "refs/heads/main", ObjectId::null(kAlgorithm)).request); });
  is_there.get_future().wait();
  auto small = std::async(std::launch::async, [&] { return run_push(*store, "a/small", make_push(std::nullopt, 2, 3, "refs/heads/main", ObjectId::null(kAlgorithm)).request); });
  EXPECT_EQ(small.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  may_go_on.set_value();
  EXPECT_TRUE(small.get());
  EXPECT_TRUE(large.get());
}

}  // namespace
}  // namespace vexor
