// What upload-pack and receive-pack share: buffers for input and output, and how they end.
#pragma once

#include <algorithm>
#include <cstring>
#include <optional>

#include "format/pkt_line.h"
#include "vexorstore/protocol/session.h"

namespace vexor::protocol {

class SessionBase : public Session {
 public:
  Wants wants() const override {
    if (output_.size() > output_at_) return Wants::kOutput;
    if (finished_) return Wants::kDone;
    return has_work_ ? Wants::kWork : Wants::kInput;
  }
  std::size_t feed(Bytes input) override {
    if (finished_) return input.size();  // what comes behind the end is dropped
    input_.append(input);
    has_work_ = true;
    return input.size();
  }
  void end_of_input() override {
    ended_ = true;
    has_work_ = true;
  }
  std::size_t drain(std::span<char> room) override {
    const std::size_t count = std::min(room.size(), output_.size() - output_at_);
    std::memcpy(room.data(), output_.data() + output_at_, count);
    output_at_ += count;
    if (output_at_ == output_.size()) {
      output_.clear();
      output_at_ = 0;
    }
    return count;
  }
  // Output is made behind the room that the last call asked for, so that a steady caller gets it as it is.
  void take_output(std::string& out, std::size_t front) override {
    if (output_at_ != front) output_.replace(0, output_at_, front, ' ');
    out.swap(output_);
    output_.assign(front, ' ');
    output_at_ = front;
  }
  Bytes keep_alive() const override { return {}; }
  const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }

 protected:
  // What a peer sees of a text that may hold its own words: they can be as long as a packet.
  static std::string cut(std::string text) {
    constexpr std::size_t kTextBytesMax = 1000;
    if (text.size() > kTextBytesMax) text.resize(kTextBytesMax);
    return text;
  }
  // An empty packet of the band that carries data.
  static constexpr Bytes kKeepAlive{"0005\1", 5};
  void fail(Error error) {
    failure_ = std::move(error);
    finished_ = true;
    has_work_ = false;
  }
  void finish() {
    finished_ = true;
    has_work_ = false;
  }
  // The next pkt-line of the input; nullopt: more input is needed (has_work_ is then off).
  // The line's data is valid until the next call.
  Result<std::optional<format::PktLine>> next_line() {
    if (input_at_ > 0 && input_at_ * 2 > input_.size()) {
      input_.erase(0, input_at_);
      input_at_ = 0;
    }
    VEXOR_TRY(const auto step, format::decode_pkt_line(Bytes(input_).substr(input_at_)));
    if (!step.complete) {
      has_work_ = false;
      return std::optional<format::PktLine>();
    }
    input_at_ += step.consumed;
    return std::optional<format::PktLine>(step.line);
  }
  Bytes rest_of_input() const { return Bytes(input_).substr(input_at_); }
  void consume(std::size_t count) {
    input_at_ += count;
    if (input_at_ == input_.size()) {
      input_.clear();
      input_at_ = 0;
    }
  }

  std::string input_;
  std::size_t input_at_ = 0;
  std::string output_;
  bool has_work_ = false;
  bool ended_ = false;
  bool finished_ = false;

 private:
  std::size_t output_at_ = 0;
  std::optional<Error> failure_;
};

}  // namespace vexor::protocol
