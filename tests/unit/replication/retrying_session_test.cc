// Pushes that are begun again when the primary changes.
#include "common/retrying_session.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "support/output_session.h"

namespace vexor::frontend {
namespace {

using protocol::Wants;

// Advertises, takes `bytes`, then ends as it is told to.
class Script final : public test::OutputSession {
 public:
  Script(std::size_t bytes, std::optional<Errc> failure, std::string& got) : bytes_(bytes), code_(failure), got_(got) {
    got_.clear();
    output_ = "refs";
  }
  Wants wants() const override {
    if (!output_.empty()) return Wants::kOutput;
    if (done_) return Wants::kDone;
    return got_.size() < bytes_ ? Wants::kInput : Wants::kWork;
  }
  std::size_t feed(Bytes input) override {
    const Bytes taken = input.substr(0, bytes_ - got_.size());
    got_.append(taken);
    return taken.size();
  }
  void run_work() override {
    done_ = true;
    output_ = code_ ? "bad" : "good";
    if (code_) failure_.emplace(*code_, "as told");
  }
  const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }

 private:
  std::size_t bytes_;
  std::optional<Errc> code_;
  std::string& got_;
  bool done_ = false;
  std::optional<Error> failure_;
};

// The server was gone when it was asked.
class Lost final : public test::OutputSession {
 public:
  Wants wants() const override { return Wants::kDone; }
  const Error* failure() const override { return &failure_; }

