#include "crypto/sha1_many.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace vexor {

namespace {

constexpr std::size_t kFewPart = 3;  // with fewer than one lane in so many at work, the rest goes one by one

DetectingSha1::Digest hash_one(const Sha1Cpu& cpu, const Sha1Message& message) {
  DetectingSha1 sum(cpu);
  sum.update(message.head);
  sum.update(message.body);
  return sum.finish();
}

// A message in its lane. Its blocks lie in three runs: the first in `edge`, with the head; those in the body
// itself; and the last one or two in `edge`, with the padding.
class Lane {
 public:
  void begin(Sha1Message& message) {
    message_ = &message;
    const std::uint64_t bytes = message.head.size() + message.body.size();
    begun_ = 0;
    first_ = bytes >= kSha1BlockBytes ? 1 : 0;
    const std::size_t in_first = first_ * (kSha1BlockBytes - message.head.size());
    inner_ = (message.body.size() - in_first) / kSha1BlockBytes * first_;
    if (first_ != 0) {
      std::memcpy(edge_, message.head.data(), message.head.size());
      std::memcpy(edge_ + message.head.size(), message.body.data(), in_first);
    }
    body_ = message.body.data() + in_first;
    Bytes rest = message.body.substr(in_first + inner_ * kSha1BlockBytes);
    char* at = edge_ + kSha1BlockBytes;
    std::memset(at, 0, 2 * kSha1BlockBytes);
    if (first_ == 0) {
      std::memcpy(at, message.head.data(), message.head.size());
      at += message.head.size();
    }
    std::memcpy(at, rest.data(), rest.size());
    at[rest.size()] = static_cast<char>(0x80);
    blocks_ = (bytes + 9 + kSha1BlockBytes - 1) / kSha1BlockBytes;
    char* const end = edge_ + kSha1BlockBytes * (1 + blocks_ - first_ - inner_);
    for (int i = 0; i < 8; ++i) end[-1 - i] = static_cast<char>(bytes * 8 >> 8 * i);
  }
  bool is_idle() const { return message_ == nullptr; }
  // Where the next run begins, and of how many blocks; false: there is none.
  bool next_run(const char*& at, std::uint64_t& blocks) {
    if (begun_ == blocks_) return false;
    if (begun_ < first_) {
      at = edge_, blocks = first_;
    } else if (begun_ < first_ + inner_) {
      at = body_, blocks = inner_;
    } else {
      at = edge_ + kSha1BlockBytes, blocks = blocks_ - begun_;
    }
    begun_ += blocks;
    return true;
  }
  Sha1Message& message() { return *message_; }
  void end() { message_ = nullptr; }
  // Whether there is nothing left but padding, in part done. `left`: blocks of the run.
  bool is_in_padding(std::uint64_t left) const {
    return !is_idle() && (begun_ - left) * kSha1BlockBytes > message_->head.size() + message_->body.size();
  }
  // Not in the padding: the rest of the message, whose blocks so far led to `state`.
  DetectingSha1::Digest finish(const Sha1Cpu& cpu, const Sha1State& state, std::uint64_t left) const {
    const std::uint64_t done = begun_ - left;
    DetectingSha1 sum(cpu, state, done);
    if (done == 0) sum.update(message_->head);
    sum.update(message_->body.substr(done == 0 ? 0 : done * kSha1BlockBytes - message_->head.size()));
    return sum.finish();
  }

 private:
  Sha1Message* message_ = nullptr;
  const char* body_ = nullptr;  // behind what is in the first block
  std::uint64_t blocks_ = 0;    // all, of which the first and the inner ones
  std::uint64_t first_ = 0;
  std::uint64_t inner_ = 0;
  std::uint64_t begun_ = 0;     // blocks of the runs that were begun
  char edge_[3 * kSha1BlockBytes];
};

class Many {
 public:
  Many(const Sha1Cpu& cpu, const Sha1Lanes& lanes, std::span<Sha1Message*> messages) : cpu_(cpu), lanes_(lanes), waiting_(messages) {}

  void run() {
    for (std::size_t lane = 0; lane < lanes_.lanes; ++lane) refill(lane);
    while (active_ * kFewPart >= lanes_.lanes || is_any_in_padding()) step();
    for (std::size_t lane = 0; lane < lanes_.lanes; ++lane) {
      if (lane_[lane].is_idle()) continue;
      Sha1Message& message = lane_[lane].message();
      const bool attack = message.digest.attack;
      message.digest = lane_[lane].finish(cpu_, state(lane), left_[lane]);
      message.digest.attack = message.digest.attack || attack;
    }
    confirm();
  }

 private:
  using States = std::uint32_t[5 * kSha1LanesMax];

