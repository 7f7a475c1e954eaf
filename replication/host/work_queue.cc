#include "replication/host/work_queue.h"

#include <pthread.h>

namespace vexor::replication {

namespace {

constexpr std::size_t kThreadNameMax = 15;  // of the system

}  // namespace

WorkQueue::WorkQueue(std::string name, std::chrono::milliseconds period, std::function<void()> idle)
    : name_(std::move(name)), period_(period), idle_(std::move(idle)), thread_([this] { run(); }) {}

void WorkQueue::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  queue_.push_back(std::move(work));
  wake_.notify_one();
}

void WorkQueue::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

std::size_t WorkQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void WorkQueue::run() {
  ::pthread_setname_np(::pthread_self(), name_.substr(0, kThreadNameMax).c_str());
  auto next_idle = std::chrono::steady_clock::now() + period_;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (idle_ && std::chrono::steady_clock::now() >= next_idle) {
      lock.unlock();
      idle_();
      lock.lock();
      next_idle = std::chrono::steady_clock::now() + period_;
      continue;
    }
    if (queue_.empty()) {
      if (idle_) wake_.wait_until(lock, next_idle);
      else wake_.wait(lock);
      continue;
    }
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;
    lock.lock();
  }
}

}  // namespace vexor::replication
