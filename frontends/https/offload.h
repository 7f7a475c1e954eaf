// Work of a coroutine on a thread pool. GCC 12: give the closure a name before the co_await.
#pragma once

#include <boost/asio.hpp>
#include <exception>

namespace vexor::frontend {

// Runs `work` on the pool and comes back to where it was called from, whatever happens.
template <class Work>
boost::asio::awaitable<void> offload(boost::asio::thread_pool& pool, Work work) {
  const auto home = co_await boost::asio::this_coro::executor;
  co_await boost::asio::post(boost::asio::bind_executor(pool, boost::asio::use_awaitable));  // post(pool, ...) would resume at home
  std::exception_ptr thrown;
  try {
    work();
  } catch (...) {
    thrown = std::current_exception();
  }
  co_await boost::asio::post(home, boost::asio::use_awaitable);
  if (thrown) std::rethrow_exception(thrown);
}

// Work on its way in the pool, and a timer for whoever waits for it. All but the work itself on one strand.
struct Pending {
  explicit Pending(const boost::asio::any_io_executor& home) : timer(home) {}
  boost::asio::steady_timer timer;
  std::exception_ptr thrown;
  bool done = false;
};

}  // namespace vexor::frontend