  Sha1State state(std::size_t lane) const {
    Sha1State out;
    for (std::size_t word = 0; word < out.size(); ++word) out[word] = states_[now_][word * lanes_.lanes + lane];
    return out;
  }
  bool is_any_in_padding() const {
    for (std::size_t lane = 0; lane < lanes_.lanes; ++lane) {
      if (lane_[lane].is_in_padding(left_[lane])) return true;
    }
    return false;
  }
  void refill(std::size_t lane) {
    static constexpr char kNothing[kSha1BlockBytes] = {};
    lane_[lane].end();
    at_[lane] = kNothing;
    left_[lane] = 1;
    if (next_ == waiting_.size()) return;
    lane_[lane].begin(*waiting_[next_++]);
    lane_[lane].next_run(at_[lane], left_[lane]);
    ++active_;
    for (std::size_t word = 0; word < kSha1Initial.size(); ++word) states_[now_][word * lanes_.lanes + lane] = kSha1Initial[word];
  }

  void step() {
    std::uint32_t vectors[kSha1LanesMax];
    lanes_.compress_each(states_[now_], at_, states_[1 - now_], vectors);
    std::uint32_t any = 0;
    for (std::size_t lane = 0; lane < lanes_.lanes; ++lane) any |= vectors[lane];
    for (std::size_t lane = 0; any != 0 && lane < lanes_.lanes; ++lane) {
      if (vectors[lane] != 0 && !lane_[lane].is_idle()) suspect(lane, vectors[lane]);
    }
    now_ = 1 - now_;
    bool is_run_done = false;
    for (std::size_t lane = 0; lane < lanes_.lanes; ++lane) {
      at_[lane] += kSha1BlockBytes;
      is_run_done |= --left_[lane] == 0;
    }
    for (std::size_t lane = 0; is_run_done && lane < lanes_.lanes; ++lane) {
      if (left_[lane] == 0) end_run(lane);
    }
  }

  void end_run(std::size_t lane) {
    if (!lane_[lane].is_idle()) {
      if (lane_[lane].next_run(at_[lane], left_[lane])) return;
      const Sha1State end = state(lane);
      auto& digest = lane_[lane].message().digest.bytes;
      for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<char>(end[i / 4] >> (24 - i % 4 * 8));
      --active_;
    }
    refill(lane);
  }

  // Some blocks in a hundred: hashed once more for the states in their midst.
  void suspect(std::size_t lane, std::uint32_t vectors) {
    const char* const block = at_[lane];
    Sha1State after = state(lane);
    Sha1Trace trace;
    Sha1State ended;
    sha1_compress(cpu_, after, block, 1, &trace, &ended);
    for (; vectors != 0; vectors &= vectors - 1) {
      const auto vector = static_cast<unsigned>(std::countr_zero(vectors));
      Suspects& group = suspects_[sha1_middle(vector)];
      char* const copy = group.blocks + group.count * kSha1BlockBytes;
      std::memcpy(copy, block, kSha1BlockBytes);
      group.messages[group.count] = &lane_[lane].message();
      group.list[group.count++] = {copy, trace.middle(sha1_middle(vector)), ended, vector};
      if (group.count == kSha1LanesMax) confirm(group);
    }
  }

  struct Suspects {  // of one middle, not confirmed yet
    std::size_t count = 0;
    Sha1Suspect list[kSha1LanesMax];
    Sha1Message* messages[kSha1LanesMax];
    char blocks[kSha1LanesMax * kSha1BlockBytes];
  };

  void confirm(Suspects& group) {
    for (std::size_t from = 0; from < group.count;) {
      const Sha1Lanes& lanes = sha1_lanes_to_confirm(cpu_, group.count - from);
      const std::size_t now = std::min(group.count - from, lanes.lanes);
      if (lanes.confirm(group.list + from, now)) {  // which of them?
        for (std::size_t i = from; i < from + now; ++i) {
          if (sha1_lanes_to_confirm(cpu_, 1).confirm(group.list + i, 1)) group.messages[i]->digest.attack = true;
        }
      }
      from += now;
    }
    group.count = 0;
  }
  void confirm() {
    for (Suspects& group : suspects_) confirm(group);
  }

  const Sha1Cpu& cpu_;
  const Sha1Lanes& lanes_;
  std::span<Sha1Message*> waiting_;
  std::size_t next_ = 0;  // of waiting_
  std::size_t active_ = 0;
  std::size_t now_ = 0;  // of states_; the other one is written
  States states_[2] = {};
  const char* at_[kSha1LanesMax] = {};     // the next block of each lane
  std::uint64_t left_[kSha1LanesMax] = {};  // blocks of its run
  Lane lane_[kSha1LanesMax];
  Suspects suspects_[kSha1Middles.size()];
};

}  // namespace

void sha1_many(const Sha1Cpu& cpu, std::span<Sha1Message> messages) {
  for (const Sha1Message& message : messages) VEXOR_CHECK(message.head.size() < kSha1BlockBytes);
  const Sha1Lanes* const lanes = sha1_lanes_for_many(cpu);
  if (lanes == nullptr || messages.size() * kFewPart < lanes->lanes) {
    for (Sha1Message& message : messages) message.digest = hash_one(cpu, message);
    return;
  }
  // The longest first, so that they end together.
  std::vector<Sha1Message*> order;
  for (Sha1Message& message : messages) order.push_back(&message);
  std::stable_sort(order.begin(), order.end(), [](const Sha1Message* a, const Sha1Message* b) { return a->body.size() > b->body.size(); });
  Many(cpu, *lanes, order).run();
}

}  // namespace vexor
