// LagBook: how far members are behind what their primary appended, or a member behind what it has and has not applied: in records,
// octets and time.
//
// Threads: one. Memory: kLagMarksMax marks of 24 octets; of entries before them, and of earlier reigns, only the number is known.
#pragma once

#include <algorithm>
#include <deque>
#include <optional>

#include "replication/types.h"

namespace vexor::replication {

constexpr std::size_t kLagMarksMax = 65536;

struct Lag {
  std::uint64_t records = 0;
  std::optional<std::uint64_t> bytes;  // of these records with the rows that are in them; rows that go ahead are not counted
  std::optional<Millis> ms;            // since the first of them was appended
};

class LagBook {
 public:
  // The next entry of the log.
  void appended(Sequence sequence, std::uint64_t bytes, Millis now) {
    if (!marks_.empty() && marks_.back().sequence + 1 != sequence) marks_.clear();
    marks_.push_back({sequence, total_, now});
    total_ += bytes;
    if (marks_.size() > kLagMarksMax) marks_.pop_front();
  }
  // Everybody has it.
  void forget_to(Sequence sequence) {
    while (!marks_.empty() && marks_.front().sequence <= sequence) marks_.pop_front();
  }
  void clear() { marks_.clear(); }
  // Of a member that has the log up to `has`, and should have it up to `last`.
  Lag of(Sequence has, Sequence last, Millis now) const {
    if (has >= last) return {0, 0, 0};
    Lag out;
    out.records = last - has;
    if (marks_.empty() || marks_.front().sequence > has + 1 || marks_.back().sequence < last) return out;
    const Mark& first = marks_[static_cast<std::size_t>(has + 1 - marks_.front().sequence)];
    const std::uint64_t end = marks_.back().sequence == last ? total_ : marks_[static_cast<std::size_t>(last + 1 - marks_.front().sequence)].bytes_before;
    out.bytes = end - first.bytes_before;
    out.ms = now - first.at;
    return out;
  }

 private:
  struct Mark {
    Sequence sequence = 0;
    std::uint64_t bytes_before = 0;  // of all before it
    Millis at = 0;
  };
  std::deque<Mark> marks_;  // sequences are dense
  std::uint64_t total_ = 0;
};

}  // namespace vexor::replication
