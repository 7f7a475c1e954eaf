// What the connections of an HTTPS server share. It outlives the server while a coroutine frame of it is left: the last
// ones end with the io_context.
#pragma once

#include <algorithm>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "common/address_counts.h"
#include "https/https_server.h"

namespace vexor::frontend {

struct HttpsState {
  HttpsState(boost::asio::io_context& io_in, Service& service_in, HttpsOptions options_in)
      : io(io_in), service(service_in), options(std::move(options_in)), acceptor(io), pool(options.workers), login_pool(std::max(1U, options.workers / 2)),
        waiting_pool(service.is_in_replica_set() ? options.waiting_workers : 1) {}
  boost::asio::io_context& io;
  Service& service;
  HttpsOptions options;
  boost::asio::ip::tcp::acceptor acceptor;
  boost::asio::thread_pool pool;
  boost::asio::thread_pool login_pool;  // hashes passwords: no number of guesses takes the workers from those who are logged in
  std::atomic<unsigned> logins_waiting{0};
  boost::asio::thread_pool waiting_pool;  // waits for other servers: what they do not answer takes no worker
  std::mutex tls_mutex;
  std::shared_ptr<boost::asio::ssl::context> tls;  // guarded by tls_mutex
  std::atomic<unsigned> connections{0};
  std::atomic<bool> draining{false};  // no answer but an advertisement keeps its connection
  std::mutex open_mutex;
  // By connection: asks it to end if it is idle. Any thread may call it. Guarded by open_mutex.
  std::unordered_map<const void*, std::function<void()>> open;
  AddressCounts addresses;
};

}  // namespace vexor::frontend
