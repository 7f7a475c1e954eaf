// Of many threads that want the same at once, one makes it.
#include "store/single_flight.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace vexor::store {
namespace {

TEST(SingleFlight, one_makes_what_all_want) {
  SingleFlight flights;
  std::mutex mutex;
  bool made = false;
  int makers = 0;
  std::atomic<int> inside{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const SingleFlight::Turn turn(flights, "set");
      EXPECT_EQ(inside.fetch_add(1), 0);
      {
        const std::lock_guard lock(mutex);
        if (!made) ++makers;
        made = true;
      }
      std::this_thread::yield();
      inside.fetch_sub(1);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(makers, 1);
}

TEST(SingleFlight, other_keys_do_not_wait) {
  SingleFlight flights;
  const SingleFlight::Turn one(flights, "one");
  const SingleFlight::Turn two(flights, "two");  // would never return
}

TEST(SingleFlight, the_next_goes_on_when_the_first_left) {
  SingleFlight flights;
  { const SingleFlight::Turn first(flights, "key"); }
  const SingleFlight::Turn second(flights, "key");
}

}  // namespace
}  // namespace vexor::store
