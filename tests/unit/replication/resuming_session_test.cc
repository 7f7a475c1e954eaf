// Fetches that another server goes on with.
#include "common/resuming_session.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "support/output_session.h"

namespace vexor::frontend {
namespace {

using protocol::Wants;

// Answers each octet of input with `each` octets, in pieces, and is lost when it has told `lost_after`.
class Answers final : public test::OutputSession {
 public:
  Answers(std::size_t inputs, std::size_t each, std::optional<std::size_t> lost_after, char first = 'a')
      : inputs_(inputs), each_(each), lost_after_(lost_after), first_(first) {}
  Wants wants() const override {
    if (failure_) return Wants::kDone;
    if (!output_.empty()) return Wants::kOutput;
    if (made_ < got_ * each_) return Wants::kWork;
    return got_ < inputs_ ? Wants::kInput : Wants::kDone;
  }
  std::size_t feed(Bytes input) override {
    if (input.empty()) return 0;
    ++got_;
    return 1;
  }
  void run_work() override {
    if (lost_after_ && made_ >= *lost_after_) {
      failure_.emplace(Errc::kUnavailable, "lost");
      return;
    }
    for (int i = 0; i < 777 && made_ < got_ * each_; ++i) output_.push_back(static_cast<char>(first_ + made_++ % 26));
  }
  Bytes keep_alive() const override { return "k"; }
  const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }

 private:
  std::size_t inputs_;
  std::size_t each_;
  std::optional<std::size_t> lost_after_;
  char first_;
  std::size_t got_ = 0;
  std::size_t made_ = 0;
  std::optional<Error> failure_;
};

struct Told {
  std::string text;
  std::optional<Errc> failure;
};

Told run(ResumingSession& session, bool whole_pieces) {
  Told out;
  std::array<char, 100> room{};
  for (;;) {
    switch (session.wants()) {
      case Wants::kDone:
        if (session.failure() != nullptr) out.failure = session.failure()->code();
        return out;
      case Wants::kWork: session.run_work(); break;
      case Wants::kInput: (void)session.feed("xy"); break;
      case Wants::kOutput:
        if (whole_pieces) {
          std::string piece;
          session.take_output(piece, 5);
          out.text += piece.substr(5);
        } else {
          out.text.append(room.data(), session.drain(room));
        }
        break;
    }
  }
}

std::string whole(std::size_t inputs, std::size_t each) {
  ResumingSession undisturbed(std::make_unique<Answers>(inputs, each, std::nullopt), [] { return Error(Errc::kUnavailable, "none"); });
  return run(undisturbed, false).text;
}

TEST(ResumingSession, goes_on_at_the_same_octet) {
  for (const std::size_t lost_after : {0U, 1U, 900U, 5'000U, 700'000U}) {
    for (const bool whole_pieces : {false, true}) {
      std::vector<std::size_t> losses{lost_after / 2, lost_after + 333};
      const auto open = [&]() -> Result<std::unique_ptr<protocol::Session>> {
        std::optional<std::size_t> loss;
        if (!losses.empty()) loss = losses.back();
        if (!losses.empty()) losses.pop_back();
        return std::unique_ptr<protocol::Session>(std::make_unique<Answers>(3, 300'000, loss));
      };
      ResumingSession session(std::make_unique<Answers>(3, 300'000, lost_after), open);
      const Told told = run(session, whole_pieces);
      EXPECT_FALSE(told.failure.has_value());
      EXPECT_TRUE(told.text == whole(3, 300'000)) << lost_after;
      EXPECT_TRUE(losses.empty());
    }
  }
}

TEST(ResumingSession, ends_when_the_other_server_would_answer_otherwise) {
  for (const int how : {0, 1}) {
    const auto open = [&]() -> Result<std::unique_ptr<protocol::Session>> {
      if (how == 0) return std::unique_ptr<protocol::Session>(std::make_unique<Answers>(1, 5'000, std::nullopt, 'b'));
      return std::unique_ptr<protocol::Session>(std::make_unique<Answers>(1, 10, std::nullopt));
    };
    ResumingSession session(std::make_unique<Answers>(1, 5'000, 1'000), open);
    const Told told = run(session, false);
    EXPECT_EQ(told.failure, Errc::kUnavailable);
    EXPECT_LT(told.text.size(), 5'000U);
  }
}

TEST(ResumingSession, sends_nothing_between_while_it_repeats) {
  const auto open = []() -> Result<std::unique_ptr<protocol::Session>> {
    return std::unique_ptr<protocol::Session>(std::make_unique<Answers>(1, 5'000, std::nullopt));
  };
  ResumingSession session(std::make_unique<Answers>(1, 5'000, 1'000), open);
  bool repeated = false;
  std::size_t told = 0;
  std::array<char, 10> room{};
  while (session.wants() != Wants::kDone) {
    switch (session.wants()) {
      case Wants::kInput: (void)session.feed("x"); break;
      case Wants::kOutput: told += session.drain(room); break;
      default:
        session.run_work();
        repeated = repeated || session.keep_alive().empty();
    }
  }
  EXPECT_TRUE(repeated);
  EXPECT_EQ(told, 5'000U);
}

TEST(ResumingSession, does_not_try_for_ever) {
  int opened = 0;
  const auto open = [&]() -> Result<std::unique_ptr<protocol::Session>> {
    ++opened;
    return std::unique_ptr<protocol::Session>(std::make_unique<Answers>(1, 5'000, 0));
  };
  ResumingSession session(std::make_unique<Answers>(1, 5'000, 0), open);
  EXPECT_EQ(run(session, false).failure, Errc::kUnavailable);
  EXPECT_EQ(opened, ResumingSession::kTriesMax);
}

}  // namespace
}  // namespace vexor::frontend
