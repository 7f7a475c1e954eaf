// Fixtures with one repository, "a/b", over a memory backend that outlives its store.
#pragma once

#include <atomic>

#include "support/upkeep.h"

namespace vexor::test {

class TestClock final : public sys::Clock {
 public:
  std::int64_t wall_time_ms() const override { return now_ms.load(); }
  std::int64_t monotonic_time_ms() const override { return sys::system_clock().monotonic_time_ms(); }
  std::atomic<std::int64_t> now_ms{1'700'000'000'000};
};

// Whose wall clock the test sets. `main_` is the first push, to refs/heads/main.
class ClockedRepository : public testing::Test {
 protected:
  ClockedRepository() : backend_(sys::make_memory_backend()) {
    reopen();
    id_ = store_->create_repository("a/b", {}, {}).value().id;
    main_ = push("a/b", "refs/heads/main", std::nullopt, 5);
  }
  void reopen() {
    store_.reset();
    StoreOptions options;
    options.clock = &clock_;
    store_ = Store::open(std::make_unique<Forwarding>(*backend_), options).value();
  }
  ObjectId push(const std::string& name, const std::string& ref, std::optional<ObjectId> parent, int blobs, ObjectId old = ObjectId::null(kAlgorithm)) {
    const Push made = make_push(parent, round_++, blobs, ref, old);
    EXPECT_TRUE(run_push(*store_, name, made.request));
    return made.tip;
  }

  TestClock clock_;
  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  int round_ = 0;
  ObjectId main_;
};

// That grows by pushes to refs/heads/main.
class GrowingRepository : public testing::Test {
 protected:
  GrowingRepository() : backend_(sys::make_memory_backend()), store_(open(*backend_)) {
    id_ = store_->create_repository("a/b", {}, {}).value().id;
  }
  void push(int rounds, int blobs = 2) {
    for (int i = 0; i < rounds; ++i) {
      const Push made = make_push(tip_, round_++, blobs, "refs/heads/main", tip_ ? *tip_ : ObjectId::null(kAlgorithm));
      ASSERT_TRUE(run_push(*store_, "a/b", made.request));
      tip_ = made.tip;
    }
  }
  std::size_t extents() { return family_rows(*backend_, sys::Family::kExtents).size(); }

  std::unique_ptr<sys::StorageBackend> backend_;
  std::unique_ptr<Store> store_;
  RepositoryId id_ = 0;
  std::optional<ObjectId> tip_;
  int round_ = 0;
};

}  // namespace vexor::test
