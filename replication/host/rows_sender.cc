#include "replication/host/rows_sender.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

namespace vexor::replication {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr unsigned kStagesMax = 4;  // pushes at once; others wait
constexpr int kTriesMax = 3;
constexpr std::chrono::milliseconds kPause{100};        // between tries
constexpr std::chrono::milliseconds kLook{50};
constexpr std::chrono::seconds kFinishMax{120};         // all is sent: the member sorts its index and syncs
constexpr std::chrono::seconds kOffsiteExtra{1};        // beyond as long again as the standbys took

}  // namespace

struct RowsSender::Copy {
  enum class State { kSending, kDone, kFailed };
  Member member;
  State state = State::kSending;        // guarded by mutex_, as all below
  SteadyClock::time_point moved_at{};   // that a piece went; also over several tries
  bool is_finishing = false;
  bool is_given_up = false;
  std::shared_ptr<RowsCall> call;       // that may be cancelled
  std::thread thread;
  bool has_ended = false;
};

struct RowsSender::Stage {
  RowsOffer offer;
  std::list<Copy> copies;
  bool is_over = false;       // guarded by mutex_; the reign, or nobody waits any more
  bool is_released = false;   // guarded by mutex_; its record has an outcome
};

class RowsSender::Held final : public StagedCopies {
 public:
  Held(std::shared_ptr<Gate> gate, std::shared_ptr<Stage> stage) : gate_(std::move(gate)), stage_(std::move(stage)) {}
  ~Held() override {
    const std::lock_guard lock(gate_->mutex);
    stage_->is_released = true;
    gate_->changed.notify_all();
  }

 private:
  std::shared_ptr<Gate> gate_;
  std::shared_ptr<Stage> stage_;
};

RowsSender::RowsSender(ReplicaLog& log, Transport& transport, std::chrono::milliseconds idle_max) : log_(log), transport_(transport), idle_max_(idle_max) {}

RowsSender::~RowsSender() {
  end();
  std::list<std::shared_ptr<Stage>> stages;
  {
    std::unique_lock lock(mutex_);
    for (const auto& stage : stages_) stage->is_released = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return running_ == 0; });
    stages.swap(stages_);
  }
  for (const auto& stage : stages) {
    for (Copy& copy : stage->copies) copy.thread.join();
  }
}

void RowsSender::begin(Epoch epoch) {
  const std::lock_guard lock(mutex_);
  epoch_ = epoch;
}

void RowsSender::end() {
  const std::lock_guard lock(mutex_);
  epoch_ = 0;
  for (const auto& stage : stages_) {
    stage->is_over = true;
    for (Copy& copy : stage->copies) {
      if (copy.call && copy.state == Copy::State::kSending) copy.call->cancel();
    }
  }
  changed_.notify_all();
}

// With mutex_ held.
void RowsSender::join_finished() {
  std::erase_if(stages_, [](const auto& stage) {
    const bool done = std::all_of(stage->copies.begin(), stage->copies.end(), [](const Copy& copy) { return copy.has_ended; });
    if (!done) return false;
    for (Copy& copy : stage->copies) copy.thread.join();
    return true;
  });
}

std::unique_ptr<StagedCopies> RowsSender::stage(const std::vector<Member>& others, const std::string& range) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return epoch_ == 0 || running_ < kStagesMax; });
  join_finished();
  if (epoch_ == 0 || others.empty()) return nullptr;
  const auto stage = std::make_shared<Stage>();
  stage->offer = {epoch_, range};
  for (const Member& member : others) stage->copies.emplace_back().member = member;
  stages_.push_back(stage);
  ++running_;
  for (Copy& copy : stage->copies) {
    copy.moved_at = SteadyClock::now();
    copy.thread = std::thread([this, stage, &copy] { run(stage, copy); });
  }
  wait(*stage, lock);
  --running_;
  changed_.notify_all();
  return std::make_unique<Held>(gate_, stage);
}

void RowsSender::wait(Stage& stage, std::unique_lock<std::mutex>& lock) {
  const auto began = SteadyClock::now();
  std::optional<SteadyClock::time_point> offsite_until;
  while (!stage.is_over) {
    const auto now = SteadyClock::now();
    bool standbys = false;
    bool offsite = false;
    for (Copy& copy : stage.copies) {
      if (copy.state != Copy::State::kSending) continue;
      if (now - copy.moved_at > (copy.is_finishing ? kFinishMax : idle_max_)) {
        copy.is_given_up = true;
        if (copy.call) copy.call->cancel();
      }
      (copy.member.role == Role::kOffsite ? offsite : standbys) = true;
    }
    if (!standbys && !offsite_until) offsite_until = now + (now - began) + kOffsiteExtra;
    if (!standbys && (!offsite || now > *offsite_until)) return;
    changed_.wait_for(lock, kLook);
  }
}

void RowsSender::run(const std::shared_ptr<Stage>& stage, Copy& copy) {
  std::shared_ptr<RowsCall> call;
  bool sent = false;
  std::unique_lock lock(mutex_);
  for (int tries = 0; tries < kTriesMax && !sent && !stage->is_over && !stage->is_released && !copy.is_given_up; ++tries) {
    if (tries > 0) changed_.wait_for(lock, kPause, [&] { return stage->is_over; });
    if (copy.is_finishing) copy.moved_at = SteadyClock::now();  // all had gone, and the member worked since
    copy.is_finishing = false;
    copy.call = nullptr;
    lock.unlock();
    call.reset();  // before another one: the member goes on with what it has
    call = transport_.offer_rows(copy.member.id, stage->offer);
    lock.lock();
    copy.call = call;
    if (stage->is_over || copy.is_given_up) break;
    lock.unlock();
    sent = call && send(*stage, copy, *call).has_value();
    lock.lock();
  }
  copy.state = sent ? Copy::State::kDone : Copy::State::kFailed;
  changed_.notify_all();
  // The member keeps the rows while the call lives.
  changed_.wait(lock, [&] { return !sent || stage->is_released; });
  copy.call = nullptr;
  lock.unlock();
  call.reset();
  lock.lock();
  copy.has_ended = true;
  changed_.notify_all();
}

Result<void> RowsSender::send(Stage& stage, Copy& copy, RowsCall& call) {
  VEXOR_TRY(const auto rows, log_.read_rows_of(stage.offer.range));
  VEXOR_TRY(std::uint64_t known, call.begin());
  for (;;) {
    VEXOR_TRY(const std::string piece, rows->next());
    if (piece.empty()) break;
    if (known > 0) {
      --known;
      continue;
    }
    VEXOR_TRY(call.send(piece));
    const std::lock_guard lock(mutex_);
    copy.moved_at = SteadyClock::now();
  }
  {
    const std::lock_guard lock(mutex_);
    copy.moved_at = SteadyClock::now();
    copy.is_finishing = true;
  }
  return call.finish();
}

}  // namespace vexor::replication