 private:
  const Error failure_{Errc::kUnavailable, "lost"};
};

struct Told {
  std::string told;
  std::string got;  // by the last session
  int opened = 1;
  int opened_as_maybe_done = 0;
  int opened_after_unknown = 0;
  std::optional<Errc> failure;
};

// `failures`: of one session after the other; then one that is good.
Told run(std::size_t bytes, std::vector<Errc> failures, const std::filesystem::path& scratch = "/tmp", bool another_primary = true) {
  Told out;
  const auto next = [&]() -> std::optional<Errc> {
    if (failures.empty()) return std::nullopt;
    const Errc first = failures.front();
    failures.erase(failures.begin());
    return first;
  };
  const auto open = [&](RetryingSession::Repetition why) -> Result<std::unique_ptr<protocol::Session>> {
    ++out.opened;
    out.opened_as_maybe_done += why.may_be_done ? 1 : 0;
    out.opened_after_unknown += why.is_open ? 1 : 0;
    if (why.is_open && !another_primary) return Error(Errc::kIndeterminate, "no other primary");
    return std::unique_ptr<protocol::Session>(std::make_unique<Script>(bytes, next(), out.got));
  };
  RetryingSession session(std::make_unique<Script>(bytes, next(), out.got), open, false, scratch);
  std::string input(bytes, 'x');
  for (std::size_t i = 0; i < bytes; ++i) input[i] = static_cast<char>(i * 2654435761U >> 13U);
  std::size_t fed = 0;
  std::array<char, 1000> room{};
  for (;;) {
    switch (session.wants()) {
      case Wants::kDone:
        EXPECT_EQ(out.got, input);
        if (session.failure() != nullptr) out.failure = session.failure()->code();
        return out;
      case Wants::kWork: session.run_work(); break;
      case Wants::kOutput: out.told.append(room.data(), session.drain(room)); break;
      case Wants::kInput: fed += session.feed(Bytes(input).substr(fed, 50'000)); break;
    }
  }
}

TEST(RetryingSession, begins_again_unseen_by_the_client) {
  for (const std::size_t bytes : {1U, 70'000U, 1'000'000U, 20'000'000U}) {
    const Told done = run(bytes, {Errc::kUnavailable, Errc::kUnavailable});
    EXPECT_EQ(done.told, "refsgood") << bytes;
    EXPECT_EQ(done.opened, 3);
  }
}

TEST(RetryingSession, begins_again_when_a_server_was_gone_before_the_first_turn) {
  std::string got;
  int opened = 0;
  const auto open = [&](RetryingSession::Repetition) -> Result<std::unique_ptr<protocol::Session>> {
    if (++opened < 3) return std::unique_ptr<protocol::Session>(std::make_unique<Lost>());
    return std::unique_ptr<protocol::Session>(std::make_unique<Script>(0, std::nullopt, got));
  };
  RetryingSession session(std::make_unique<Lost>(), open, true, "/tmp");
  std::string told;
  for (int turns = 0; turns < 100 && session.wants() != Wants::kDone; ++turns) {
    if (session.wants() == Wants::kWork) session.run_work();
    std::string out;
    if (session.wants() == Wants::kOutput) session.take_output(out, 0);
    told += out;
  }
  EXPECT_EQ(opened, 3);
  EXPECT_EQ(told, "refsgood");
  EXPECT_EQ(session.failure(), nullptr);
}

// It ends while it is to advertise.
class Refusing final : public test::OutputSession {
 public:
  Refusing() { output_ = "ERR gone"; }
  Wants wants() const override { return output_.empty() ? Wants::kDone : Wants::kOutput; }
  const Error* failure() const override { return &failure_; }

 private:
  const Error failure_{Errc::kNotFound, "gone"};
};

TEST(RetryingSession, tells_what_a_repetition_failed_of_before_it_began) {
  std::string got;
  const auto open = [](RetryingSession::Repetition) -> Result<std::unique_ptr<protocol::Session>> { return std::unique_ptr<protocol::Session>(std::make_unique<Refusing>()); };
  RetryingSession session(std::make_unique<Script>(3, Errc::kUnavailable, got), open, false, "/tmp");
  std::string told;
  std::size_t fed = 0;
  std::array<char, 100> room{};
  for (int turns = 0; session.wants() != Wants::kDone; ++turns) {
    ASSERT_LT(turns, 100);
    switch (session.wants()) {
      case Wants::kDone: break;
      case Wants::kWork: session.run_work(); break;
      case Wants::kOutput: told.append(room.data(), session.drain(room)); break;
      case Wants::kInput: fed += session.feed(Bytes("abc").substr(fed)); break;
    }
  }
  EXPECT_EQ(told, "refsERR gone");
  ASSERT_NE(session.failure(), nullptr);
  EXPECT_EQ(session.failure()->code(), Errc::kNotFound);
}

TEST(RetryingSession, says_of_what_may_have_happened_that_it_may) {
  const Told done = run(70'000, {Errc::kUnavailable, Errc::kIndeterminate, Errc::kUnavailable});
  EXPECT_EQ(done.told, "refsgood");
  EXPECT_EQ(done.opened, 4);
  EXPECT_EQ(done.opened_as_maybe_done, 2);
  EXPECT_EQ(done.opened_after_unknown, 1);
  EXPECT_FALSE(done.failure.has_value());
}

TEST(RetryingSession, tells_at_once_what_no_other_primary_can_answer) {
  const Told done = run(100, {Errc::kIndeterminate}, "/tmp", false);
  EXPECT_EQ(done.told, "refsbad");
  EXPECT_EQ(done.failure, Errc::kIndeterminate);
  EXPECT_EQ(done.opened, 2);
}

TEST(RetryingSession, knows_no_more_from_a_repetition_that_failed) {
  const Told done = run(100, {Errc::kIndeterminate, Errc::kRefused});
  EXPECT_EQ(done.told, "refsbad");
  EXPECT_EQ(done.failure, Errc::kIndeterminate);
}

TEST(RetryingSession, does_not_begin_again_what_was_refused) {
  for (const Errc code : {Errc::kRefused, Errc::kIo}) {
    const Told done = run(100, {code});
    EXPECT_EQ(done.told, "refsbad");
    EXPECT_EQ(done.opened, 1);
  }
}

TEST(RetryingSession, goes_on_without_room_for_what_was_sent) {
  EXPECT_EQ(run(1'000'000, {}, "/nonexistent").told, "refsgood");
  EXPECT_EQ(run(1'000'000, {Errc::kUnavailable}, "/nonexistent").told, "refsbad");
}

}  // namespace
}  // namespace vexor::frontend
